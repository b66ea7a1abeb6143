package plan

// Whole is what a stage's id depends on besides the stage itself.
type Whole struct {
	Job   JobID  // hashed in when the stage is not deterministic, or Once is set
	Salt  string // the versions of DuckDB and of Pond's hash and block format
	Step  int    // tells two stages apart that are alike but not deterministic
	Once  bool   // never the same in two jobs: it writes files
	Twin  int    // tells two stages apart that are alike but read side by side
	Files []File // all that the stage reads
}

// Identify sets the id of a stage of a job that is not made by [Compile]. The
// stages that it reads must have theirs.
func Identify(job *Job, s *Stage, x Whole) {
	f := identity{Salt: x.Salt, Files: x.Files}
	f.Step = x.Twin
	if !s.Deterministic || x.Once {
		f.Job, f.Step = x.Job, x.Step
	}
	f.seal(job, s)
}
