package sim

import "testing"

// bugSeedsMax is how many seeds may pass before a planted bug shows.
const bugSeedsMax = 3000

// Each planted bug is found by a seed, which replays.
func TestSimFindsBugs(t *testing.T) {
	for bug, from := range map[Bug]uint64{NoSync: 1, OldRead: 1, Forget: 721, TermBlind: 1, StalePacket: 1, FencedEnd: 1, Unseal: 5301, TwoFirsts: 301, Greedy: 1} { // whence it is found soon
		t.Run(string(bug), func(t *testing.T) {
			for seed := from; seed < from+bugSeedsMax; seed++ {
				r := Run(seed, Options{Bug: bug})
				if r.Err == nil {
					continue
				}
				again := Run(seed, Options{Bug: bug, Trace: true})
				if again.Err == nil || again.Err.Error() != r.Err.Error() || again.Stats != r.Stats {
					t.Errorf("seed %d does not replay: %v, then %v", seed, r.Err, again.Err)
				}
				t.Logf("seed %d: %v", seed, r.Err)
				return
			}
			t.Errorf("not found in %d seeds", bugSeedsMax)
		})
	}
}
