package prepare

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/distribute"
	"github.com/pondmesh/pond/actors/plan/frame"
	"github.com/pondmesh/pond/actors/plan/stmt"
	"github.com/pondmesh/pond/duck/logical"
	"github.com/pondmesh/pond/fs/object"
)

// soleQuery is the one step of a plan that is a query over its own files; nil for
// any other plan.
func soleQuery(p *plan.Plan) *plan.SQLOp {
	if len(p.Nodes) != 1 || p.Nodes[0].SQL == nil || len(p.Nodes[0].Inputs) > 0 {
		return nil
	}
	return p.Nodes[0].SQL
}

// compileQuery distributes a whole query: DuckDB plans it, and package distribute cuts
// what DuckDB planned.
func (p *Planner) compileQuery(ctx context.Context, spec *api.JobSpec, op *plan.SQLOp, c api.Capacity) (*Job, error) {
	files, access, err := p.queryFiles(ctx, op)
	if err != nil {
		return nil, err
	}
	sink := &spec.Plan.Sink
	q := &distribute.Query{SQL: sinkSQL(sink, op.Query), Views: op.Views, Access: access, Write: sink.Write}
	q.Repeatable = frame.Repeatable(p.versions(), p.Elsewhere, append(sqlOf(q.Views), q.SQL)...)
	facts := distribute.Facts{Files: map[string]plan.File{}, Stats: map[string][]map[string]distribute.Range{}}
	for _, f := range files {
		facts.Files[f.Path] = f
	}
	q.Elsewhere = slices.ContainsFunc(access, func(path string) bool { return strings.HasPrefix(path, object.Root) })
	small := smallInput(&facts, spec.Options.Force || q.Elsewhere) // of objects, what is read is to be known
	if q.Why = small; small == "" {
		if err := p.planQuery(ctx, q, op.Query, sink, &facts, files); err != nil {
			return nil, err
		}
		if err := p.addFooters(ctx, &facts, q); err != nil {
			return nil, err
		}
	}
	if q.Folders, err = p.folders(ctx, q, small != ""); err != nil {
		return nil, err
	}
	planned, err := distribute.Plan(q, facts, distribute.Options{
		JobID: spec.ID, Salt: p.salt(), Parallelism: c.Slots, TargetBytes: c.TargetBytes, SortBytes: c.SortBytes, Partitions: spec.Options.Partitions, Force: spec.Options.Force,
		BroadcastBytes: spec.Options.BroadcastBytes,
	})
	if err != nil {
		return nil, err
	}
	if small != "" && !anyText(facts.Files) { // text files are looked into by whoever runs it
		if err := p.check(ctx, spec, q, planned.Job.Stages[0]); err != nil {
			return nil, err
		}
	}
	return newJob(planned.Job, access, planned), nil
}

// check finds the mistakes of a small query, which is not planned. Its task does when it
// begins at once and its client waits for it: DuckDB need not bind it twice then.
func (p *Planner) check(ctx context.Context, spec *api.JobSpec, q *distribute.Query, s *plan.Stage) error {
	if spec.Options.LeaseMillis > 0 && p.Idle != nil && p.Idle() {
		s.Unbound = true
		return nil
	}
	_, err := p.duckdb.Describe(ctx, &plan.SQLOp{Query: q.SQL, Views: q.Views}, q.Access)
	return err
}

// sinkSQL returns the query with the additions that its sink requires.
func sinkSQL(s *plan.Sink, sql string) string {
	switch {
	case s.Count != nil:
		return fmt.Sprintf("SELECT count(*) AS count FROM (%s\n)", sql)
	case s.Take != nil:
		return fmt.Sprintf("SELECT * FROM (%s\n) LIMIT %d", sql, s.Take.N)
	}
	return sql
}

// queryFiles resolves the files that a query names.
func (p *Planner) queryFiles(ctx context.Context, op *plan.SQLOp) ([]plan.File, []string, error) {
	if len(op.Access) == 0 {
		return nil, nil, nil
	}
	facts, access, err := p.facts(ctx, &plan.Source{Node: "sql", Access: op.Access, Lax: op.Lax})
	if err != nil {
		return nil, nil, err
	}
	return facts.Files, access, nil
}

