package pond

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

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
	case stmt.Copy, stmt.CreateTable, stmt.Insert:
		return s.copy(ctx, st, o)
	case stmt.DropTable:
		return s.dropTables(ctx, st)
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
	j, err := s.submit(ctx, spec, o.watch)
	return j, public(err)
}

// prepare makes a job of a query or a COPY, once it is known which columns PIVOTs
// make.
func (s *Session) prepare(ctx context.Context, sql string, o settings) (*api.JobSpec, error) {
	spec, err := s.spec(o)
	if err != nil {
		return nil, err
	}
	spec.SQL = s.pivoted(ctx, sql, o)
	return spec, nil
}

// spec is a job that is to do nothing yet.
func (s *Session) spec(o settings) (*api.JobSpec, error) {
	dir, err := workingDir()
	if err != nil {
		return nil, err
	}
	return &api.JobSpec{Statement: o.statement, User: s.user, Options: o.JobOptions, Query: api.Query{Dir: dir, Views: s.sql.list()}}, nil
}

func workingDir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("pond: working directory: %w", err)
	}
	return dir, nil
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

// pivoted returns the query with the columns of its PIVOTs named, which the pond
// finds first: DuckDB does not plan others. If that fails the query stays as it is,
// and the engine that runs it whole reports the mistake.
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
	if st.IfNotExists && errors.Is(err, plan.ErrExists) {
		return &Rows{}, nil
	}
	if err != nil {
		return nil, err
	}
	rows := tableOf(column("Count", int64Type))
	values := []any{status.Rows}
	if st.Files {
		rows = tableOf(column("Count", int64Type), column("Files", textsType))
		values = append(values, filesOf(status, st.Write.Single))
	}
	rows.add(values...)
	out := rows.rows()
	out.Status = statusOf(status)
	return out, nil
}

// filesOf are the paths of files that were written.
func filesOf(status *api.JobStatus, single bool) []string {
	dir := status.Output
	if single {
		dir = filepath.Dir(dir)
	}
	files := make([]string, len(status.Files))
	for i, f := range status.Files {
		if strings.HasPrefix(dir, plan.DatasetScheme) {
			files[i] = dir + "/" + f
		} else {
			files[i] = filepath.Join(dir, f)
		}
	}
	return files
}

func (s *Session) describe(ctx context.Context, st *stmt.Statement) (*Rows, error) {
	columns, err := s.told(ctx, st.Query)
	if err != nil {
		return nil, err
	}
	t := tableOf(column("column_name", textType), column("column_type", textType), column("null", textType),
		column("key", textType), column("default", textType), column("extra", textType))
	for _, c := range columns {
		t.add(c.Name, c.Type, "YES", nil, nil, nil)
	}
	return t.rows(), nil
}

// told are a query's columns as DuckDB's DESCRIBE tells of them.
func (s *Session) told(ctx context.Context, query string) ([]plan.Column, error) {
	d, err := s.bind(ctx, &api.Query{SQL: query, Told: true})
	if err != nil {
		return nil, err
	}
	return d.Columns, nil
}

// bind binds a query, of this folder and the session's views.
func (s *Session) bind(ctx context.Context, q *api.Query) (*api.Description, error) {
	dir, err := workingDir()
	if err != nil {
		return nil, err
	}
	q.Dir, q.Views = dir, s.sql.list()
	return s.api.Describe(ctx, q)
}
