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

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
)

// wantNoStaging polls until nothing but want, and the lists of what outputs left, is
// in a folder: what a job staged is removed just after its end is told.
func wantNoStaging(t *testing.T, dir string, want ...string) {
	t.Helper()
	within(t, time.Minute, "the staging folder is gone", func() bool {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), ".pond_files") {
				got = append(got, e.Name())
			}
		}
		return slices.Equal(got, want)
	})
}

func TestWriteFormats(t *testing.T) {
	d := newSingle(t)
	node := pondtest.New(t, 3)[0]
	df := node.ReadParquet(flights).Repartition(4, pond.ByHash("origin"))
	from := "FROM '" + flights + "'"
	nested := node.Query(everyType + " FROM range(100) t(i)")
	for _, c := range []struct {
		format string
		read   func(string, ...pond.ReadOption) *pond.DataFrame
		sql    string // reads it back; empty: by Pond alone
	}{
		{"parquet", node.ReadParquet, "FROM '%s/*.parquet'"},
		{"csv", node.ReadCSV, "FROM '%s/*.csv'"},
		{"json", node.ReadJSON, "FROM '%s/*.json'"},
		{"arrow", node.ReadArrow, ""},
	} {
		t.Run(c.format, func(t *testing.T) {
			parent := t.TempDir()
			dir := filepath.Join(parent, "out")
			if err := df.Write(testContext(t), c.format, dir); err != nil {
				t.Fatal(err)
			}
			files, err := filepath.Glob(dir + "/part-*." + c.format)
			if err != nil || len(files) != 4 || len(names(t, dir)) != 4 {
				t.Errorf("files %v, %v", names(t, dir), err)
			}
			list := "origin, delay::INTEGER AS delay, distance::INTEGER AS distance"
			d.same(t, c.read(dir).Select(list), "SELECT "+list+" "+from)
			if c.sql != "" {
				d.same(t, node.ReadParquet(flights).Select(list), "SELECT "+list+" "+fmt.Sprintf(c.sql, dir))
			}
			wantNoStaging(t, parent, "out")
		})
	}
	for name, write := range map[string]func(*pond.DataFrame, string) error{
		"parquet": func(df *pond.DataFrame, dir string) error { return df.WriteParquet(testContext(t), dir) },
		"arrow":   func(df *pond.DataFrame, dir string) error { return df.WriteArrow(testContext(t), dir) },
	} {
		t.Run("every type, "+name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			// Parquet has not all of DuckDB's types.
			cols := "i, bo, i1, i2, i4, i8, u1, u2, u4, u8, f4, f8, d4, d9, d18, d38, s, bl, d, t, ts, tstz, id, li, lili, st, ma, js"
			if err := write(nested.Select(strings.Split(cols, ", ")...).Repartition(3, pond.ByRows()), dir); err != nil {
				t.Fatal(err)
			}
			back := map[string]func(string, ...pond.ReadOption) *pond.DataFrame{"parquet": node.ReadParquet, "arrow": node.ReadArrow}[name]
			d.same(t, back(dir), "SELECT "+cols+" FROM ("+everyType+" FROM range(100) t(i))")
		})
	}
	t.Run("no rows", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "out")
		if err := df.Filter("false").WriteParquet(testContext(t), dir); err != nil {
			t.Fatal(err)
		}
		d.same(t, node.ReadParquet(dir), "SELECT * "+from+" WHERE false")
	})
	t.Run("options", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "out")
		if err := df.WriteParquet(testContext(t), dir, pond.CopyOption("compression", "'zstd'"), pond.CopyOption("row_group_size", "2048")); err != nil {
			t.Fatal(err)
		}
		if got := d.query("SELECT DISTINCT compression FROM parquet_metadata('" + dir + "/*.parquet')"); !slices.Equal(got.rows, []string{"ZSTD"}) {
			t.Errorf("compressed by %v", got.rows)
		}
		csv := filepath.Join(t.TempDir(), "out")
		if err := df.Consolidate(1).Map("origin, delay").WriteCSV(testContext(t), csv, pond.CopyOption("delimiter", "'|'"), pond.CopyOption("header", "false")); err != nil {
			t.Fatal(err)
		}
		d.same(t, node.ReadParquet(flights).Map("origin, delay::BIGINT AS delay"), "SELECT column0 AS origin, column1 AS delay FROM read_csv('"+csv+"/*.csv', delim = '|', header = false)")
	})
	t.Run("no such option", func(t *testing.T) {
		parent := t.TempDir()
		wantError(t, df.WriteParquet(testContext(t), parent+"/out", pond.CopyOption("compresion", "'zstd'")), pond.ErrQuery, "compresion")
		wantNoStaging(t, parent)
	})
}

