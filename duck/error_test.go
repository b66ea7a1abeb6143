//go:build duckdb_arrow

package duck

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What DuckDB says of files that are damaged, missing, kept from it, or that it
// cannot write, and what class that is.
func TestFileErrors(t *testing.T) {
	dir := t.TempDir()
	e := start(t, Config{SpillDir: filepath.Join(t.TempDir(), "spill")})
	exec(t, e, "COPY (SELECT i, i::VARCHAR AS s FROM range(20000) AS t(i)) TO '"+dir+"/whole.parquet'")
	whole, err := os.ReadFile(dir + "/whole.parquet")
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n := len(whole)
	foot := int(binary.LittleEndian.Uint32(whole[n-8:]))
	over := func(from int, b []byte) []byte {
		return bytes.Join([][]byte{whole[:from], b, whole[from+len(b):]}, nil)
	}
	write("cut.parquet", whole[:n/2])
	write("none.parquet", nil)
	write("length.parquet", over(n-8, []byte{0, 0, 0, 64}))
	write("footer.parquet", over(n-8-foot, bytes.Repeat([]byte{255}, foot)))
	write("page.parquet", over(100, bytes.Repeat([]byte{255}, 2000)))
	write("zero.parquet", over(4, make([]byte, 10000)))
	lines := strings.Repeat("1,2\n", 30000)
	write("value.csv", []byte("a,b\n"+lines+"x,3\n"))
	write("columns.csv", []byte("a,b\n"+lines+"1,2,3\n"))
	write("bytes.csv", []byte("a,b\n"+strings.Repeat("x,2\n", 30000)+"\xff\xfe,3\n"))
	write("text.csv.gz", []byte("a,b\n1,2"))
	write("text.csv.zst", []byte("a,b\n1,2,1,2,1,2"))
	write("cut.json", []byte(strings.Repeat("{\"a\":1}\n", 3000)+"{\"a\":\n"))
	write("value.json", []byte(strings.Repeat("{\"a\":1}\n", 30000)+"{\"a\":\"x\"}\n"))
	for _, c := range []struct {
		query string // over ROOT
		is    error
		says  string
	}{
		{"FROM 'ROOT/cut.parquet'", ErrData, "cut.parquet"},
		{"FROM 'ROOT/none.parquet'", ErrData, "none.parquet"},
		{"FROM 'ROOT/length.parquet'", ErrData, "length.parquet"},
		{"FROM 'ROOT/footer.parquet'", ErrData, ""},
		{"FROM 'ROOT/page.parquet'", ErrData, "page.parquet"},
		{"FROM 'ROOT/zero.parquet'", ErrData, ""},
		{"FROM parquet_schema('ROOT/cut.parquet')", ErrData, "cut.parquet"},
		{"FROM read_parquet('ROOT/value.csv')", ErrData, "value.csv"},
		{"FROM 'ROOT/value.csv'", ErrQuery, "CSV Error on Line: 30002"},
		{"FROM 'ROOT/columns.csv'", ErrQuery, "Expected Number of Columns: 2 Found: 3"},
		{"FROM 'ROOT/bytes.csv'", ErrData, "not utf-8"},
		{"FROM 'ROOT/text.csv.gz'", ErrData, "text.csv.gz"},
		{"FROM 'ROOT/text.csv.zst'", ErrData, ""},
		{"FROM 'ROOT/cut.json'", ErrData, "in line 3002"},
		{"FROM 'ROOT/value.json'", ErrQuery, "in line 30001"},
		{"FROM read_text('ROOT/whole.parquet')", ErrData, "whole.parquet"},
		{"FROM 'ROOT/nowhere.parquet'", ErrMissing, "nowhere.parquet"},
		{"FROM 'ROOT/no*.csv'", ErrMissing, "no*.csv"},
		{"FROM 's3://bucket/x.parquet'", ErrQuery, "httpfs"},
		{"FROM read_xlsx('x')", ErrQuery, "excel"},
	} {
		query := strings.ReplaceAll(c.query, "ROOT", dir)
		for how, run := range runners(e) {
			err := run(context.Background(), query)
			var de *Error
			if !errors.Is(err, c.is) || !errors.As(err, &de) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s %s: %v", how, query, err)
			}
		}
	}
	_, err = e.Exec(context.Background(), "COPY (SELECT range FROM range(1_000_000)) TO '/dev/full' (FORMAT csv)")
	if _, no := os.Stat("/dev/full"); no == nil && !errors.Is(err, ErrDiskFull) {
		t.Errorf("a full disk: %v", err)
	}
	if got := value(t, e, "SELECT 1"); got != "1" {
		t.Error("the engine is not usable afterwards")
	}
}

