package sched

// revisionsMax is how often the rest of a job is planned again.
const revisionsMax = 4

// Reviser decides when the rest of a job is worth another plan: when a stage has
// become complete that came out otherwise than the plan supposed, and as long as
// the result is not begun. Its zero value is ready.
type Reviser struct {
	revisions int          // 0 <= revisions <= revisionsMax
	complete  map[int]bool // stages that were looked at
}

// Due reports whether to plan again now. surprising says whether a stage that made
// so many bytes might have been planned otherwise, had they been known; it is asked
// once of each stage.
func (r *Reviser) Due(stages []StageStatus, surprising func(stage int, bytes int64) bool) bool {
	if len(stages) == 0 || r.revisions >= revisionsMax {
		return false
	}
	if last := stages[len(stages)-1]; last.Done+last.Running > 0 {
		return false
	}
	due := false
	for i, s := range stages {
		if !s.Complete() || r.complete[i] {
			continue
		}
		if r.complete == nil {
			r.complete = map[int]bool{}
		}
		r.complete[i] = true
		due = due || surprising(i, s.Bytes)
	}
	if due {
		r.revisions++
	}
	return due
}

// Complete reports whether all tasks of the stage are done.
func (s StageStatus) Complete() bool { return s.Tasks > 0 && s.Done == s.Tasks }

// Kept reports whether so much of a stage is done that another plan should read
// it rather than do without.
func (s StageStatus) Kept() bool { return s.Complete() || 2*s.Done > s.Tasks && !s.Dropped }
