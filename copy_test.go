//go:build duckdb_arrow

package pond_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
)

// copyRows are what the tests of COPY write: texts that want quoting, dates,
// nulls, and keys that want escaping in the names of folders.
const copyRows = `SELECT i, i % 3 AS p, i / 7 AS x, CASE WHEN i % 5 > 0 THEN 'a,"b'';|' || i % 4 || chr(10) END AS s, DATE '2024-02-28' + i::INTEGER AS d,
	TIMESTAMP '2024-02-28 12:34:56.789' + INTERVAL (i) MINUTE AS ts, i % 2 = 0 AS b,
	CASE i % 6 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN 'a/b=c d' WHEN 3 THEN 'ä%2F:?' WHEN 4 THEN '..' ELSE 'null' END AS k FROM range(500) t(i)`

// copies are what follows COPY … TO, and what reads it back; {} is the target, in
// DuckDB and in Pond alike.
var copies = []struct{ copy, read string }{
	{"'{}'", "FROM read_csv('{}')"},
	{"'{}' (FORMAT parquet)", "FROM read_parquet('{}')"},
	{"'{}' (FORMAT parquet, OVERWRITE)", "FROM read_parquet('{}')"},
	{"'{}' (FORMAT parquet, OVERWRITE_OR_IGNORE, USE_TMP_FILE false, PRESERVE_ORDER true)", "FROM read_parquet('{}')"},
	{"'{}.parquet'", "FROM '{}.parquet'"},
	{"'{}.csv'", "FROM '{}.csv'"},
	{"'{}.tsv'", "FROM '{}.tsv'"},
	{"'{}.txt'", "FROM read_csv('{}.txt')"},
	{"'{}.csv.gz'", "FROM '{}.csv.gz'"},
	{"'{}.json'", "FROM '{}.json'"},
	{"'{}.ndjson'", "FROM '{}.ndjson'"},
	{"'{}.json.gz'", "FROM '{}.json.gz'"},
	{"'{}.parquet' (FORMAT csv)", "FROM read_csv('{}.parquet')"},
	{"'{}.csv' (HEADER false)", "FROM read_text('{}.csv') SELECT content"},
	{"'{}.csv' (HEADER, DELIM ';', QUOTE '''', ESCAPE '''')", "FROM read_text('{}.csv') SELECT content"},
	{"'{}.csv' (DELIMITER '|', FORCE_QUOTE (i, s))", "FROM read_text('{}.csv') SELECT content"},
	{"'{}.csv' (FORCE_QUOTE *, NULLSTR 'none')", "FROM read_text('{}.csv') SELECT content"},
	{"'{}.csv' (DATEFORMAT '%d.%m.%y', TIMESTAMPFORMAT '%H:%M %A')", "FROM read_text('{}.csv') SELECT content"},
	{"'{}.csv' (PREFIX '[', SUFFIX ']', NEW_LINE ',', HEADER false)", "FROM read_text('{}.csv') SELECT content"},
	{"'{}.csv' (COMPRESSION gzip)", "FROM read_csv('{}.csv', compression = 'gzip')"},
	{"'{}.csv' (COMPRESSION zstd)", "FROM read_csv('{}.csv', compression = 'zstd')"},
	{"'{}.json' (ARRAY)", "FROM read_text('{}.json') SELECT content"},
	{"'{}.json' (DATEFORMAT '%d.%m.%y', TIMESTAMPFORMAT '%H:%M %A')", "FROM read_text('{}.json') SELECT content"},
	{"'{}.parquet' (COMPRESSION zstd, COMPRESSION_LEVEL 3)", "FROM parquet_metadata('{}.parquet') SELECT DISTINCT compression"},
	{"'{}.parquet' (COMPRESSION uncompressed, ROW_GROUP_SIZE 100)", "FROM '{}.parquet'"},
	{"'{}.parquet' (KV_METADATA {a: 'it''s', b: 'x'})", "FROM parquet_kv_metadata('{}.parquet') SELECT key, value"},
	{"'{}.parquet' (FIELD_IDS {i: 7, s: 9})", "FROM parquet_schema('{}.parquet') SELECT name, field_id"},
	{"'{}.parquet' (PARQUET_VERSION v2)", "FROM '{}.parquet'"},
	{"'{}.parquet' (DICTIONARY_SIZE_LIMIT 10, STRING_DICTIONARY_PAGE_SIZE_LIMIT 1000, BLOOM_FILTER_FALSE_POSITIVE_RATIO 0.1)", "FROM '{}.parquet'"},
	{"'{}.parquet' (FILENAME_PATTERN 'x_{uuid}', FILE_EXTENSION 'y')", "FROM '{}.parquet'"},
	{"'{}.parquet' (WRITE_PARTITION_COLUMNS true, WRITE_EMPTY_FILE true)", "FROM '{}.parquet'"},
	{"'{}' (FORMAT parquet, PER_THREAD_OUTPUT)", "FROM '{}/*.parquet'"},
	{"'{}' (FORMAT parquet, PER_THREAD_OUTPUT, FILE_EXTENSION 'pq')", "FROM read_parquet('{}/*.pq')"},
	{"'{}' (FORMAT csv, PER_THREAD_OUTPUT, COMPRESSION gzip)", "FROM read_csv('{}/*.csv.gz')"},
	{"'{}' (FORMAT csv, FILE_SIZE_BYTES '4kb')", "FROM '{}/*.csv'"},
	{"'{}' (FORMAT parquet, ROW_GROUPS_PER_FILE 1)", "FROM '{}/*.parquet'"},
	{"'{}' (FORMAT parquet, PARTITION_BY p)", "FROM '{}/*/*.parquet'"},
	{"'{}' (FORMAT parquet, PARTITION_BY (k))", "FROM read_parquet('{}/*/*.parquet', hive_types = {k: VARCHAR})"},
	{"'{}' (FORMAT csv, PARTITION_BY (p, \"k\"))", "FROM read_csv('{}/*/*/*.csv', hive_types = {k: VARCHAR})"},
	{"'{}' (FORMAT parquet, PARTITION_BY p, WRITE_PARTITION_COLUMNS)", "FROM read_parquet('{}/*/*.parquet', hive_partitioning = false)"},
	{"'{}' (FORMAT parquet, PARTITION_BY p, FILENAME_PATTERN 'x_{uuid}', FILE_EXTENSION 'pq')", "FROM read_parquet('{}/p=*/x_*.pq')"},
	{"'{}' (FORMAT csv, PARTITION_BY p, COMPRESSION gzip)", "FROM '{}/*/*.csv.gz'"},
	{"'{}' (FORMAT parquet, PARTITION_BY p, OVERWRITE_OR_IGNORE)", "FROM '{}/*/*.parquet'"},
	{"'{}' (FORMAT parquet, PARTITION_BY p, OVERWRITE)", "FROM '{}/*/*.parquet'"},
	{"'{}' (FORMAT parquet, PARTITION_BY p, APPEND)", "FROM '{}/*/*.parquet'"},
	// Neither takes these.
	{"'{}.parquet' (ROW_GROUP_SIZE_BYTES '1MB')", ""},
	{"'{}' (FORMAT json, PARTITION_BY p)", ""},
	{"'{}' (FORMAT parquet, PARTITION_BY p, APPEND, OVERWRITE)", ""},
	{"'{}' (FORMAT parquet, PARTITION_BY p, PER_THREAD_OUTPUT)", ""},
	{"'{}' (FORMAT csv, PARTITION_BY p, FILE_SIZE_BYTES 1000)", ""},
	{"'{}' (FORMAT parquet, PARTITION_BY (i, p, x, s, d, ts, b, k))", ""},
	{"'{}' (FORMAT parquet, PARTITION_BY (nosuch))", ""},
	{"'{}.parquet' (HEADER)", ""},
	{"'{}.csv' (NO_SUCH_OPTION 1)", ""},
	{"'{}.csv' (HEADER, header false)", ""},
	{"'{}.csv' (DELIM ',', SEP ';')", ""},
	{"'{}.csv' (COMPRESSION nosuch)", ""},
}

