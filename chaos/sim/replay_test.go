package sim

import (
	"slices"
	"testing"
)

// A seed is one run, line by line.
func TestReplays(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		a, b := Run(seed, Options{Trace: true}), Run(seed, Options{Trace: true})
		if !slices.Equal(a.Trace, b.Trace) || a.Stats != b.Stats || len(a.Trace) == 0 {
			t.Errorf("seed %d has two runs: %+v, %+v", seed, a.Stats, b.Stats)
		}
	}
}
