//go:build duckdb_arrow

package duck

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"github.com/pondmesh/pond/duck/lexer"
	"github.com/pondmesh/pond/duck/vec"
)

func TestParse(t *testing.T) {
	e := start(t, Config{})
	ctx := context.Background()
	if err := e.Lock(ctx, Access{}); err != nil {
		t.Fatal(err)
	}
	for sql, want := range map[string]string{
		"SELECT a, count(*) FROM t WHERE b = 'it''s' GROUP BY ALL":   "SELECT a, count_star() FROM t WHERE (b = 'it''s') GROUP BY ALL",
		"FROM 'x.parquet' LIMIT 3":                                   "SELECT * FROM \"x.parquet\" LIMIT 3",
		"WITH c AS (SELECT 1 AS x) SELECT x FROM c ORDER BY x DESC;": "WITH c AS (SELECT 1 AS x)SELECT x FROM c ORDER BY x DESC",
	} {
		tree, err := e.Parse(ctx, sql)
		if err != nil || !json.Valid(tree) {
			t.Errorf("%s: %s, %v", sql, tree, err)
			continue
		}
		if got, err := e.Deparse(ctx, tree); err != nil || got != want {
			t.Errorf("%s:\n got %q\nwant %q\n%v", sql, got, want, err)
		}
	}
	for sql, at := range map[string]int{"SELECT 1 FROM": 13, "SELEC 1": 0, "SELECT (1": 9, "INSERT INTO t VALUES (1)": -1} {
		var de *Error
		if _, err := e.Parse(ctx, sql); !errors.As(err, &de) || !errors.Is(err, ErrQuery) || de.Position != at || de.Query != sql || de.Message == "" {
			t.Errorf("%s: %+v, %v", sql, de, err)
		}
	}
	if _, err := e.Deparse(ctx, []byte("{}")); err == nil {
		t.Error("an empty tree was deparsed")
	}
	// While a query runs.
	if _, err := e.Fetch(ctx, "FROM range(10)", func(*vec.Chunk) error { _, err := e.Parse(ctx, "SELECT 1"); return err }); err != nil {
		t.Error(err)
	}
}

func TestCopy(t *testing.T) {
	dir := t.TempDir()
	e := start(t, Config{})
	ctx := context.Background()
	if err := e.Lock(ctx, Access{Dirs: []string{dir}}); err != nil {
		t.Fatal(err)
	}
	csv := filepath.Join(dir, "it's.csv")
	n, err := e.Copy(ctx, "SELECT range AS a, 'x' AS b FROM range(7); -- done", csv, "csv", map[string]string{"delim": "'|'", "HEADER": ""})
	if n != 7 || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
	if got := value(t, e, "SELECT string_agg(a::VARCHAR || b, ' ') FROM read_csv("+lexer.QuoteText(csv)+", delim = '|', header = true)"); got != "0x 1x 2x 3x 4x 5x 6x" {
		t.Error(got)
	}
	if n, err := e.Copy(ctx, "SELECT range % 2 AS p, range AS v FROM range(10)", filepath.Join(dir, "parts"), "parquet", map[string]string{"partition_by": "(p)"}); n != 10 || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
	if got := value(t, e, "SELECT sum(v) FROM '"+dir+"/parts/p=1/*.parquet'"); got != "25" {
		t.Error(got)
	}
	for name, c := range map[string]struct {
		query, path, format string
		options             map[string]string
		is                  error
	}{
		"two statements": {"SELECT 1; SELECT 2", csv, "csv", nil, ErrQuery},
		"no query":       {"DROP TABLE x", csv, "csv", nil, ErrQuery},
		"format":         {"SELECT 1", csv, "no such", nil, nil},
		"option":         {"SELECT 1", csv, "csv", map[string]string{"a) TO 'x' (b": "1"}, ErrQuery},
		"outside":        {"SELECT 1", filepath.Dir(dir) + "/x.csv", "csv", nil, ErrDenied},
		"through dots":   {"SELECT 1", dir + "/./../x.csv", "csv", nil, ErrDenied},
		"no folder":      {"SELECT 1", dir + "/nowhere/x.csv", "csv", nil, ErrMissing},
		"pattern":        {"SELECT 1 AS a, 2 AS b", dir + "/p", "csv", map[string]string{"PARTITION_BY": "a", "FILENAME_PATTERN": "'/../../../x'"}, ErrDenied},
	} {
		if _, err := e.Copy(ctx, c.query, c.path, c.format, c.options); err == nil || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
