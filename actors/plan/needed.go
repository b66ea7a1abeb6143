package plan

import "slices"

// Once reports whether the result holds rows of one evaluation only: either no
// needed stage before from is nondeterministic, itself or by its inputs, or no
// needed stage since is.
func (j *Job) Once(from int) bool {
	before, since := false, false
	varies := make([]bool, len(j.Stages))
	for i, needed := range j.needed() {
		s := j.Stages[i]
		varies[i] = !s.Deterministic || slices.ContainsFunc(s.Upstream(), func(u int) bool { return varies[u] })
		before = before || needed && i < from && varies[i]
		since = since || needed && i >= from && !s.Deterministic
	}
	return !before || !since
}

// needed reports of each stage whether the result is made of it.
func (j *Job) needed() []bool {
	out := make([]bool, len(j.Stages))
	for i := len(j.Stages) - 1; i >= 0; i-- {
		if out[i] = out[i] || i == len(j.Stages)-1; !out[i] {
			continue
		}
		for _, u := range j.Stages[i].Upstream() {
			out[u] = true
		}
	}
	return out
}
