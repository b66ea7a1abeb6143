package plan

import (
	"slices"
	"strconv"

	"github.com/pondmesh/pond/duck/lexer"
)

// Builder collects the stages of a job, both compilers' way to write them. A
// stage that equals one that is there is not written twice.
type Builder struct {
	job  *Job
	byID map[StageID]int
	jobs JobID
	salt string
}

// NewBuilder begins a job with existing stages, which new ones may read. salt is
// hashed into every id: the versions of DuckDB and of Pond's hash and block format.
func NewBuilder(id JobID, salt string, result Result, there ...*Stage) *Builder {
	b := &Builder{job: &Job{Result: result, Stages: slices.Clone(there)}, byID: map[StageID]int{}, jobs: id, salt: salt}
	for i, s := range there {
		b.byID[s.ID] = i
	}
	return b
}

// Identity holds the inputs of a stage's id besides the stage itself.
type Identity struct {
	Files     []File   // all that it reads
	Functions []string // Go functions that it calls, as "name@version"
	Once      bool     // never the same in two jobs: it writes files
	Number    int      // tells stages apart that are alike but not deterministic
	Twin      int      // tells stages apart that are alike but read side by side
}

// Add identifies a stage, whose upstream stages were added before it, and returns
// its index in the job.
func (b *Builder) Add(s *Stage, x Identity) int {
	f := identity{Salt: b.salt, Files: x.Files, Functions: x.Functions, Step: x.Twin}
	if !s.Deterministic || x.Once {
		f.Job, f.Step = b.jobs, x.Number
	}
	s.ID = f.seal(b.job, s)
	if i, ok := b.byID[s.ID]; ok {
		return i
	}
	b.job.Stages = append(b.job.Stages, s)
	b.byID[s.ID] = len(b.job.Stages) - 1
	return b.byID[s.ID]
}

// Job returns the job built so far.
func (b *Builder) Job() *Job { return b.job }

// NextView names the next view of a stage: a prefix and a number that no input or
// step of the stage has.
func (s *Stage) NextView(prefix string) string {
	return prefix + strconv.Itoa(len(s.Inputs)+len(s.Steps))
}

// Keep adds a step that keeps a view's rows in a table, for several readers, and
// returns the table's name.
func (s *Stage) Keep(prefix, view string) string {
	st := Step{View: s.NextView(prefix), SQL: "SELECT * FROM " + lexer.QuoteName(view), Materialize: true}
	s.Steps = append(s.Steps, st)
	return st.View
}