func TestWriteModes(t *testing.T) {
	d := newSingle(t)
	node := pondtest.New(t, 2)[1]
	one := node.FromRows([]string{"i", "INTEGER"}, []any{1})
	two := node.FromRows([]string{"i", "INTEGER"}, []any{2})
	parent := t.TempDir()
	dir := filepath.Join(parent, "a", "b", "out") // folders that are missing are made
	write := func(df *pond.DataFrame, o ...pond.WriteOption) error {
		return df.WriteParquet(testContext(t), dir, o...)
	}
	check := func(want string) {
		t.Helper()
		d.same(t, node.ReadParquet(dir), want)
		wantNoStaging(t, filepath.Dir(dir), "out")
	}
	if err := write(one); err != nil {
		t.Fatal(err)
	}
	check("SELECT 1 AS i")
	wantError(t, write(two), pond.ErrExists, dir, "overwrite or append")
	check("SELECT 1 AS i")
	if err := write(two, pond.Append()); err != nil {
		t.Fatal(err)
	}
	check("SELECT unnest([1, 2]) AS i")
	if err := write(two, pond.Append()); err != nil { // the same rows again, under names of their own
		t.Fatal(err)
	}
	check("SELECT unnest([1, 2, 2]) AS i")
	if err := write(one, pond.Overwrite()); err != nil {
		t.Fatal(err)
	}
	check("SELECT 1 AS i")
	if err := write(node.ReadParquet(dir).Union(two), pond.Overwrite()); err != nil { // reads what it replaces
		t.Fatal(err)
	}
	check("SELECT unnest([1, 2]) AS i")
	if err := write(node.ReadParquet(dir).Map("i + 10 AS i"), pond.Append()); err != nil {
		t.Fatal(err)
	}
	check("SELECT unnest([1, 2, 11, 12]) AS i")
	notes := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(notes, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantError(t, write(one, pond.Overwrite()), pond.ErrExists, "notes.txt", "OverwriteAll")
	d.same(t, node.ReadParquet(dir+"/*.parquet"), "SELECT unnest([1, 2, 11, 12]) AS i")
	if err := write(one, pond.OverwriteAll()); err != nil {
		t.Fatal(err)
	}
	check("SELECT 1 AS i")
	if _, err := os.Stat(notes); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was to go as well: %v", err)
	}
	empty := filepath.Join(parent, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := one.WriteParquet(testContext(t), empty); err != nil { // nothing in it: as if it were not there
		t.Fatal(err)
	}
	d.same(t, node.ReadParquet(empty), "SELECT 1 AS i")
}

func TestWriteHive(t *testing.T) {
	d := newSingle(t)
	node := pondtest.New(t, 3)[0]
	src := numbers(node.Session, 1000).Map("id, id % 3 AS n, CASE WHEN id % 4 > 0 THEN 'a/b=' || id % 4 END AS word")
	want := "SELECT range AS id, range %% 3 AS n, CASE WHEN range %% 4 > 0 THEN 'a/b=' || range %% 4 END AS word FROM range(%d)"
	for _, format := range []string{"parquet", "csv"} {
		t.Run(format, func(t *testing.T) {
			parent := t.TempDir()
			dir := filepath.Join(parent, "out")
			if err := src.Write(testContext(t), format, dir, pond.HiveFolders("n", "word")); err != nil {
				t.Fatal(err)
			}
			// 3 × 4 folders below 3, from 3 tasks each.
			files := slices.DeleteFunc(names(t, dir), func(s string) bool { return filepath.Ext(s) == "" })
			if len(files) != 3*12 {
				t.Errorf("%d files: %v", len(files), files)
			}
			read := map[string]func(string, ...pond.ReadOption) *pond.DataFrame{"parquet": node.ReadParquet, "csv": node.ReadCSV}[format]
			d.same(t, read(dir, pond.HivePartitioning()).Select("id", "n", "word"), fmt.Sprintf(want, 1000))
			if err := src.Filter("id < 100").Write(testContext(t), format, dir, pond.HiveFolders("n", "word"), pond.Append()); err != nil {
				t.Fatal(err)
			}
			d.same(t, read(dir, pond.HivePartitioning()).Select("id", "n", "word"), fmt.Sprintf(want, 1000)+" UNION ALL "+fmt.Sprintf(want, 100))
			wantNoStaging(t, parent, "out")
		})
	}
	for _, format := range []string{"arrow", "json"} {
		t.Run("not with "+format, func(t *testing.T) {
			wantError(t, src.Write(testContext(t), format, filepath.Join(t.TempDir(), "out"), pond.HiveFolders("n")), pond.ErrQuery, format, "Parquet or CSV")
		})
	}
	t.Run("no such column", func(t *testing.T) {
		parent := t.TempDir()
		wantError(t, src.WriteParquet(testContext(t), filepath.Join(parent, "out"), pond.HiveFolders("nix")), pond.ErrQuery, "nix")
		wantNoStaging(t, parent)
	})
}

// TestWriteStatus: a job that writes says which files and how many rows.
func TestWriteStatus(t *testing.T) {
	node := pondtest.New(t, 2)[0]
	src := numbers(node.Session, 1000).Map("id, id % 2 AS odd")
	for name, options := range map[string][]pond.WriteOption{"flat": nil, "hive": {pond.HiveFolders("odd")}} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			if err := src.WriteParquet(testContext(t), dir, options...); err != nil {
				t.Fatal(err)
			}
			js, err := node.Jobs(testContext(t))
			if err != nil || len(js) == 0 {
				t.Fatal(err)
			}
			job := js[0]
			for _, f := range job.Files {
				if _, err := os.Stat(filepath.Join(dir, f)); err != nil {
					t.Error(err)
				}
			}
			if job.State != "succeeded" || job.Rows != 1000 || len(job.Files) < 3 {
				t.Errorf("%s, %d rows, files %v", job.State, job.Rows, job.Files)
			}
		})
	}
}

