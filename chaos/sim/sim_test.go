package sim

import (
	"flag"
	"strings"
	"testing"
)

var (
	seeds = flag.Int("seeds", 2000, "how many seeds TestSim runs")
	seed0 = flag.Uint64("seed", 1, "the first seed of TestSim")
)

// Whatever happens, every job ends, with the rows that it means, published once.
func TestSim(t *testing.T) {
	n := *seeds
	if testing.Short() {
		n = min(n, 200)
	}
	fired, sum := map[Kind]int{}, Stats{}
	for i := range n {
		seed := *seed0 + uint64(i)
		r := Run(seed, Options{})
		if r.Err != nil {
			r = Run(seed, Options{Trace: true})
			t.Fatalf("seed %d (go test ./chaos/sim -run 'TestSim$' -seeds 1 -seed %d): %v\n%s", seed, seed, r.Err, strings.Join(r.Trace, "\n"))
		}
		for k, n := range r.Fired {
			fired[k] += n
		}
		sum.Add(r.Stats)
	}
	t.Logf("seeds %d to %d: %+v, %v", *seed0, *seed0+uint64(n)-1, sum, fired)
	for _, k := range Kinds() {
		if fired[k] == 0 && n >= 100 {
			t.Errorf("never happened: %s", k)
		}
	}
	if n >= 100 && (sum.Takeovers == 0 || sum.Rosters == 0 || sum.Again == 0) {
		t.Error("the runs are too much alike")
	}
}
