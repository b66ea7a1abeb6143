//go:build duckdb_arrow

package output

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/ducktest"
	"github.com/pondmesh/pond/duck/vec"
)

// values are queries of one column c each: a type's ends, and what is awkward to write.
var values = []string{
	`SELECT unnest(['', ' ', 'a', 'NULL', 'null', 'a,b', 'say "hi"', E'two\nlines', E'\t', '''', '\', 'ü€😀', NULL]) AS c`,
	`SELECT unnest([0.0, -0.0, 1, -1, 0.1, 1e15, 1e16, 123456789012345678, 1e-4, 1e-5, 5e-324, 1.7976931348623157e308, 'nan', 'inf', '-inf', NULL]::DOUBLE[]) AS c`,
	`SELECT unnest([0, 0.1, 16777216, 1e-4, 1e-5, 3.4028235e38, 1e-45, 'nan', '-inf', NULL]::FLOAT[]) AS c`,
	`SELECT unnest(['-170141183460469231731687303715884105728', '170141183460469231731687303715884105727', '0', '-1', NULL]::HUGEINT[]) AS c`,
	`SELECT unnest(['340282366920938463463374607431768211455', '0', NULL]::UHUGEINT[]) AS c`,
	`SELECT unnest(['0', '-1', '1', '255', '256', '-256', '123456789012345678901234567890123456789012345678901234567890', NULL]::BIGNUM[]) AS c`,
	`SELECT unnest([0, -0.5, 999.9, NULL]::DECIMAL(4,1)[]) AS c`,
	`SELECT unnest([0, -0.01, 99999999999999999999999999999999999.999, NULL]::DECIMAL(38,3)[]) AS c`,
	`SELECT unnest(['infinity', '-infinity', '1970-01-01', '0001-01-01', '0001-01-01 (BC)', '5877642-06-25 (BC)', '5881580-07-10', '10000-01-01', NULL]::DATE[]) AS c`,
	`SELECT unnest(['00:00:00', '24:00:00', '12:34:56.789', '00:00:00.000001', NULL]::TIME[]) AS c`,
	`SELECT unnest(['00:00:00+00', '24:00:00-15:59:59', '12:34:56.7+05:30', NULL]::TIMETZ[]) AS c`,
	`SELECT unnest(['infinity', '-infinity', '1969-12-31 23:59:59.999999', '0044-03-15 (BC) 12:00:00', '290309-12-22 (BC) 00:00:00', '294247-01-10 04:00:54.775806', NULL]::TIMESTAMP[]) AS c`,
	`SELECT unnest(['infinity', '1969-12-31 23:59:59', NULL]::TIMESTAMP_S[]) AS c`,
	`SELECT unnest(['infinity', '1969-12-31 23:59:59.001', NULL]::TIMESTAMP_MS[]) AS c`,
	`SELECT unnest(['infinity', '1969-12-31 23:59:59.000000001', '2262-04-11 23:47:16.854775806', NULL]::TIMESTAMP_NS[]) AS c`,
	`SELECT unnest(['infinity', '1969-12-31 23:59:59.5+00', '1900-01-01 00:00:00+01', NULL]::TIMESTAMPTZ[]) AS c`,
	`SELECT unnest([INTERVAL 0 DAY, INTERVAL 1 MONTH, INTERVAL (-13) MONTH, INTERVAL (-1) DAY, INTERVAL 25 HOUR, INTERVAL (-1) MICROSECOND, INTERVAL '1 year 2 months 3 days 04:05:06.007', INTERVAL (-2147483648) MONTH, NULL]) AS c`,
	`SELECT unnest(['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '00112233-4455-6677-8899-aabbccddeeff', NULL]::UUID[]) AS c`,
	`SELECT unnest(['', 'a', '\x00\xFF', 'a\x22b', '\x5C', NULL]::BLOB[]) AS c`,
	`SELECT unnest(['0', '1', '10101', '00000000', '111111111', NULL]::BIT[]) AS c`,
	`SELECT unnest(['one', 'two', NULL]::ENUM('one', 'two')[]) AS c`,
	`SELECT unnest([[], [NULL], ['a', '', 'NULL', 'b c', ' d', 'e,f', '''', '{', 'g"h', 'i\j', '(', '=', E'k\nl'], NULL]) AS c`,
	`SELECT unnest([[[1], []], [NULL, [NULL, 2]], NULL]) AS c`,
	`SELECT unnest([['1.5', 'nan'], [NULL, '1e20']]::DOUBLE[][]) AS c`,
	`SELECT unnest([{'a': 1, 'b c': 'x'}, {'a': NULL, 'b c': NULL}, {'a': 2, 'b c': 'it''s'}, NULL]) AS c`,
	`SELECT unnest([row(1, 'a,b'), row(NULL, ''), NULL]) AS c`,
	`SELECT unnest([MAP {'k=1': 1, 'l': NULL}, MAP {}, NULL]) AS c`,
	`SELECT unnest([MAP {1: ['a', NULL]}, MAP {2: NULL}]) AS c`,
	`SELECT unnest([[1, 2], [NULL, 3], NULL]::INTEGER[2][]) AS c`,
	`SELECT unnest([['a b', ''], ['NULL', NULL]]::VARCHAR[2][]) AS c`,
	`SELECT unnest([union_value(n := 1)::UNION(n INTEGER, s VARCHAR), union_value(s := 'a, b')::UNION(n INTEGER, s VARCHAR)]) AS c`,
	`SELECT unnest(['{"a": [1, 2.50]}', '"text"', 'null', '1e400', E'{\n "b" : null\n}', NULL]::JSON[]) AS c`,
	`SELECT unnest([[DATE '2001-02-03', 'infinity'], [NULL]]) AS c`,
	`SELECT unnest([[TIME '01:02:03'], [TIMESTAMP '2001-02-03 04:05:06'::TIME]]) AS c`,
	`SELECT unnest([[INTERVAL 1 DAY, INTERVAL 90 SECOND]]) AS c`,
	`SELECT unnest([['\x00a'::BLOB, ''], [NULL]]) AS c`,
	`SELECT unnest([{'d': DATE '2001-02-03', 'n': {'t': TIMESTAMP '2001-02-03 04:05:06', 'l': ['x', 'y z']}}]) AS c`,
	`SELECT NULL AS c`,
}

