package pond

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/stmt"
)

// SQLOption is an option of Session.SQL.
type SQLOption func(*sqlOptions)

type sqlOptions struct {
	job   jobDefaults
	watch func(*api.JobStatus)
}

// ForceDistributed spreads the query over the pond however little it reads.
// Without it, small queries run on one node.
func ForceDistributed() SQLOption { return func(o *sqlOptions) { o.job.force = true } }

// OnPartitions sets how many partitions exchanges make.
func OnPartitions(n int) SQLOption { return func(o *sqlOptions) { o.job.partitions = n } }

// BroadcastUpTo sets the size up to which a join's side is sent to every task
// rather than both being shuffled: 16 MiB by default; negative: only where it
// must be.
func BroadcastUpTo(bytes int64) SQLOption { return func(o *sqlOptions) { o.job.broadcast = bytes } }

// OnStatus has f called whenever the statement's job, if it needs one, has come to
// something new, from the goroutine that called SQL.
func OnStatus(f func(*api.JobStatus)) SQLOption { return func(o *sqlOptions) { o.watch = f } }

// SQL runs one statement and opens its rows: a query over files and views, COPY
// of one into files, EXPLAIN [ANALYZE], CREATE and DROP VIEW, DESCRIBE,
// SUMMARIZE, SHOW, SET and RESET. Relative file names are looked up in this
// process's working directory. Views and settings are the session's.
//
// When ctx ends before the rows are there, the job is cancelled.
func (s *Session) SQL(ctx context.Context, sql string, options ...SQLOption) (*Rows, error) {
	st, err := stmt.Parse(sql)
	if err != nil {
		return nil, err
	}
	o := &sqlOptions{job: s.sql.defaults()}
	for _, option := range options {
		option(o)
	}
	switch st.Kind {
	case stmt.Query:
		return s.query(ctx, st, o)
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

// PlanSQL makes a plan of one query over files and the session's views, or of a
// COPY of one. Relative file names are looked up in dir.
func (s *Session) PlanSQL(ctx context.Context, sql, dir string) (*plan.Plan, error) {
	p, err := s.planned(ctx, sql, dir)
	if err != nil {
		return nil, err
	}
	return p.Plan, nil
}

func (s *Session) planned(ctx context.Context, sql, dir string) (*api.Planned, error) {
	return s.api.PlanSQL(ctx, &api.PlanRequest{SQL: sql, Dir: dir, Views: s.sql.list()})
}

// planHere is a plan made in the working directory, once it is known which columns
// PIVOTs make.
func (s *Session) planHere(ctx context.Context, sql string, o *sqlOptions) (*api.Planned, error) {
	dir, err := workingDir()
	if err != nil {
		return nil, err
	}
	return s.planned(ctx, s.pivoted(ctx, sql, o), dir)
}

func workingDir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("pond: working directory: %w", err)
	}
	return dir, nil
}

// cancelTime bounds how long a job is asked to end that nobody waits for.
const cancelTime = 5 * time.Second

// run runs a plan to its end. When ctx ends first, so does the job.
func (s *Session) run(ctx context.Context, p *api.Planned, o *sqlOptions) (*Job, *api.JobStatus, error) {
	spec := s.spec(p.Plan, o.job)
	spec.ID = p.ID
	j := &Job{s: s, id: spec.ID, writes: p.Plan.Sink.Write != nil}
	defer func() {
		if ctx.Err() != nil {
			s.abandon(ctx, spec.ID, cancelTime)
		}
	}()
	if _, err := s.api.Submit(ctx, spec); err != nil {
		return nil, nil, err
	}
	for st, err := range j.Watch(ctx) {
		if err != nil {
			return nil, nil, err
		}
		if o.watch != nil {
			o.watch(st)
		}
		if !st.State.Ended() {
			continue
		}
		if st.Error != nil {
			return nil, nil, st.Error.Err()
		}
		return j, st, nil
	}
	return nil, nil, &Error{Kind: plan.KindUnavailable, Op: "wait", Subject: j.ID(), Text: "the job's end was not seen"}
}

func (s *Session) query(ctx context.Context, st *stmt.Statement, o *sqlOptions) (*Rows, error) {
	p, err := s.planHere(ctx, st.Text, o)
	if err != nil {
		return nil, err
	}
	j, status, err := s.run(ctx, p, o)
	if err != nil {
		return nil, err
	}
	return j.open(ctx, status)
}

// pivotColumnsMax bounds the columns that an item of a PIVOT makes: beyond it
// DuckDB looks for them itself.
const pivotColumnsMax = 1000

// pivoted is a query with the columns of its PIVOTs said, for which the pond
// looks first: DuckDB does not plan others. When that fails the query stays as it
// is, and whoever runs it whole says what is wrong.
func (s *Session) pivoted(ctx context.Context, sql string, o *sqlOptions) string {
	items := stmt.Pivots(sql)
	values := make([][]string, len(items))
	for i, item := range items {
		rows, err := s.query(ctx, &stmt.Statement{Text: item.Values}, &sqlOptions{job: o.job})
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
func (s *Session) copy(ctx context.Context, st *stmt.Statement, o *sqlOptions) (*Rows, error) {
	p, err := s.planHere(ctx, st.Text, o)
	if err != nil {
		return nil, err
	}
	_, status, err := s.run(ctx, p, o)
	if err != nil {
		return nil, err
	}
	rows := tableOf(column("Count", int64Type))
	values := []any{status.Rows}
	write := p.Plan.Sink.Write
	dir := write.Path
	if write.Single {
		dir = filepath.Dir(dir)
	}
	if st.Files {
		rows = tableOf(column("Count", int64Type), column("Files", textsType))
		files := make([]string, len(status.Files))
		for i, f := range status.Files {
			files[i] = filepath.Join(dir, f)
		}
		values = append(values, files)
	}
	rows.add(values...)
	out := rows.rows()
	out.Status = status
	out.Note = count(status.Rows, "row") + " in " + write.Path
	if !write.Single {
		out.Note = count(status.Rows, "row") + " in " + count(int64(len(status.Files)), "file") + " in " + dir
	}
	return out, nil
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
