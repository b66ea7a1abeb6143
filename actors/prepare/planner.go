package prepare

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/access"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/funcs"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/distribute"
	"github.com/pondmesh/pond/actors/plan/frame"
)

// formatSalt is hashed into every stage id. It changes when rows would be cut,
// hashed or encoded otherwise than before.
const formatSalt = "pond-2"

// Planner makes statements into plans, and plans into jobs. It is safe for
// concurrent use.
type Planner struct {
	// Elsewhere reports whether another node has a Go function of that name, in lower
	// case. It is set before the planner is used; nil: none has.
	Elsewhere func(name string) bool
	// Objects finds what URLs mean. It is set before the planner is used; nil: none are
	// read.
	Objects Objects

	// Tables are the datasets that statements name. It is set before the planner is used;
	// nil: there are none.
	Tables Tables
	// Manifests tell of datasets' files. It is set before the planner is used; nil: a look at
	// the files does.
	Manifests Manifests
	// Idle reports whether a small query would begin on this node now. It is set before the
	// planner is used; nil: none would.
	Idle func() bool

	duckdb DuckDB
	config engines.Config
	rules  *access.Rules
	log    *slog.Logger

	footers  footers
	plans    memo[*planText] // queries as DuckDB planned them
	resolved memo[*resolved] // texts whose file names were made absolute
	derived  memo[struct{}]  // steps that were made from their texts here
}

// New returns a planner for a node whose tasks run in engines of that configuration,
// and which gives jobs the files that its rules allow.
func New(d DuckDB, c engines.Config, rules *access.Rules, log *slog.Logger) *Planner {
	if c.Funcs == nil {
		c.Funcs = new(funcs.Registry)
	}
	return &Planner{duckdb: d, config: c, rules: rules, log: log}
}

// DuckDBVersion is that of the DuckDB that plans.
func (p *Planner) DuckDBVersion() string { return p.duckdb.Version() }

// Job is a plan made ready.
type Job struct {
	Plan   *plan.Job
	Access []string // files that its SQL may read, and names that it looks at to find them; sorted
	// Query plans the rest again once sizes are known; nil for a DataFrame, and once
	// the job has ended.
	Query *distribute.Compiled
}

func newJob(job *plan.Job, access []string, query *distribute.Compiled) *Job {
	access = slices.Clone(access)
	for _, s := range job.Stages {
		for _, path := range s.Access { // with a slash at its end it would give a whole folder
			if path = strings.TrimRight(path, "/"); path != "" {
				access = append(access, path)
			}
		}
	}
	slices.Sort(access)
	return &Job{Plan: job, Access: slices.Compact(access), Query: query}
}

// With is the job, planned again.
func (j *Job) With(query *distribute.Compiled) *Job { return newJob(query.Job, j.Access, query) }

// Ended is the job with its stages, and nothing to plan again from.
func (j *Job) Ended() *Job { return &Job{Plan: j.Plan, Access: j.Access} }

// The size of a task's input, in compressed bytes: a slot's memory must hold it
// a few times over, decoded and sorted.
const (
	targetShare = 8  // of a slot's memory for each byte,
	sortShare   = 64 // and of one that sorts: DuckDB spills else
	targetMin   = 1 << 20
	targetMax   = 128 << 20
)

// NodeSize describes the resources of one node.
type NodeSize struct {
	Slots  int
	Memory int64 // bytes
}

// CapacityOf is that of nodes together. The bytes are a power of two, so that a
// node more or less seldom makes other partitions.
func CapacityOf(nodes ...NodeSize) api.Capacity {
	c := api.Capacity{}
	least := int64(targetMax * sortShare)
	for _, n := range nodes {
		if n.Slots > 0 {
			c.Slots += n.Slots
			least = min(least, n.Memory/int64(n.Slots))
		}
	}
	c.TargetBytes, c.SortBytes = fitting(least/targetShare), fitting(least/sortShare)
	return c
}

// fitting is the largest power of two of at most that many bytes, within bounds.
func fitting(bytes int64) int64 {
	out := int64(targetMin)
	for out*2 <= min(bytes, targetMax) {
		out *= 2
	}
	return out
}

type progressKey struct{}

// WithProgress has Compile tell how many files it has looked at, of how many.
func WithProgress(ctx context.Context, tell func(done, of int)) context.Context {
	return context.WithValue(ctx, progressKey{}, tell)
}

func tell(ctx context.Context, done, of int) {
	if f, ok := ctx.Value(progressKey{}).(func(done, of int)); ok {
		f(done, of)
	}
}

// Compile resolves the files that a job names and plans it. What is wrong with
// the plan, its SQL or its files is plan.ErrQuery, ErrNotFound or ErrDenied.
func (p *Planner) Compile(ctx context.Context, spec *api.JobSpec, c api.Capacity) (_ *Job, err error) {
	defer p.recovered(&err)
	if spec.Plan == nil {
		return nil, &plan.Error{Kind: plan.KindUser, Op: "compile", Text: "the job has no plan"}
	}
	if err := spec.Plan.Validate(); err != nil {
		return nil, err
	}
	program, err := p.derive(ctx, spec.Plan)
	if err == nil {
		program, err = p.locate(ctx, program)
	}
	if err != nil {
		return nil, err
	}
	if op := soleQuery(program); op != nil {
		return p.compileQuery(ctx, spec, op, c)
	}
	catalog, access, err := p.catalog(ctx, program)
	if err != nil {
		return nil, err
	}
	job, err := frame.Compile(program, catalog, frame.Options{
		JobID: spec.ID, Sizing: plan.Sizing{Parallelism: max(c.Slots, spec.Options.Partitions), TargetBytes: c.TargetBytes, SortBytes: c.SortBytes}, Functions: p.versions(), Elsewhere: p.Elsewhere, Named: namedFiles, Salt: p.salt(),
	})
	if err != nil {
		return nil, err
	}
	return newJob(job, access, nil), nil
}

// recovered makes a panic the error of what was planned. What DuckDB answers comes of an
// engine process, which a crafted file may have taken over: it can be no more than wrong.
func (p *Planner) recovered(err *error) {
	if r := recover(); r != nil {
		p.log.Error("planning panicked", "panic", r, "stack", string(debug.Stack()))
		*err = &plan.Error{Kind: plan.KindInternal, Op: "plan", Text: fmt.Sprintf("panic: %v", r)}
	}
}

// salt keeps equal stages of other versions from sharing an id.
func (p *Planner) salt() string { return formatSalt + " " + p.duckdb.Version() }

// versions are those of the Go functions that SQL may call.
func (p *Planner) versions() map[string]string { return p.config.Funcs.Versions() }