// TestCopyOptions runs each COPY twice, by one DuckDB and through Pond, and
// compares what is read back, and which files and folders there are.
func TestCopyOptions(t *testing.T) {
	d := newSingle(t)
	node := pondtest.New(t, 2)[0]
	in := copyInput(t, d)
	for how, options := range map[string][]pond.JobOption{"plain": nil, "forced": {pond.Force(true), pond.Partitions(3)}} {
		for _, c := range copies {
			t.Run(how+" "+c.copy, func(t *testing.T) {
				ours, theirs := t.TempDir(), t.TempDir()
				folder := len(folderOptions.FindString(c.copy)) > 0
				statement := "COPY (FROM '" + in + "/*.parquet'"
				if !folder {
					statement += " ORDER BY i"
				}
				statement += ") TO " + c.copy
				written := false
				for range 2 {
					_, want := d.e.Exec(testContext(t), strings.ReplaceAll(statement, "{}", theirs+"/t"))
					_, err := node.SQL(testContext(t), strings.ReplaceAll(statement, "{}", ours+"/t"), options...)
					if (err == nil) != (want == nil) {
						t.Fatalf("DuckDB says %v, Pond %v", want, err)
					}
					written = written || err == nil
				}
				if written != (c.read != "") {
					t.Fatalf("written: %t", written)
				}
				if !written {
					wantNoStaging(t, ours)
					return
				}
				d := &single{t, d.e}
				got, want := d.sorted(strings.ReplaceAll(c.read, "{}", ours+"/t")), d.sorted(strings.ReplaceAll(c.read, "{}", theirs+"/t"))
				if len(want) == 0 || !slices.Equal(got, want) {
					t.Errorf("%d rows %.300q\nwant %d %.300q", len(got), got, len(want), want)
				}
				if got, want := entries(t, ours, folder), entries(t, theirs, folder); !slices.Equal(got, want) {
					t.Errorf("there are %q, want %q", got, want)
				}
			})
		}
	}
}