// addFooters adds the facts in the footers of Parquet files: row groups to cut at,
// and bounds of their columns to skip by.
func (p *Planner) addFooters(ctx context.Context, facts *distribute.Facts, q *distribute.Query) error {
	var read []plan.File
	for _, path := range q.Files() {
		if f, ok := facts.Files[path]; ok {
			read = append(read, f)
		}
	}
	list, err := p.footers.of(ctx, p, read, q.Access)
	if err != nil {
		return err
	}
	for i, f := range read {
		f.Groups = list[i].groups
		facts.Files[f.Path], facts.Stats[f.Path] = f, list[i].stats
	}
	return nil
}

func isParquet(path string) bool { return strings.HasSuffix(strings.ToLower(path), ".parquet") }

// planQuery plans a query whose tables WITH binds over views of them, and any other
// as it is. Mistakes are those of the text as it was written.
func (p *Planner) planQuery(ctx context.Context, q *distribute.Query, sql string, sink *plan.Sink, facts *distribute.Facts, files []plan.File) error {
	names := make([]string, len(q.Views))
	for i, v := range q.Views {
		names[i] = v.Name
	}
	rest, tables := stmt.TablesOf(sql, names)
	if len(tables) == 0 {
		return p.planTree(ctx, q, facts, files)
	}
	over := *q
	over.SQL, over.Views = sinkSQL(sink, rest), slices.Concat(q.Views, tables)
	err := p.planTree(ctx, &over, facts, files)
	if err != nil && plan.KindOf(err) != plan.KindUser {
		return err
	}
	if err != nil || over.Tree == nil {
		facts.Tables = nil
		return p.planTree(ctx, q, facts, files)
	}
	q.Tree, q.Why = over.Tree, over.Why
	return nil
}

// planTree has DuckDB plan a query, confined to its files. Without a tree, q.Why
// says what stood in the way; an error is the user's.
func (p *Planner) planTree(ctx context.Context, q *distribute.Query, facts *distribute.Facts, files []plan.File) error {
	for _, off := range logical.OptimizerTries() {
		err := p.tryPlan(ctx, off, q, facts, files)
		var w *errWhole
		var refused *logical.PlanError
		var failed *plan.Error
		switch {
		case errors.As(err, &w):
			q.Why = w.why
			return ctx.Err()
		case errors.As(err, &refused):
			q.Why = refused.Error()
			if !refused.Again() {
				return ctx.Err()
			}
		case errors.As(err, &failed) && failed.Kind == plan.KindInternal:
			q.Why = failed.Error() // an optimizer, without the others: the text may run as it is
		default:
			return err
		}
	}
	return ctx.Err()
}

// smallInput says that all of a query's files are too small to be worth planning:
// it runs as it is. Empty if they are not.
func smallInput(facts *distribute.Facts, force bool) string {
	sum := int64(0)
	for _, f := range facts.Files {
		sum += f.Size
	}
	if force || sum >= distribute.LocalBytes {
		return ""
	}
	return fmt.Sprintf("it reads only %d bytes", sum)
}

// tryPlan plans with some optimizers off. An *errWhole, or a
// *logical.PlanError, is why there is no tree.
func (p *Planner) tryPlan(ctx context.Context, off string, q *distribute.Query, facts *distribute.Facts, files []plan.File) error {
	key := queryKey(q, off, files)
	w, known := p.plans.get(key)
	if !known {
		got, err := p.duckdb.Plan(ctx, PlanRequest{SQL: q.SQL, Views: q.Views, Access: q.Access, Files: facts.Files, Off: off})
		if err != nil {
			return err
		}
		if got.Whole != "" {
			return &errWhole{got.Whole}
		}
		w = &planText{names: got.Names, plan: got.Plan}
		if got.Tables != nil {
			facts.Tables = got.Tables
		}
		if len(facts.Tables) == 0 { // else it depends on what else is known of them
			p.plans.put(key, w, len(w.plan))
		}
	}
	var err error
	var refused *logical.PlanError
	if q.Tree, err = logical.Decode([]byte(w.plan), w.names); err != nil && !errors.As(err, &refused) {
		err = &errWhole{err.Error()}
	}
	return err
}

// planText is a query's plan as DuckDB writes it down, and its columns' names.
type planText struct {
	names []string
	plan  string
}

// queryKey is a query, the optimizers that are off, and its files as they are.
func queryKey(q *distribute.Query, off string, files []plan.File) memoKey {
	key := fmt.Appendf(nil, "%q %q %q", q.SQL, q.Views, off)
	for _, f := range files {
		key = fmt.Appendf(key, " %q %d %d", f.Path, f.Size, f.ModTime)
	}
	return sha256.Sum256(key)
}
