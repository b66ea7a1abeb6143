package plan

import "testing"

// TestOnce: stage 2 or 3 makes the result, of those that they read.
func TestOnce(t *testing.T) {
	stage := func(same bool, reads ...int) *Stage {
		s := &Stage{Deterministic: same}
		if len(reads) > 0 {
			s.Inputs = []Input{{Read: &Read{Stages: reads}}}
		}
		return s
	}
	for about, c := range map[string]struct {
		stages []*Stage
		from   int
		want   bool
	}{
		"all repeat themselves":       {[]*Stage{stage(true), stage(true), stage(true, 0), stage(true, 1)}, 2, true},
		"only the new ones vary":      {[]*Stage{stage(true), stage(true), stage(false, 0), stage(false, 1, 2)}, 2, true},
		"only the old ones vary":      {[]*Stage{stage(false), stage(true, 0), stage(true, 1)}, 2, true},
		"both do":                     {[]*Stage{stage(false), stage(true, 0), stage(false, 1)}, 2, false},
		"what varied is not needed":   {[]*Stage{stage(false), stage(true), stage(false, 1)}, 2, true},
		"what it was made of varies":  {[]*Stage{stage(false), stage(true, 0), stage(true), stage(false, 1, 2)}, 2, false},
		"the new one is not needed":   {[]*Stage{stage(false), stage(true, 0), stage(false), stage(true, 1)}, 2, true},
		"a new one reads what varies": {[]*Stage{stage(false), stage(true, 0), stage(true, 0), stage(true, 1, 2)}, 2, true},
	} {
		if got := (&Job{Stages: c.stages}).Once(c.from); got != c.want {
			t.Errorf("%s: %v", about, got)
		}
	}
}
