package pond

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/stmt"
)

// SQL runs one statement and opens its rows: a query over files and views, COPY
// of one into files, EXPLAIN [ANALYZE], CREATE and DROP VIEW, DESCRIBE,
// SUMMARIZE, SHOW, SET and RESET. [Args] are its parameters' values. Relative file names are looked up in this
// process's working directory. Views and settings are the session's.
//
// When ctx ends before the rows are there, the job is cancelled.
func (s *Session) SQL(ctx context.Context, sql string, options ...JobOption) (*Rows, error) {
	rows, err := s.statement(ctx, sql, options)
	return rows, public(err)
}

func (s *Session) statement(ctx context.Context, sql string, options []JobOption) (*Rows, error) {
	o, sql, err := s.bound(sql, options)
	if err != nil {
		return nil, err
	}
	st, err := stmt.Parse(sql)
	if err != nil {
		return nil, err
	}
	switch st.Kind {
	case stmt.Query:
		return s.query(ctx, st.Text, o)
	case stmt.Copy:
		return s.copy(ctx, st, o)
	case stmt.Explain:
		return s.explain(ctx, st, o)
	case stmt.CreateView:
		return s.createView(ctx, st)
	case stmt.DropView:
		return s.dropViews(st)
	case stmt.Describe:
		return s.describe(ctx, st)
	case stmt.Show:
		return s.show(ctx, st)
	}
	return s.set(st)
}

// bound is the settings of a statement, and the statement with its parameters'
// values.
func (s *Session) bound(sql string, options []JobOption) (settings, string, error) {
	o, err := s.sql.settings().with(options)
	if err != nil {
		return o, "", err
	}
	o.statement = stmt.Trim(sql)
	sql, err = stmt.Bind(sql, o.args)
	return o, sql, err
}

// Submit starts a query, or a COPY of one, without waiting for it. The job goes on
// when ctx ends after that.
func (s *Session) Submit(ctx context.Context, sql string, options ...JobOption) (*Job, error) {
	o, sql, err := s.bound(sql, options)
	if err != nil {
		return nil, public(err)
	}
	spec, err := s.prepare(ctx, sql, o)
	if err != nil {
		return nil, public(err)
	}
	j, err := s.detach(ctx, spec, o.watch)
	return j, public(err)
}

// prepare makes a job of a query or a COPY, once it is known which columns PIVOTs
// make.
func (s *Session) prepare(ctx context.Context, sql string, o settings) (*api.JobSpec, error) {
	p, err := s.plan(ctx, s.pivoted(ctx, sql, o))
	if err != nil {
		return nil, err
	}
	spec := s.spec(p.Plan, o)
	spec.ID = p.ID
	return spec, nil
}

func (s *Session) plan(ctx context.Context, sql string) (*api.Planned, error) {
	dir, err := workingDir()
	if err != nil {
		return nil, err
	}
	return s.api.PlanSQL(ctx, &api.PlanRequest{SQL: sql, Dir: dir, Views: s.sql.list()})
}

func workingDir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("pond: working directory: %w", err)
	}
	return dir, nil
}

func (s *Session) spec(p *plan.Plan, o settings) *api.JobSpec {
	return &api.JobSpec{ID: api.NewJobID(), Name: p.Name, Statement: o.statement, User: s.user, Plan: p, Options: o.JobOptions}
}

// planned is p with the steps that a node makes of each query over files.
func (s *Session) planned(ctx context.Context, p *plan.Plan) (*plan.Plan, error) {
	out := &plan.Plan{Sink: p.Sink}
	for _, n := range p.Nodes {
		if n.SQL == nil || len(n.Inputs) > 0 || len(n.SQL.Access) > 0 {
			out.Nodes = append(out.Nodes, n)
			continue
		}
		part, err := s.plan(ctx, n.SQL.Query)
		if err != nil {
			return nil, err
		}
		out.Nodes = append(out.Nodes, graft(part.Plan, n.ID)...)
	}
	return out, nil
}