// folderOptions are those that make a folder of the target.
var folderOptions = regexp.MustCompile("PARTITION_BY|PER_THREAD_OUTPUT|FILE_SIZE_BYTES|ROW_GROUPS_PER_FILE")

// entries are the names below dir, without the files of folders.
func entries(t *testing.T, dir string, folder bool) []string {
	return slices.DeleteFunc(names(t, dir), func(name string) bool {
		fi, err := os.Stat(filepath.Join(dir, name))
		return err != nil || folder && !fi.IsDir()
	})
}

func (d *single) sorted(sql string) []string {
	d.t.Helper()
	return slices.Sorted(slices.Values(d.query(sql).rows))
}

// copyInput is copyRows in several files.
func copyInput(t *testing.T, d *single) string {
	dir := t.TempDir()
	for i := range 3 {
		d.exec("COPY (FROM (%s) WHERE i %% 3 = %d) TO '%s/%d.parquet'", copyRows, i, dir, i)
	}
	return dir
}

// TestCopyNullKey: NULL and the text that stands for it in names of folders share
// a folder, and both are kept.
func TestCopyNullKey(t *testing.T) {
	node := pondtest.New(t, 1)[0]
	d := newSingle(t)
	for _, force := range []bool{false, true} {
		dir := t.TempDir() + "/out"
		const rows = "SELECT * FROM (VALUES (1, NULL), (2, '__HIVE_DEFAULT_PARTITION__'), (3, 'x')) t(i, k)"
		if _, err := node.SQL(testContext(t), "COPY ("+rows+") TO '"+dir+"' (FORMAT parquet, PARTITION_BY k)", pond.Force(force)); err != nil {
			t.Fatal(err)
		}
		d.same(t, node.ReadParquet(dir, pond.HivePartitioning()).Select("i"), "SELECT unnest([1, 2, 3]) AS i")
	}
}

// TestCopyOptionsRefused: what Pond does not take and DuckDB does, with what to do
// instead.
func TestCopyOptionsRefused(t *testing.T) {
	node := pondtest.New(t, 1)[0]
	dir := t.TempDir()
	for options, want := range map[string]string{
		"' (APPEND)": "'folder/' (APPEND)", "/' (FILENAME_PATTERN 'x_{i}')": "{uuid}", "' (RETURN_STATS)": "parquet_metadata",
		"' (WRITE_EMPTY_FILE false)": "leave it out", "' (FORMAT xlsx)": "parquet, csv", "' (PARTITION_BY *)": "(a, b)",
		"/.' ": "slash", "' (PARTITION_BY (a, A))": "once",
	} {
		_, err := node.SQL(testContext(t), "COPY (SELECT 1 AS a, 2 AS b) TO '"+dir+options)
		wantError(t, err, pond.ErrQuery, want)
	}
	wantNoStaging(t, dir)
}

// TestCopyManyFiles: a task may write any number of files. Where they go to many folders,
// the rows of a folder are written by one task, or a few if they are most of all; a
// query's order is kept within a file.
func TestCopyManyFiles(t *testing.T) {
	d := newSingle(t)
	nodes := pondtest.New(t, 2, pond.WithMemory(256<<20))
	const rows = "SELECT i, CASE WHEN i % 3 = 0 THEN 7 WHEN i % 50 > 0 THEN i % 300 END AS p, 'x' || i AS q FROM range(6000) t(i)"
	for name, c := range map[string]struct {
		query   string
		options []pond.JobOption
		most    int // files
	}{
		"plain": {rows, nil, 2 * 300}, "forced": {rows, []pond.JobOption{pond.Force(true), pond.Partitions(4)}, 300 + 8},
		"ordered": {rows + " ORDER BY hash(i)", []pond.JobOption{pond.Force(true), pond.Partitions(4)}, 300},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			if _, err := nodes[0].SQL(testContext(t), "COPY ("+c.query+") TO '"+dir+"' (FORMAT parquet, PARTITION_BY p)", c.options...); err != nil {
				t.Fatal(err)
			}
			d.same(t, nodes[1].ReadParquet(dir, pond.HivePartitioning()).Select("i", "p::BIGINT AS p", "q"), "SELECT i, p, q FROM ("+rows+")")
			files := "read_parquet('" + dir + "/*/*.parquet', filename = true, file_row_number = true)"
			if got := d.query(fmt.Sprintf("SELECT count(DISTINCT filename) <= %d FROM %s", c.most, files)).rows[0]; got != "true" {
				t.Errorf("there are more than %d files", c.most)
			}
			late := "SELECT i FROM (SELECT i, hash(i) < lag(hash(i)) OVER (PARTITION BY filename ORDER BY file_row_number) AS late FROM " + files + ") WHERE late"
			if got := d.query(late).rows; name == "ordered" && len(got) > 0 {
				t.Errorf("%d rows are not in order", len(got))
			}
			wantNoStaging(t, filepath.Dir(dir), "out")
		})
	}
}