// allTypes is a table of nearly every type: its least value, its largest, and NULL. Arrow
// cannot hold the largest interval, DuckDB itself writes the last TIMESTAMPTZ a millisecond
// late, and a GEOMETRY is written as its bytes.
const allTypes = `SELECT * EXCLUDE (interval, timestamp_tz, geometry) FROM test_all_types()`

// rowsOf is a query's rows as a batch.
func rowsOf(t *testing.T, e *duck.Engine, query string) arrow.RecordBatch {
	t.Helper()
	schema, err := e.Schema(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	b := vec.NewBuilder(schema, memory.NewGoAllocator())
	if _, err := e.Fetch(t.Context(), query, func(c *vec.Chunk) error { return b.Append(c, nil, 0) }); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	rec, err := b.Batch()
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	t.Cleanup(rec.Release)
	return rec
}

// cells are the lines of a CSV file that has no NULLs.
func cells(t *testing.T, text []byte) [][]string {
	t.Helper()
	lines, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return lines
}

// TestTextAsDuckDB: every value is written as DuckDB's own cast to VARCHAR writes it.
func TestTextAsDuckDB(t *testing.T) {
	e := ducktest.Open(t)
	const none = "nothing"
	for _, q := range append([]string{allTypes}, values...) {
		got := cells(t, write(t, CSV, Options{Null: none}, rowsOf(t, e, q)))
		want := cells(t, write(t, CSV, Options{Null: none}, rowsOf(t, e, "SELECT COLUMNS(*)::VARCHAR FROM ("+q+")")))
		for i := range want {
			for j := range want[i] {
				if len(got) != len(want) || got[i][j] != want[i][j] {
					t.Errorf("%s: row %d, %s: %q, want %q", q, i, want[0][j], got[i][j], want[i][j])
				}
			}
		}
	}
}

// TestJSONAsDuckDB: every line is the JSON that DuckDB makes of the row, but that a
// union is its member's value, an unnamed struct is a list, and what is no number is text
// (DuckDB writes a bare NaN).
func TestJSONAsDuckDB(t *testing.T) {
	e := ducktest.Open(t)
	for _, q := range append([]string{allTypes}, values...) {
		if strings.Contains(q, "UNION") || strings.Contains(q, "row(") {
			continue
		}
		q = strings.Replace(q, "(interval", "(\"union\", interval", 1)
		plain, want := rowsOf(t, e, q), rowsOf(t, e, "SELECT to_json(COLUMNS(*))::VARCHAR FROM ("+q+")")
		lines := strings.Split(strings.TrimSuffix(string(write(t, JSONL, Options{}, plain)), "\n"), "\n")
		if len(lines) != int(want.NumRows()) {
			t.Errorf("%s: %d lines of %d rows", q, len(lines), want.NumRows())
			continue
		}
		for i, line := range lines {
			got, ok := parseJSON(line).(map[string]any)
			if !ok {
				t.Errorf("%s: row %d is no JSON object: %s", q, i, line)
			}
			for j := range int(want.NumCols()) {
				name := plain.ColumnName(j)
				expect := any(nil)
				if !want.Column(j).IsNull(i) {
					expect = parseJSON(string(flat(nil, want.Column(j), i)))
				}
				if expect != notJSON && !reflect.DeepEqual(got[name], expect) {
					t.Errorf("%s: row %d: %s: %v, want %v", q, i, name, got[name], expect)
				}
			}
		}
	}
}

// notJSON stands for a text that is no JSON.
const notJSON = jsonNumber("not JSON")

// jsonNumber is a number, shortened to what a FLOAT holds if it is no integer: DuckDB
// writes FLOATs with all the digits of a DOUBLE.
type jsonNumber string

func parseJSON(text string) any {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var out any
	if d.Decode(&out) != nil {
		return notJSON
	}
	return shortened(out)
}

func shortened(v any) any {
	switch v := v.(type) {
	case json.Number:
		for _, bits := range []int{32, 64} {
			if f, err := strconv.ParseFloat(string(v), bits); err == nil && strings.ContainsAny(string(v), ".e") {
				return jsonNumber(strconv.FormatFloat(f, 'g', -1, bits))
			}
		}
		return jsonNumber(v)
	case []any:
		for i := range v {
			v[i] = shortened(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = shortened(v[k])
		}
	}
	return v
}

// TestParquetAsDuckDB: DuckDB reads every file back, with the values that were written.
func TestParquetAsDuckDB(t *testing.T) {
	e := ducktest.Open(t)
	dir := t.TempDir()
	for i, q := range values {
		if strings.Contains(q, "VARCHAR[2]") {
			continue // Parquet has only lists, in which DuckDB quotes texts, as it does not in arrays
		}
		path := filepath.Join(dir, fmt.Sprint(i, ".parquet"))
		rec := rowsOf(t, e, q)
		var b bytes.Buffer
		w, err := New(&b, Parquet, rec.Schema(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(rec); err != nil {
			if !strings.Contains(err.Error(), "38 digits") {
				t.Errorf("%s: %v", q, err)
			}
			continue
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		got := write(t, CSV, Options{Null: "nothing"}, rowsOf(t, e, "SELECT c::VARCHAR AS c FROM '"+path+"'"))
		want := write(t, CSV, Options{Null: "nothing"}, rowsOf(t, e, "SELECT c::VARCHAR AS c FROM ("+q+")"))
		if !bytes.Equal(got, want) {
			t.Errorf("%s: read back:\n%s\nwant\n%s", q, got, want)
		}
	}
}

// TestCSVReadsBack: DuckDB reads a file of CSV as the texts and NULLs that were written.
func TestCSVReadsBack(t *testing.T) {
	e := ducktest.Open(t)
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	letters := []rune("ab ,\"'\\\n\r\tNUL0-;|é#")
	cell := func() any {
		if r.IntN(10) == 0 {
			return nil
		}
		text := make([]rune, r.IntN(6))
		for i := range text {
			text[i] = letters[r.IntN(len(letters))]
		}
		return string(text)
	}
	l := NewListing(Column{Name: "a, \"b\"", Kind: ""}, Column{Name: "c", Kind: ""})
	for range 1000 {
		l.Add(cell(), cell())
	}
	rec := l.Batch()
	defer rec.Release()
	path := filepath.Join(t.TempDir(), "rows.csv")
	if err := os.WriteFile(path, write(t, CSV, Options{}, rec), 0o600); err != nil {
		t.Fatal(err)
	}
	back := rowsOf(t, e, `FROM read_csv('`+path+`', header = true, delim = ',', quote = '"', escape = '"', auto_detect = false, allow_quoted_nulls = false, columns = {'a, "b"': 'VARCHAR', 'c': 'VARCHAR'})`)
	got, want := write(t, JSONL, Options{}, back), write(t, JSONL, Options{}, rec)
	if bytes.Equal(got, want) {
		return
	}
	lines := strings.Split(string(want), "\n")
	for i, line := range strings.Split(string(got), "\n") {
		if i >= len(lines) || line != lines[i] {
			t.Fatalf("seed %d: row %d reads back as %s", seed, i, line)
		}
	}
}