// graft is a plan's steps, renamed so that the one whose rows it wants is id.
func graft(part *plan.Plan, id plan.NodeID) []plan.Node {
	rename := func(old plan.NodeID) plan.NodeID {
		if old == part.Sink.Input {
			return id
		}
		return id + "/" + old
	}
	nodes := make([]plan.Node, len(part.Nodes))
	for i, n := range part.Nodes {
		nodes[i] = n
		nodes[i].ID = rename(n.ID)
		nodes[i].Inputs = make([]plan.NodeID, len(n.Inputs))
		for k, in := range n.Inputs {
			nodes[i].Inputs[k] = rename(in)
		}
	}
	return nodes
}

func (s *Session) query(ctx context.Context, sql string, o settings) (*Rows, error) {
	spec, err := s.prepare(ctx, sql, o)
	if err != nil {
		return nil, err
	}
	j, st, err := s.run(ctx, spec, o.watch)
	if err != nil {
		return nil, err
	}
	return j.open(ctx, st)
}

// pivotColumnsMax bounds the columns that an item of a PIVOT makes: beyond it
// DuckDB looks for them itself.
const pivotColumnsMax = 1000

// pivoted is a query that names the columns of its PIVOTs, for which the pond
// looks first: DuckDB does not plan others. When that fails the query stays as it
// is, and whoever runs it whole says what is wrong.
func (s *Session) pivoted(ctx context.Context, sql string, o settings) string {
	o.watch = nil
	items := stmt.Pivots(sql)
	values := make([][]string, len(items))
	for i, item := range items {
		rows, err := s.query(ctx, item.Values, o)
		if err != nil || rows.Len() == 0 || rows.Len() > pivotColumnsMax {
			return sql
		}
		for rec, err := range rows.All() {
			if err != nil {
				return sql
			}
			for r := range int(rec.NumRows()) {
				values[i] = append(values[i], rec.Column(0).ValueStr(r))
			}
		}
	}
	return stmt.Listed(sql, items, values)
}

// copy writes files. Its rows are how many rows were written, as in DuckDB, and
// the files if they were asked for.
func (s *Session) copy(ctx context.Context, st *stmt.Statement, o settings) (*Rows, error) {
	spec, err := s.prepare(ctx, st.Text, o)
	if err != nil {
		return nil, err
	}
	_, status, err := s.run(ctx, spec, o.watch)
	if err != nil {
		return nil, err
	}
	rows := tableOf(column("Count", int64Type))
	values := []any{status.Rows}
	if st.Files {
		rows = tableOf(column("Count", int64Type), column("Files", textsType))
		values = append(values, filesOf(spec.Plan.Sink.Write, status.Files))
	}
	rows.add(values...)
	out := rows.rows()
	out.Status = statusOf(status)
	return out, nil
}

// filesOf are the paths of files that were written.
func filesOf(w *plan.Write, names []string) []string {
	dir := w.Path
	if w.Single {
		dir = filepath.Dir(dir)
	}
	files := make([]string, len(names))
	for i, f := range names {
		files[i] = filepath.Join(dir, f)
	}
	return files
}

func (s *Session) describe(ctx context.Context, st *stmt.Statement) (*Rows, error) {
	d, err := s.columns(ctx, st.Query)
	if err != nil {
		return nil, err
	}
	t := tableOf(column("column_name", textType), column("column_type", textType), column("null", textType),
		column("key", textType), column("default", textType), column("extra", textType))
	for _, c := range d.Columns {
		t.add(c.Name, c.Type, "YES", nil, nil, nil)
	}
	return t.rows(), nil
}

// columns binds a query.
func (s *Session) columns(ctx context.Context, query string) (*api.Description, error) {
	dir, err := workingDir()
	if err != nil {
		return nil, err
	}
	return s.api.Describe(ctx, &api.PlanRequest{SQL: query, Dir: dir, Views: s.sql.list()})
}