// What DuckDB failed inside with tells no addresses, and its engine is not kept.
func TestFailedInside(t *testing.T) {
	e := start(t, Config{})
	err := newError("INTERNAL Error: odd\nThis error signals an assertion failure within DuckDB. This usually …\n\nStack Trace:\n\n/x.so(f+1) [0x7f]", "")
	if err.Error() != "INTERNAL Error: odd" || !strings.Contains(err.Stack, "0x7f") {
		t.Errorf("%q, stack %q", err, err.Stack)
	}
	e.trouble(err)
	if got := value(t, e, "SELECT 1"); got != "1" {
		t.Error("the engine does not end its work")
	}
	if err := e.Reset(context.Background()); !errors.Is(err, ErrInternal) {
		t.Errorf("reset: %v", err)
	}
	e.trouble(newError("FATAL Error: gone", ""))
	if _, err := e.Schema(context.Background(), "SELECT 1"); !errors.Is(err, ErrBroken) {
		t.Errorf("after a fatal error: %v", err)
	}
}

// An error of a view or a table quotes its query as it was written, not what makes it.
func TestViewErrors(t *testing.T) {
	e := start(t, Config{})
	ctx := t.Context()
	for _, c := range []struct{ query, at string }{
		{"select * from nowhere", "\n\nLINE 1: select * from nowhere\n                      ^"},
		{strings.Repeat("\n", 8) + "select 1 frm x y z", "\n\nLINE 9: select 1 frm x y z\n                     ^"},
		{"\nselect 'x'::varchar || nope", "\n\nLINE 2: select 'x'::varchar || nope\n                               ^"},
		{strings.Repeat("\n", 9) + "selec 1", "\n\nLINE 10: selec 1\n         ^"},
	} {
		for name, define := range map[string]func(context.Context, string, string) error{"view": e.View, "a\nb": e.View, "table": e.Table} {
			var got *Error
			if err := define(ctx, name, c.query); !errors.As(err, &got) || !strings.HasSuffix(got.Message, c.at) || got.Query != c.query || !errors.Is(err, ErrQuery) {
				t.Errorf("%q: %v: %q", name, err, got)
			}
		}
	}
	if err := e.Table(ctx, "t", "select s::int as i from (values ('x')) t(s)"); err == nil || strings.Contains(err.Error(), "CREATE") || !strings.Contains(err.Error(), "LINE 1: select s::int") {
		t.Errorf("as it runs: %v", err)
	}
	if err := e.View(ctx, "v", "select 1 as a -- the only one"); err != nil {
		t.Error(err)
	}
}

// What an error quotes of a query behind other lines is the query's own; texts of the data
// that look like a quote are left as they are.
func TestBehind(t *testing.T) {
	for message, want := range map[string]string{
		"no\n\nLINE 2: select x\n               ^":   "no\n\nLINE 1: select x\n               ^",
		"no\n\nLINE 10: select x\n                ^": "no\n\nLINE 9: select x\n               ^",
		"no\n\nLINE 1: CREATE\n        ^":            "no",
		"no \"\n\nLINE 0002: x\n^":                   "no \"\n\nLINE 0002: x\n^",
		"no \"\n\nLINE 99999999999999999999: x\n ^":  "no \"\n\nLINE 99999999999999999999: x\n ^",
	} {
		if got := behind(newError("Binder Error: "+message, "q"), "CREATE\n", "q").Error(); !strings.HasSuffix(got, want) {
			t.Errorf("%q: %q", message, got)
		}
	}
}
