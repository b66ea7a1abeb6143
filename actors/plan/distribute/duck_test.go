//go:build duckdb_arrow

package distribute_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/distribute"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/ducktest"
	"github.com/pondmesh/pond/duck/lexer"
	"github.com/pondmesh/pond/duck/logical"
)

// pond runs jobs without the runtime: one task after another, each over views of
// exactly what plan.Assign gives it, in an engine that has nothing else.
type pond struct {
	plans *duck.Engine // plans queries, and says what DuckDB's own answer is
	tasks *duck.Engine // runs tasks
	facts distribute.Facts
	tries [4]int // how often which list of optimizers was needed
	// adapts counts what was changed for the sizes of what has run.
	adapts map[string]int
}

// newPond has the files of a folder as tables under their names.
func newPond(t testing.TB, dir string) *pond {
	t.Helper()
	p := &pond{adapts: map[string]int{}, plans: open(t), tasks: open(t), facts: distribute.Facts{Files: map[string]plan.File{}, Stats: map[string][]map[string]distribute.Range{}}}
	files, err := filepath.Glob(filepath.Join(dir, "*.parquet"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	p.addFiles(t, files)
	for _, f := range files {
		p.exec(t, p.plans, fmt.Sprintf("CREATE VIEW %s AS FROM '%s'", strings.TrimSuffix(filepath.Base(f), ".parquet"), f))
	}
	return p
}

// tableFormat is a made-up format: a piece is a run of rows of a table that the
// engine of the tasks has in a schema of its own. It has all of DuckDB's types.
const tableFormat plan.Format = "table"

// newTables has the tables that a script makes.
func newTables(t testing.TB, setup string) *pond {
	t.Helper()
	p := &pond{adapts: map[string]int{}, plans: open(t), tasks: open(t), facts: distribute.Facts{Tables: map[string]distribute.Table{}}}
	p.exec(t, p.plans, setup)
	p.exec(t, p.tasks, "CREATE SCHEMA hidden; USE hidden;"+setup+";USE main")
	p.addTables(t)
	return p
}

func (p *pond) addTables(t testing.TB) {
	t.Helper()
	tables, err := ducktest.Fetch(t.Context(), p.plans, "SELECT table_name, estimated_size::VARCHAR FROM duckdb_tables()")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range tables {
		rows, _ := strconv.ParseInt(r[1], 10, 64)
		s, err := p.plans.Schema(t.Context(), "FROM "+r[0])
		if err != nil {
			t.Fatal(err)
		}
		tab := distribute.Table{Format: tableFormat}
		for _, f := range s.Fields {
			tab.Columns = append(tab.Columns, plan.Column{Name: f.Name, Type: f.Type.SQL})
		}
		tab.Files = []plan.File{{Path: r[0], Size: rows * 100, Groups: []plan.RowGroup{{Rows: rows, Bytes: rows * 100}}}}
		p.facts.Tables[`"memory"."main".`+lexer.QuoteName(r[0])] = tab
	}
}

func tableSQL(s *plan.Scan, pieces []plan.Piece) string {
	list := make([]string, len(s.Options.Columns))
	for i, c := range s.Options.Columns {
		list[i] = lexer.QuoteName(c)
	}
	parts := []string{"SELECT " + strings.Join(list, ", ") + " FROM hidden." + lexer.QuoteName(s.Like) + " WHERE false"}
	for _, p := range pieces {
		sql := "SELECT " + strings.Join(list, ", ") + " FROM hidden." + lexer.QuoteName(p.Path)
		if !p.Whole {
			sql += fmt.Sprintf(" WHERE rowid BETWEEN %d AND %d", p.Start, p.Start+p.Rows-1)
		}
		parts = append(parts, sql)
	}
	return strings.Join(parts, " UNION ALL ")
}

func (p *pond) addFiles(t testing.TB, files []string) {
	t.Helper()
	feet, err := p.plans.Footers(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	for _, foot := range feet {
		st, err := os.Stat(foot.Path)
		if err != nil {
			t.Fatal(err)
		}
		f := plan.File{Path: foot.Path, Size: st.Size(), Groups: []plan.RowGroup{}}
		var stats []map[string]distribute.Range
		for _, g := range foot.Groups {
			f.Groups = append(f.Groups, plan.RowGroup{Rows: g.Rows, Bytes: g.Bytes})
			cols := map[string]distribute.Range{}
			for i, c := range g.Stats {
				cols[strings.ToLower(c.Name)] = distribute.Range{Type: foot.Columns[i].Type, Known: c.HasStats, Min: c.Min, Max: c.Max, Nulls: c.Nulls, Distinct: c.Distinct, Bytes: c.Bytes}
			}
			stats = append(stats, cols)
		}
		p.facts.Files[f.Path] = f
		p.facts.Stats[f.Path] = stats
	}
}

func open(t testing.TB) *duck.Engine {
	t.Helper()
	e, err := duck.Open(t.Context(), duck.Config{Threads: 1, Memory: 512 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func (p *pond) exec(t testing.TB, e *duck.Engine, sql string) {
	t.Helper()
	if _, err := e.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s\n%v", sql, err)
	}
}

// answer is a query's columns and rows, every value as text.
type answer struct {
	names, types []string
	rows         [][]string
}

func ask(ctx context.Context, e *duck.Engine, query string) (*answer, error) {
	s, err := e.Schema(ctx, query)
	if err != nil {
		return nil, err
	}
	a := &answer{}
	list := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		a.names, a.types = append(a.names, f.Name), append(a.types, f.Type.SQL)
		list[i] = fmt.Sprintf("CAST(c%d AS VARCHAR)", i)
	}
	cols := make([]string, len(list))
	for i := range cols {
		cols[i] = fmt.Sprintf("c%d", i)
	}
	a.rows, err = ducktest.Fetch(ctx, e, "SELECT "+strings.Join(list, ", ")+" FROM ("+query+") AS q("+strings.Join(cols, ", ")+")")
	return a, err
}

// tree is the query as DuckDB plans it, with the optimizers off that a node turns off.
func (p *pond) tree(ctx context.Context, sql string) (*logical.Plan, error) {
	text, names := "", []string(nil)
	for i, off := range logical.OptimizerTries() {
		var err error
		if names, text, err = p.serialize(ctx, sql, off); errors.Is(err, duck.ErrInternal) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !strings.Contains(text[:min(len(text), 100)], `"error_type":"internal"`) {
			p.tries[i]++
			break
		}
	}
	return logical.Decode([]byte(text), names)
}

func (p *pond) serialize(ctx context.Context, sql, disabled string) (names []string, text string, err error) {
	if _, err := p.plans.Exec(ctx, "SET disabled_optimizers = '"+disabled+"'"); err != nil {
		return nil, "", err
	}
	defer func() {
		if _, e := p.plans.Exec(ctx, "SET disabled_optimizers = ''"); err == nil {
			err = e
		}
	}()
	s, err := p.plans.Schema(ctx, sql)
	if err != nil {
		return nil, "", err
	}
	for _, f := range s.Fields {
		names = append(names, f.Name)
	}
	rows, err := ducktest.Fetch(ctx, p.plans, "SELECT json_serialize_plan("+lexer.QuoteText(sql)+", optimize := true)::VARCHAR")
	if err != nil {
		return nil, "", err
	}
	return names, rows[0][0], nil
}

// check runs sql as a job and compares with DuckDB. The job is returned in any
// case, if there is one.
func (p *pond) check(ctx context.Context, sql string, o distribute.Options) (*plan.Job, error) {
	want, wrong := ask(ctx, p.plans, sql)
	if s := fmt.Sprint(wrong); strings.Contains(s, "FATAL") || strings.Contains(s, "INTERNAL") || strings.Contains(s, "broken") {
		return nil, errBroken
	}
	if errors.Is(wrong, duck.ErrMemory) || want != nil && len(want.rows) > mostRows {
		return nil, errHuge
	}
	tree, err := p.tree(ctx, sql)
	if err != nil {
		if wrong != nil {
			return nil, errWrong{wrong}
		}
		return nil, err
	}
	o.JobID, o.Force = "job", true
	planned, err := distribute.Plan(&distribute.Query{Tree: tree, SQL: sql}, p.facts, o)
	if err != nil {
		return nil, err
	}
	if len(planned.Stages) == 1 && planned.Stages[0].Query == sql {
		return planned.Job, errSingleTask
	}
	job, got, err := p.run(ctx, planned)
	if wrong != nil || err != nil {
		if wrong != nil && err != nil && sort(wrong) == sort(err) {
			return job, nil
		}
		if err == nil && strings.Contains(sort(wrong), "Not implemented") {
			return job, errWrong{wrong} // it has no operator for a join that the pieces do not need
		}
		return job, fmt.Errorf("error: %v, want %v", err, wrong)
	}
	return job, got.same(want, ducktest.Sorted(tree.Root))
}

const mostRows = 30_000 // of an answer

var (
	errSingleTask = errors.New("the query runs whole")
	errHuge       = errors.New("the answer is too large to compare")
	errBroken     = errors.New("DuckDB itself breaks over the query") // and answers nothing more
)

// errWrong is DuckDB's own error, for what it does not plan or run either.
type errWrong struct{ error }

// sort is what sort of error DuckDB found. Which of several rows that are wrong
// it meets first is another matter.
func sort(err error) string {
	m := regexp.MustCompile(`\w[\w ]* Error`).FindAllString(err.Error(), 1)
	return strings.Join(m, "")
}

func segment(stage, task int) string { return fmt.Sprintf("segment_%d_%d", stage, task) }

// task runs one task: its rows are kept with their partition, or returned if it
// is of the last stage.
func (p *pond) task(ctx context.Context, job *plan.Job, stage, task, tasks int, up map[int][]plan.SegmentInfo) (info plan.SegmentInfo, out *answer, err error) {
	in, err := plan.Assign(job, stage, task, up)
	if err != nil {
		return info, nil, err
	}
	s := job.Stages[stage]
	off := ""
	if s.Optimized {
		off = "join_order" // as package engines has it
	}
	if _, err := p.tasks.Exec(ctx, "SET disabled_optimizers = '"+off+"'"); err != nil {
		return info, nil, err
	}
	var drop []string
	defer func() {
		slices.Reverse(drop)
		for _, d := range drop {
			p.tasks.Exec(context.WithoutCancel(ctx), "DROP "+d)
		}
	}()
	create := func(kind, name, sql string) error {
		if _, err := p.tasks.Exec(ctx, "CREATE TEMP "+kind+" "+lexer.QuoteName(name)+" AS "+sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
		drop = append(drop, kind+" "+lexer.QuoteName(name))
		return nil
	}
	for k, input := range s.Inputs {
		sql := ""
		switch {
		case input.Scan != nil && input.Scan.Format == tableFormat:
			sql = tableSQL(input.Scan, in.Parts[k].Pieces)
		case input.Scan != nil:
			sql = input.Scan.SQL(in.Parts[k].Pieces)
		default:
			sql = readSQL(job, in.Parts[k].Blocks, input.Read)
		}
		if err := create("VIEW", input.View, sql); err != nil {
			return info, nil, err
		}
	}
	steps, query := s.Bind(task, tasks)
	for _, st := range steps {
		kind := "VIEW"
		if st.Materialize {
			kind = "TABLE"
		}
		if err := create(kind, st.View, st.SQL); err != nil {
			return info, nil, err
		}
	}
	if stage == len(job.Stages)-1 {
		out, err = ask(ctx, p.tasks, query)
		if err != nil {
			err = fmt.Errorf("%s: %w", query, err)
		}
		return info, out, err
	}
	return p.leave(ctx, job, s, &in, query, segment(stage, task))
}

// leave keeps a task's rows in a table, numbered, with the partition of each.
func (p *pond) leave(ctx context.Context, job *plan.Job, s *plan.Stage, in *plan.TaskInput, query, table string) (info plan.SegmentInfo, out *answer, err error) {
	x := &s.Exchange
	part := "0"
	switch x.Kind {
	case plan.Hash:
		keys := make([]string, len(x.Keys))
		copy(keys, x.Keys)
		schema, err := p.tasks.Schema(ctx, "SELECT "+strings.Join(keys, ", ")+" FROM ("+query+")")
		if err != nil {
			return info, nil, fmt.Errorf("%v: %s: %w", keys, query, err)
		}
		for i, f := range schema.Fields {
			keys[i] = canonical(keys[i], f.Type.SQL)
		}
		part = fmt.Sprintf("hash(%s) %% %d", strings.Join(keys, ", "), x.Partitions)
	case plan.Range:
		bounds := readSQL(job, in.Bounds, &plan.Read{Stages: []int{x.Bounds}, How: plan.ReadAll})
		part = "(SELECT count(*) FROM (" + bounds + ") WHERE k < " + x.SortKey() + ")"
	}
	if _, err := p.tasks.Exec(ctx, fmt.Sprintf(`CREATE OR REPLACE TABLE %s AS SELECT *, CAST(%s AS INTEGER) AS "#p", row_number() OVER () AS "#o" FROM (%s)`, table, part, query)); err != nil {
		return info, nil, fmt.Errorf("%s: %w", query, err)
	}
	rows, err := ducktest.Fetch(ctx, p.tasks, fmt.Sprintf(`SELECT CAST("#p" AS VARCHAR), CAST(count(*) AS VARCHAR) FROM %s GROUP BY 1`, table))
	if err != nil {
		return info, nil, err
	}
	info = plan.SegmentInfo{Rows: make([]int64, x.Partitions), Bytes: make([]int64, x.Partitions)}
	for _, r := range rows {
		at, _ := strconv.Atoi(r[0])
		info.Rows[at], _ = strconv.ParseInt(r[1], 10, 64)
		info.Bytes[at] = info.Rows[at] * 100
	}
	return info, nil, nil
}

// canonical is a key of which equal numbers of any type have DuckDB's hash in
// common, as they have Pond's.
func canonical(key, typ string) string {
	switch {
	case strings.HasSuffix(typ, "INT") || typ == "INTEGER" || typ == "UINTEGER":
		if typ != "UHUGEINT" {
			return "CAST(" + key + " AS HUGEINT)"
		}
	case strings.HasPrefix(typ, "DECIMAL") && !strings.HasSuffix(typ, "]"):
		return "CASE WHEN CAST(" + key + " AS VARCHAR) LIKE '%.%' THEN rtrim(rtrim(CAST(" + key + " AS VARCHAR), '0'), '.') ELSE CAST(" + key + " AS VARCHAR) END"
	case typ == "FLOAT":
		return "CAST(" + key + " AS DOUBLE)"
	}
	return key
}

// readSQL is the rows of blocks. Unless they are read in order they come in
// quite another.
func readSQL(job *plan.Job, blocks []plan.Blocks, read *plan.Read) string {
	var parts []string
	for _, u := range read.Stages {
		n := len(parts)
		for _, b := range blocks {
			if b.Stage == u {
				parts = append(parts, fmt.Sprintf(`SELECT * EXCLUDE ("#p", "#o") FROM (FROM %s WHERE "#p" >= %d AND "#p" < %d ORDER BY "#o" LIMIT %d OFFSET %d)`,
					segment(b.Stage, b.Segment), b.Partition, b.Partition+b.Count, b.Rows, b.Skip))
			}
		}
		if !read.Ordered {
			slices.Reverse(parts[n:])
			for i := range parts[n:] {
				parts[n+i] = strings.Replace(parts[n+i], `ORDER BY "#o"`, `ORDER BY "#o" DESC`, 1)
			}
		}
		if len(parts) == n {
			parts = append(parts, fmt.Sprintf(`SELECT * EXCLUDE ("#p", "#o") FROM %s WHERE false`, segment(u, 0)))
		}
	}
	return strings.Join(parts, " UNION ALL ")
}

// same compares as multisets, and in order when there is one.
func (a *answer) same(want *answer, ordered bool) error {
	if !slices.Equal(a.names, want.names) || !slices.Equal(a.types, want.types) {
		return fmt.Errorf("columns %q %q, want %q %q", a.names, a.types, want.names, want.types)
	}
	if len(a.rows) != len(want.rows) {
		return fmt.Errorf("%d rows, want %d: %.1000v, want %.1000v", len(a.rows), len(want.rows), a.rows, want.rows)
	}
	got, expected := slices.Clone(a.rows), slices.Clone(want.rows)
	if !ordered {
		slices.SortFunc(got, want.compare)
		slices.SortFunc(expected, want.compare)
	}
	for i := range expected {
		for j := range expected[i] {
			if !sameValue(got[i][j], expected[i][j], want.types[j]) {
				return fmt.Errorf("row %d column %d: %.500q, want %.500q", i, j, got[i], expected[i])
			}
		}
	}
	return nil
}

// compare orders rows by what must be equal first, then by what need only be near.
func (a *answer) compare(x, y []string) int {
	near := func(i int) bool { return a.types[i] == "DOUBLE" || a.types[i] == "FLOAT" }
	for i := range x {
		if c := strings.Compare(x[i], y[i]); c != 0 && !near(i) {
			return c
		}
	}
	for i := range x {
		a, err1 := strconv.ParseFloat(x[i], 64)
		b, err2 := strconv.ParseFloat(y[i], 64)
		if c := cmp.Or(cmp.Compare(a, b), strings.Compare(fmt.Sprint(err1), fmt.Sprint(err2))); c != 0 && near(i) {
			return c
		}
	}
	return 0
}

func sameValue(got, want, typ string) bool {
	if got == want {
		return true
	}
	if typ != "DOUBLE" && typ != "FLOAT" && (typ != "VARCHAR" || len(want) < 15) { // SUMMARIZE makes texts of numbers
		return false
	}
	a, err1 := strconv.ParseFloat(got, 64)
	b, err2 := strconv.ParseFloat(want, 64)
	return err1 == nil && err2 == nil && math.Abs(a-b) <= max(1e-9*max(math.Abs(a), math.Abs(b)), 1e-13)
}
