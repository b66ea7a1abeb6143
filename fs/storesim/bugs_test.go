package storesim

import "testing"

// bugSeeds bounds how many seeds a planted bug may take to be found.
const bugSeeds = 300

// Each planted bug is found by some seed, which finds it again.
func TestBugs(t *testing.T) {
	for _, b := range []bug{ackEarly, leaseBlind, trustSource, dropUnseen, resurrect, staleBelieved, placesOnly} {
		t.Run(string(b), func(t *testing.T) {
			for seed := uint64(1); seed <= bugSeeds; seed++ {
				err := drawn(seed, b).run()
				if err == nil {
					continue
				}
				if again := drawn(seed, b).run(); again == nil || again.Error() != err.Error() {
					t.Errorf("seed %d does not replay: %v, then %v", seed, err, again)
				}
				t.Logf("seed %d: %v", seed, err)
				return
			}
			t.Errorf("no seed up to %d finds it", bugSeeds)
		})
	}
}
