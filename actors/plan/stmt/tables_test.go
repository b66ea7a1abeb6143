package stmt_test

import (
	"testing"

	"github.com/pondmesh/pond/actors/plan/stmt"
)

func TestTablesOf(t *testing.T) {
	for _, c := range []struct {
		sql, rest string
		views     []string // name, query, …
	}{
		{"WITH t AS (SELECT * FROM 'a.parquet') SELECT * FROM t", "SELECT * FROM t", []string{"t", "SELECT * FROM 'a.parquet'"}},
		{"with T as not materialized (select a, b + 1 as \"c d\" from '/x/*.csv' -- all\n where a > 5 and b in (1, 2)), u AS (SELECT count(*) FROM t)\nSELECT * FROM u;",
			"WITH u AS (SELECT count(*) FROM t) SELECT * FROM u;", []string{"T", "select a, b + 1 as \"c d\" from '/x/*.csv' -- all\n where a > 5 and b in (1, 2)"}},
		{"WITH a AS (SELECT * EXCLUDE (x) FROM read_csv('a.csv', header = true) AS f), b AS (FROM 'b.parquet'), c AS (SELECT CAST(x AS INT) FROM 'c.parquet' p) FROM a, b, c",
			"WITH b AS (FROM 'b.parquet') FROM a, b, c", []string{"a", "SELECT * EXCLUDE (x) FROM read_csv('a.csv', header = true) AS f", "c", "SELECT CAST(x AS INT) FROM 'c.parquet' p"}},
		// What is more than a table, or may be, stays.
		{"SELECT 1", "", nil},
		{"WITH", "", nil},
		{"WITH t AS (SELECT * FROM 'a.parquet'", "", nil},
		{"WITH t AS (SELECT * FROM 'a.parquet')", "", nil},
		{"WITH RECURSIVE t AS (SELECT * FROM 'a.parquet') SELECT * FROM t", "", nil},
		{"WITH t AS MATERIALIZED (SELECT * FROM 'a.parquet') SELECT * FROM t", "", nil},
		{"WITH t(x) AS (SELECT * FROM 'a.parquet') SELECT * FROM t", "", nil},
		{"WITH t AS (SELECT DISTINCT a FROM 'a.parquet') SELECT * FROM t", "", nil},
		{"WITH t AS (SELECT random() FROM 'a.parquet') SELECT * FROM t", "", nil},
		{"WITH t AS (SELECT \"random\"() FROM 'a.parquet') SELECT * FROM t", "", nil},
		{"WITH t AS (SELECT max(a) FROM 'a.parquet') SELECT * FROM t", "", nil},
		{"WITH t AS (SELECT a FROM 'a.parquet' LIMIT 3) SELECT * FROM t", "", nil},
		{"WITH t AS (SELECT a FROM 'a.parquet' x LIMIT 3) SELECT * FROM t", "", nil},
		{"WITH t AS (SELECT a FROM 'a.parquet' USING SAMPLE 3) SELECT * FROM t", "", nil},
		{"WITH t AS (SELECT a FROM 'a.parquet', 'b.parquet') SELECT * FROM t", "", nil},
		{"WITH t AS (SELECT a FROM 'a.parquet' JOIN u USING (a)) SELECT * FROM t", "", nil},
		{"WITH t AS (SELECT a FROM 'a.parquet' WHERE a = (SELECT 1)) SELECT * FROM t", "", nil},
		{"WITH t AS (SELECT a FROM 'a.parquet' WHERE f(a)) SELECT * FROM t", "", nil},
		{"WITH t AS (SELECT a FROM 'a.parquet' UNION ALL SELECT 1) SELECT * FROM t", "", nil},
		{"WITH t AS (SELECT a FROM u) SELECT * FROM t", "", nil},
		{"WITH t AS (SELECT a FROM 'u') SELECT * FROM t", "", nil},
		{"WITH t AS (SELECT a FROM query('x.y')) SELECT * FROM t", "", nil},
		{"WITH t AS (SELECT a FROM read_csv(getvariable('x'))) SELECT * FROM t", "", nil},
		// Names that mean something else.
		{"WITH taken AS (SELECT * FROM 'a.parquet') SELECT * FROM TAKEN", "", nil},
		{"WITH u AS (SELECT count(*) FROM T), t AS (SELECT * FROM 'a.parquet') SELECT * FROM t, u", "", nil},
		{"WITH t AS (SELECT * FROM 'a.parquet'), T AS (SELECT * FROM 'b.parquet') SELECT * FROM t", "", nil},
		{"WITH \"a.parquet\" AS (SELECT * FROM 'a.parquet') SELECT * FROM \"a.parquet\"", "", nil},
	} {
		rest, views := stmt.TablesOf(c.sql, []string{"Taken"})
		var got []string
		for _, v := range views {
			got = append(got, v.Name, v.SQL)
		}
		want := c.rest
		if c.views == nil {
			want = c.sql
		}
		same := len(got) == len(c.views)
		for i := 0; same && i < len(got); i++ {
			same = got[i] == c.views[i]
		}
		if rest != want && !(c.views == nil && len(views) == 0) || !same {
			t.Errorf("%s\nis %q with %q, want %q with %q", c.sql, rest, got, want, c.views)
		}
	}
}

// FuzzTablesOf checks that it ends, and that what it leaves is left whole.
func FuzzTablesOf(f *testing.F) {
	for _, s := range []string{"WITH t AS (SELECT * FROM 'a.b') SELECT 1", "WITH a(b) AS (c), d AS NOT MATERIALIZED ((", "with a as (select 1 from read_csv(('x')"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		rest, views := stmt.TablesOf(sql, nil)
		if again, more := stmt.TablesOf(rest, nil); len(views) > 0 && len(more) > 0 && again == rest {
			t.Errorf("%q comes apart into %q and %v, and that into %q and %v", sql, rest, views, again, more)
		}
	})
}
