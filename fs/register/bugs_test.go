package register

import "testing"

// bugSeeds bounds how many seeds a planted bug may take to be found.
const bugSeeds = 3000

// Each planted bug is found by some seed, which finds it again.
func TestBugs(t *testing.T) {
	for _, c := range []struct {
		bug  bug
		from uint64 // a seed little before the first that finds it: to be quick
	}{
		{bug: stalePromise}, {bug: viewQuorum}, {bug: missedKey}, {bug: noFsync}, {bug: anyRoster}, {bug: forgottenRetry},
		{emptyKeeper, 260}, {softConflict, 430}, {oldBoot, 330},
	} {
		t.Run(string(c.bug), func(t *testing.T) {
			t.Parallel()
			for seed := c.from; seed < c.from+bugSeeds; seed++ {
				err := newWorld(seed, c.bug).run()
				if err == nil {
					continue
				}
				if again := newWorld(seed, c.bug).run(); again == nil || again.Error() != err.Error() {
					t.Errorf("seed %d does not replay: %v, then %v", seed, err, again)
				}
				t.Logf("seed %d: %v", seed, err)
				return
			}
			t.Errorf("no seed from %d to %d finds it", c.from, c.from+bugSeeds)
		})
	}
}
