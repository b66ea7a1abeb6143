package chaos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/chaos/scenario"
)

// eventFiles is how many files the table events is of.
const eventFiles = 8

// taskParts is in how many partitions jobs exchange rows: enough that their progress is
// seen.
const taskParts = 12

// workload is the data of a site: what jobs read, and DuckDB's answers.
type workload struct {
	oracle *Oracle
	tables map[string]string // patterns by name
	dir    string            // outputs are made in it
	runs   int
}

// newWorkload makes the table events, and views of all tables for the oracle.
func newWorkload(ctx context.Context, o *Oracle, dir string, s *scenario.Setup) (*workload, error) {
	w := &workload{oracle: o, tables: map[string]string{scenario.Events: filepath.Join(dir, "events", "*.parquet")}, dir: filepath.Join(dir, "out")}
	for name, files := range s.Tables {
		abs, err := filepath.Abs(files)
		if err != nil {
			return nil, fmt.Errorf("chaos: table %s: %w", name, err)
		}
		w.tables[name] = abs
	}
	err := errors.Join(os.MkdirAll(w.dir, 0o755), os.MkdirAll(filepath.Dir(w.tables[scenario.Events]), 0o755))
	if err != nil {
		return nil, fmt.Errorf("chaos: data: %w", err)
	}
	for i := range eventFiles {
		sql := fmt.Sprintf("COPY (SELECT i AS id, (hash(i) %% 997)::INTEGER AS k, i %% 7 AS v, CASE WHEN i %% 11 <> 0 THEN 'row ' || i END AS s, (i %% 10007 * 0.25)::DECIMAL(12, 2) AS price FROM range(%d, %d) AS t(i)) TO '%s' (FORMAT parquet)",
			i*s.Rows/eventFiles, (i+1)*s.Rows/eventFiles, text(filepath.Join(filepath.Dir(w.tables[scenario.Events]), fmt.Sprintf("%03d.parquet", i))))
		if err := o.Exec(ctx, sql); err != nil {
			return nil, fmt.Errorf("chaos: data: %w", err)
		}
	}
	for _, sql := range w.views() {
		if err := o.Exec(ctx, sql); err != nil {
			return nil, fmt.Errorf("chaos: tables: %w", err)
		}
	}
	return w, nil
}

// text is what stands between quotes in SQL.
func text(s string) string { return strings.ReplaceAll(s, "'", "''") }

// views define the tables.
func (w *workload) views() []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(w.tables)) {
		out = append(out, fmt.Sprintf("CREATE OR REPLACE VIEW %s AS SELECT * FROM '%s'", name, text(w.tables[name])))
	}
	return out
}

// task is one submission of a job.
type task struct {
	w    *workload
	spec scenario.Job
	dir  string // of its output, if it writes
	job  *pond.Job
	// copied are the stages that had copies of all they had made when a fault struck.
	copied []int
	pond   *pond.Session
}

// submit hands a job in by a session of all nodes.
func (w *workload) submit(ctx context.Context, s *pond.Session, p *scenario.Plan) (*task, error) {
	w.runs++
	spec := p.Job
	t := &task{w: w, spec: spec, dir: filepath.Join(w.dir, fmt.Sprint(w.runs), "rows"), pond: s}
	for _, f := range p.Faults {
		if f.At.On == scenario.Copied {
			t.copied = append(t.copied, f.At.N)
		}
	}
	for _, sql := range w.views() {
		if _, err := s.SQL(ctx, sql); err != nil {
			return nil, fmt.Errorf("chaos: tables: %w", err)
		}
	}
	if spec.Into != scenario.Result {
		if err := t.before(ctx); err != nil {
			return nil, fmt.Errorf("chaos: output: %w", err)
		}
	}
	var err error
	t.job, err = s.Submit(ctx, t.statement(), pond.Force(true), pond.Reuse(false), pond.Partitions(taskParts), pond.Copies(spec.Copies))
	if err != nil {
		return nil, fmt.Errorf("chaos: submit %s: %w", spec.Name, err)
	}
	return t, nil
}

func (t *task) statement() string {
	query := t.query()
	switch t.spec.Into {
	case scenario.Files:
		return fmt.Sprintf("COPY (%s) TO '%s/' (FORMAT parquet)", query, text(t.dir))
	case scenario.Append:
		return fmt.Sprintf("COPY (%s) TO '%s/' (FORMAT parquet, APPEND)", query, text(t.dir))
	case scenario.Dataset:
		return fmt.Sprintf("COPY (%s) TO '%s' (FORMAT parquet, APPEND)", query, t.url())
	}
	return query
}

// url is of the dataset that the job appends to.
func (t *task) url() string { return "pond://" + t.name() }

func (t *task) name() string { return fmt.Sprintf("chaos_%d", t.w.runs) }

// earlier is a file of no rows in a folder that is appended to: so new files join others,
// and the folder is exchanged.
const earlier = "earlier.parquet"

// before makes what is there before the job writes.
func (t *task) before(ctx context.Context) error {
	if t.spec.Into == scenario.Dataset {
		_, err := t.pond.SQL(ctx, fmt.Sprintf("COPY (SELECT * FROM (%s) LIMIT 0) TO '%s' (FORMAT parquet)", t.query(), t.url()))
		return err
	}
	if err := os.Mkdir(filepath.Dir(t.dir), 0o755); err != nil || t.spec.Into != scenario.Append {
		return err
	}
	if err := os.Mkdir(t.dir, 0o755); err != nil {
		return err
	}
	return t.w.oracle.Exec(ctx, fmt.Sprintf("COPY (SELECT * FROM (%s) LIMIT 0) TO '%s' (FORMAT parquet)", t.query(), text(filepath.Join(t.dir, earlier))))
}

