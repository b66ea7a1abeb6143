//go:build duckdb_arrow

package pond_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/vec"
)

// TestMain has the tests' nodes run DuckDB in engine processes, which are this program
// again.
func TestMain(m *testing.M) {
	if pond.Main() {
		return
	}
	os.Exit(m.Run())
}

const mib = 1 << 20

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// lines is a result as text, a line a row.
func lines(t *testing.T, rows *pond.Rows, err error) []string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for rec, err := range rows.All() {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, recordLines(rec)...)
	}
	return out
}

func recordLines(rec arrow.RecordBatch) []string {
	out := make([]string, rec.NumRows())
	for i := range out {
		cells := make([]string, rec.NumCols())
		for c := range cells {
			cells[c] = rec.Column(c).ValueStr(i)
			if d, ok := rec.Column(c).(*array.Decimal128); ok && d.IsValid(i) { // ValueStr rounds
				cells[c] = d.Value(i).BigInt().String() + "e-" + strconv.Itoa(int(d.DataType().(*arrow.Decimal128Type).Scale))
			}
		}
		out[i] = strings.Join(cells, "|")
	}
	return out
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func sorted(s []string) []string { slices.Sort(s); return s }

const flights = "cmd/pondnode/sample/*.parquet"

// oracle is one DuckDB's rows of a query, as lines.
func oracle(t *testing.T, sql string) []string {
	t.Helper()
	return newSingle(t).query(sql).rows
}

// oracleWith is oracle after some statements.
func oracleWith(t *testing.T, first, sql string) []string {
	t.Helper()
	d := newSingle(t)
	d.exec("%s", first)
	return d.query(sql).rows
}

// table is a result as text: its columns as "name TYPE", its rows as lines.
type table struct{ columns, rows []string }

func columnsOf(s *arrow.Schema) []string {
	var out []string
	for _, f := range s.Fields() {
		out = append(out, f.Name+" "+f.Type.String())
	}
	return out
}

// rowsOf reads a result. Its rows are in order of partition.
func rowsOf(t *testing.T, rows *pond.Rows, err error) table {
	t.Helper()
	got := lines(t, rows, err)
	if int64(len(got)) != rows.Len() {
		t.Fatalf("%d rows came, Len says %d", len(got), rows.Len())
	}
	return table{columnsOf(rows.Schema), got}
}

// collect runs df.
func collect(t *testing.T, df *pond.DataFrame) table {
	t.Helper()
	rows, err := df.Collect(testContext(t))
	return rowsOf(t, rows, err)
}

// single is the answer of one DuckDB.
type single struct {
	t *testing.T
	e *duck.Engine
}

func newSingle(t *testing.T) *single {
	t.Helper()
	e, err := duck.Open(testContext(t), duck.Config{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return &single{t, e}
}

// exec runs a statement, such as a COPY that makes a test's file.
func (d *single) exec(format string, args ...any) {
	d.t.Helper()
	if _, err := d.e.Exec(testContext(d.t), fmt.Sprintf(format, args...)); err != nil {
		d.t.Fatal(err)
	}
}

func (d *single) query(sql string) table {
	d.t.Helper()
	out, err := d.try(sql)
	if err != nil {
		d.t.Fatal(err)
	}
	return out
}

// try is query, of what may fail.
func (d *single) try(sql string) (table, error) {
	ctx := testContext(d.t)
	schema, err := d.e.Schema(ctx, sql)
	if err != nil {
		return table{}, err
	}
	columns, _ := api.PlainSchema(schema.Arrow())
	out := table{columns: columnsOf(columns)}
	b := vec.NewBuilder(schema, memory.DefaultAllocator)
	defer b.Release()
	_, err = d.e.Fetch(ctx, sql, func(c *vec.Chunk) error {
		if err := b.Append(c, nil, 0); err != nil {
			return err
		}
		rec, err := b.Batch()
		if err != nil {
			return err
		}
		defer rec.Release()
		if rec, err = api.PlainBatch(rec, columns); err != nil {
			return err
		}
		defer rec.Release()
		out.rows = append(out.rows, recordLines(rec)...)
		return nil
	})
	return out, err
}

// same checks that df gives what one DuckDB gives for sql, in any order.
func (d *single) same(t *testing.T, df *pond.DataFrame, sql string) {
	t.Helper()
	got, want := collect(t, df), d.query(sql)
	slices.Sort(got.rows)
	slices.Sort(want.rows)
	sameTable(t, got, want)
}

// sameOrder checks that the rows come in the same order too.
func (d *single) sameOrder(t *testing.T, df *pond.DataFrame, sql string) {
	t.Helper()
	sameTable(t, collect(t, df), d.query(sql))
}

func sameTable(t *testing.T, got, want table) {
	t.Helper()
	if !slices.Equal(got.columns, want.columns) {
		t.Errorf("columns\n%s\nwant\n%s", strings.Join(got.columns, ", "), strings.Join(want.columns, ", "))
	}
	if slices.Equal(got.rows, want.rows) {
		return
	}
	at := 0
	for at < min(len(got.rows), len(want.rows)) && got.rows[at] == want.rows[at] {
		at++
	}
	show := func(s []string) string { return strings.Join(s[at:min(len(s), at+3)], "\n") }
	t.Fatalf("%d rows, want %d; from row %d on they differ:\n%s\nwant\n%s", len(got.rows), len(want.rows), at, show(got.rows), show(want.rows))
}

// wantError checks an error's sentinel, that it says all of texts, and that it
// names what was being done.
func wantError(t *testing.T, err, sentinel error, texts ...string) {
	t.Helper()
	if !errors.Is(err, sentinel) {
		t.Fatalf("the error is %v (%T), want one that is %q", err, err, sentinel)
	}
	for _, s := range texts {
		if !strings.Contains(fullText(err), s) {
			t.Errorf("the error is %q; it does not say %q", fullText(err), s)
		}
	}
	var pe *pond.Error
	if errors.As(err, &pe) && pe.Op == "" {
		t.Errorf("the error %q does not say what was being done", err)
	}
}

// fullText is an error with its hint.
func fullText(err error) string {
	var pe *pond.Error
	if errors.As(err, &pe) && pe.Hint != "" {
		return err.Error() + ": " + pe.Hint
	}
	return err.Error()
}

// collectErr runs df, which must fail.
func collectErr(t *testing.T, df *pond.DataFrame) error {
	t.Helper()
	rows, err := df.Collect(testContext(t))
	if err == nil {
		for _, err := range rows.All() {
			if err != nil {
				return err
			}
		}
		t.Fatal("it succeeded")
	}
	return err
}

// within polls until ok, and fails when that takes too long.
func within(t *testing.T, d time.Duration, what string, ok func() bool) {
	t.Helper()
	limit := time.After(d)
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !ok() {
		select {
		case <-poll.C:
		case <-limit:
			t.Fatalf("not within %v: %s", d, what)
		}
	}
}

// reused is how many tasks of a job were not run, and how many there were.
func reused(s *pond.Status) (n, of int) {
	for _, st := range s.Stages {
		n += st.Reused
		of += st.Tasks
	}
	return n, of
}

// planText is what EXPLAIN says.
func planText(t *testing.T, rows *pond.Rows) string {
	t.Helper()
	for rec, err := range rows.All() {
		if err != nil {
			t.Fatal(err)
		}
		return rec.Column(1).ValueStr(0)
	}
	t.Fatal("no row")
	return ""
}

// names lists what is in a folder and below, staging folders included.
func names(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if rel, _ := filepath.Rel(dir, path); err == nil && rel != "." {
			out = append(out, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// writeFile makes a file of a test and returns its path.
func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