// TestSortBeyondMemory sorts more than a node may hold. By itself it makes ranges that
// fit; told to make two, DuckDB has to spill them. The node's processes together never
// have more than they may.
func TestSortBeyondMemory(t *testing.T) {
	const budget, dataBytes, rowBytes = 256 * mib, 640 * mib, 128
	dir := t.TempDir()
	d := newSingle(t)
	in := filepath.Join(dir, "in.parquet")
	d.exec("COPY (SELECT hash(i)::VARCHAR AS k, i, repeat(hash(i + 1)::VARCHAR, 5)[:96] AS v FROM range(%d) t(i)) TO '%s' (ROW_GROUP_SIZE 20480)", dataBytes/rowBytes, in)
	want := d.query("SELECT count(*), sum(hash(k, i, v)) FROM '" + in + "'")
	node := pondtest.New(t, 1, pond.WithMemory(budget), pond.WithSlots(1))[0]
	for _, ranges := range []int{0, 2} {
		t.Run(fmt.Sprintf("%d ranges", ranges), func(t *testing.T) {
			out := filepath.Join(dir, strconv.Itoa(ranges))
			df := node.ReadParquet(in).Sort("k")
			if ranges > 0 {
				df = node.ReadParquet(in).Repartition(ranges, pond.ByRange("k")).PartialSort("k")
			}
			peak := peakOfChildren(t)
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // on a busy machine
			defer cancel()
			if err := df.WriteParquet(ctx, out); err != nil {
				t.Fatal(err)
			}
			most, looks := peak()
			t.Logf("%d MiB of memory at most", most/mib)
			if most > budget || looks == 0 {
				t.Errorf("%d MiB of memory at most in %d looks, %d are allowed", most/mib, looks, budget/mib)
			}
			sameTable(t, d.query("SELECT count(*), sum(hash(k, i, v)) FROM '"+out+"/*.parquet'"), want)
			if got := d.query("SELECT count(*) FROM (SELECT k < lag(k) OVER () AS falls FROM '" + out + "/*.parquet') WHERE falls"); got.rows[0] != "0" {
				t.Errorf("%s rows are less than the one before", got.rows[0])
			}
			jobs, err := node.Jobs(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			last := slices.MaxFunc(jobs, func(a, b *pond.Status) int { return a.Submitted.Compare(b.Submitted) })
			spilled, tasks := int64(0), 0
			for _, s := range last.Stages {
				spilled, tasks = spilled+s.Spill, s.Tasks
			}
			t.Logf("%d tasks sort, %d bytes spilled", tasks, spilled)
			if ranges == 0 && tasks < 5 || ranges > 0 && spilled == 0 {
				t.Errorf("%d tasks sort, %d bytes spilled", tasks, spilled)
			}
		})
	}
}

// peakOfChildren looks at the memory of this process's children, engine processes,
// until the function it returns is called: that tells the most that they had together.
// What they share, such as their program, is left out.
func peakOfChildren(t *testing.T) func() (bytes int64, looks int) {
	t.Helper()
	quit, done := make(chan struct{}), make(chan struct{})
	most, looks := int64(0), 0
	go func() {
		defer close(done)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			if sum := memoryOfChildren(); sum > 0 {
				most, looks = max(most, sum), looks+1
			}
		}
	}()
	return func() (int64, int) {
		close(quit)
		<-done
		return most, looks
	}
}

func memoryOfChildren() (sum int64) {
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	for _, name := range tasks {
		pids, _ := os.ReadFile(name)
		for _, pid := range strings.Fields(string(pids)) {
			statm, _ := os.ReadFile("/proc/" + pid + "/statm")
			if f := strings.Fields(string(statm)); len(f) > 2 {
				all, _ := strconv.ParseInt(f[1], 10, 64)
				shared, _ := strconv.ParseInt(f[2], 10, 64)
				sum += (all - shared) * int64(os.Getpagesize())
			}
		}
	}
	return sum
}