func (t *task) query() string { return strings.TrimRight(strings.TrimSpace(t.spec.SQL), ";") }

// check compares what the job has made with the oracle's answer, and wants nothing
// else to be there.
func (t *task) check(ctx context.Context) error {
	query := t.query()
	if err := t.safe(ctx); err != nil {
		return err
	}
	if t.spec.Into == scenario.Append {
		if _, err := os.Stat(filepath.Join(t.dir, earlier)); err != nil {
			return fmt.Errorf("%w: the folder had a file before: %w", ErrDiffers, err)
		}
	}
	switch t.spec.Into {
	case scenario.Result:
		rows, err := t.job.Rows(ctx)
		if err != nil {
			return err
		}
		return t.w.oracle.Compare(ctx, rows, query)
	case scenario.Dataset:
		return t.checkDataset(ctx)
	}
	files := "'" + text(t.dir) + "/*.parquet'"
	if err := t.w.oracle.CompareQueries(ctx, "SELECT * FROM "+files, query); err != nil || t.spec.Order == "" {
		return err
	}
	return t.w.oracle.CompareQueries(ctx,
		fmt.Sprintf("SELECT count(*) AS n FROM (SELECT %s AS k, lag(%[1]s) OVER () AS before FROM %s) WHERE k < before", t.spec.Order, files), "SELECT 0::BIGINT AS n")
}

// checkDataset wants one version behind that which was there, which is as it was.
func (t *task) checkDataset(ctx context.Context) error {
	d, err := t.pond.Dataset(ctx, t.url())
	if err != nil {
		return err
	}
	if !slices.Equal(d.Versions, []uint64{1, 2}) || d.Newest != 2 {
		return fmt.Errorf("%w: versions %d of a dataset to which one job appended: the newest is %d", ErrDiffers, d.Versions, d.Newest)
	}
	for url, query := range map[string]string{t.url(): t.query(), t.url() + "/1": "SELECT * FROM (" + t.query() + ") LIMIT 0"} {
		rows, err := t.pond.SQL(ctx, "FROM '"+url+"'")
		if err != nil {
			return err
		}
		if err := t.w.oracle.Compare(ctx, rows, query); err != nil {
			return fmt.Errorf("%s: %w", url, err)
		}
	}
	return nil
}

// dropDataset wants no writer of the dataset to be left, and drops it.
func (t *task) dropDataset(ctx context.Context) error {
	err := Await(ctx, func(ctx context.Context) error {
		d, err := t.pond.Dataset(ctx, t.url())
		if err == nil && d.Writers > 0 {
			err = fmt.Errorf("%d leases of %s are left", d.Writers, t.url())
		}
		return err
	})
	return errors.Join(err, t.pond.DropDataset(ctx, t.name()))
}

// errLost is an output that a job had copies of.
var errLost = errors.New("a finished task's output was lost with its copies")

// safe wants no finished task's output to have been lost, where the job says so.
func (t *task) safe(ctx context.Context) error {
	if !t.spec.Safe {
		return nil
	}
	s, err := t.job.Status(ctx)
	if err != nil {
		return err
	}
	for _, st := range s.Stages {
		if st.Lost > 0 && (t.spec.Copies == string(plan.EagerCopies) || slices.Contains(t.copied, st.Index)) {
			return fmt.Errorf("%w: %d of stage %d, %s", errLost, st.Lost, st.Index, st.Name)
		}
	}
	return nil
}

// leftover wants no staging folder beside the output, and removes the output.
func (t *task) leftover(ctx context.Context) error {
	switch t.spec.Into {
	case scenario.Result:
		return nil
	case scenario.Dataset:
		return t.dropDataset(ctx)
	}
	beside := filepath.Dir(t.dir)
	err := Await(ctx, func(context.Context) error {
		left, err := filepath.Glob(filepath.Join(beside, ".*.pond-*"))
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("staging folders are left: %q", left)
		}
		return err
	})
	return errors.Join(err, os.RemoveAll(beside))
}

// planted are wrong answers to a query: a row lost, one doubled, one for another.
var planted = []string{
	"SELECT * FROM (%s) OFFSET 1",
	"(SELECT * FROM (%[1]s)) UNION ALL (SELECT * FROM (%[1]s) LIMIT 1)",
	"(SELECT * FROM (%[1]s) OFFSET 1) UNION ALL (SELECT * FROM (%[1]s) OFFSET 1 LIMIT 1)",
}

// plant compares wrong answers with the right one, and counts those that are seen to
// be. An answer of one row has no other to be doubled in its place.
func (w *workload) plant(ctx context.Context, query string) (sown, caught int, err error) {
	query = strings.TrimRight(strings.TrimSpace(query), ";")
	const kept = "chaos_planted"
	if err := w.oracle.Exec(ctx, fmt.Sprintf("CREATE OR REPLACE TEMP TABLE %s AS %s", kept, query)); err != nil {
		return 0, 0, fmt.Errorf("chaos: planted errors: %w", err)
	}
	right := "SELECT * FROM " + kept
	d, err := w.oracle.Digest(ctx, right)
	if err != nil {
		return 0, 0, err
	}
	for _, p := range planted {
		if d.Rows == "0" || d.Rows == "1" {
			break
		}
		wrong, err := w.oracle.Digest(ctx, fmt.Sprintf(p, right))
		if err != nil {
			return sown, caught, fmt.Errorf("chaos: planted errors: %w", err)
		}
		if sown++; wrong != d {
			caught++
		}
	}
	return sown, caught, w.oracle.Exec(ctx, "DROP TABLE "+kept)
}
