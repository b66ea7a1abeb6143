//go:build duckdb_arrow

package duck

import (
	"context"
	"slices"
	"strings"
	"testing"
)

func TestGuard(t *testing.T) {
	for _, c := range []struct {
		sql string
		ok  bool
	}{
		{"SELECT 1", true},
		{"FROM '/job/a.parquet'", true},
		{"FROM read_csv('/job/*.csv', delim = '.')", true},
		{"FROM READ_CSV ( /* here */ ['/job/a.csv', '/job/b.csv'], header = true)", true},
		{"FROM read_text($$/job/a$$)", true},
		{"SELECT '.', '..', './', 'a/b', '1.5/2', 'see /.hidden', E'\\t', 'it''s'", false}, // './' alone is a path
		{"SELECT '.', '..', 'a/b', '1.5/2', 'see /.hidden', E'\\t', 'it''s'", true},
		{"SELECT glob, query, read_csv FROM t WHERE x GLOB 'a*'", true},
		{"SELECT x AS copy FROM t", true},
		{"COPY (SELECT * FROM t) TO '/job/x.csv' (HEADER, FILE_EXTENSION 'txt')", true},
		{"COPY t FROM '/job/x.csv'", true},
		{"PREPARE p AS SELECT $1, $name", true},
		{"SELECT a.b.c, t.* FROM t -- done\r\n;", true},
		{"FROM '/job/./../x'", false},
		{"FROM \"/job/./../x\"", false},
		{"FROM '/job/.'\n'/../x'", false},
		{"FROM E'/job/\\x2e/x'", false},
		{"FROM E'a'\n'\\''", false},
		{"FROM $a$/job/./../x$a$", false},
		{"FROM read_csv('/job/' || 'x')", false},
		{"FROM read_csv(['/job/a', '/job/' || 'x'])", false},
		{"FROM read_csv(getvariable('p'))", false},
		{"FROM read_csv(header = true, '/job/x')", false},
		{"FROM \"read_csv\"(concat('/job/', 'x'))", false},
		{"FROM main.read_csv(p)", false},
		{"CREATE MACRO m(p) AS TABLE FROM read_csv(p)", false},
		{"PREPARE p AS FROM read_csv($1)", false},
		{"FROM read_csv\u00a0('/job/' || 'x')", false},
		{"FROM read_csv\u200b('/job/' || 'x')", false},
		{"FROM query('SELECT 1')", false},
		{"CALL enable_logging()", false},
		{"PRAGMA enable_logging", false},
		{"COPY t TO ('/job/' || 'x')", false},
		{"copy (FROM t) to (getvariable('p'))", false},
		{"PREPARE p AS COPY t TO $1", false},
		{"EXPLAIN ANALYZE COPY t TO ('x')", false},
		{"COPY t TO '/job/d' (PARTITION_BY a, FILENAME_PATTERN ('/..' || '/x'))", false},
		{"COPY t TO '/job/d' (FILE_EXTENSION '/../x')", false},
		{"SELECT 1; COPY t TO ('x')", false},
		{"SELECT 1$$ ' $$ FROM read_csv(p)", false},
		{"SELECT 1a$x$ FROM read_csv(p)", false},
		{"SELECT a$x$ FROM read_csv(p)", false},
		{"SELECT $1a$x$ FROM read_csv(p)", false},
		{"SELECT -- \r ' \n FROM read_csv(p) -- '", false},
		{"SELECT /* /* */ ' */ 1 FROM read_csv(p) -- '", false},
		{"SELECT 'a\\' FROM read_csv(p) -- '", false},
	} {
		if err := guard(c.sql); (err == nil) != c.ok {
			t.Errorf("%q: %v", c.sql, err)
		}
	}
}

// TestGuardKnowsAllFunctions fails when DuckDB gains a table function that
// takes text and that nobody has looked at.
func TestGuardKnowsAllFunctions(t *testing.T) {
	harmless := []string{"add_parquet_key", "check_peg_parser", "checkpoint", "duckdb_table_sample", "force_checkpoint", "json_each", "json_tree",
		"pragma_metadata_info", "pragma_show", "pragma_storage_info", "pragma_table_info", "show", "storage_info", "table_info", "which_secret"}
	e := start(t, Config{})
	for _, row := range table(t, e, "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type IN ('table', 'pragma') AND parameter_types::VARCHAR LIKE '%VARCHAR%'") {
		if f := row[0]; !refused[f] && !opensFiles.MatchString(f) && !slices.Contains(harmless, f) {
			t.Errorf("the guard does not know the function %s", f)
		}
	}
}

func TestTrimQuery(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT 1":                     "SELECT 1",
		" SELECT 1 ; ; -- x":           " SELECT 1",
		"SELECT ';' /* ; */;":          "SELECT ';'",
		"SELECT $$;$$;":                "SELECT $$;$$",
		"SELECT $a$ $$ ; $a$ ;\n":      "SELECT $a$ $$ ; $a$",
		"SELECT E'\\';' ;":             "SELECT E'\\';'",
		`SELECT 1 AS ";" ;`:            `SELECT 1 AS ";"`,
		"SELECT 1 -- one\n + 2 -- two": "SELECT 1 -- one\n + 2",
		"SELECT 1 /* /* ; */ */ ;":     "SELECT 1",
		"":                             "",
		"SELECT 'open ;":               "SELECT 'open ;",
		"SELECT $1;":                   "SELECT $1",
	} {
		if got := trimQuery(sql); got != want {
			t.Errorf("%q: %q, want %q", sql, got, want)
		}
	}
}

// FuzzGuard checks that reading SQL ends, within its bounds, and that trimming
// is stable.
func FuzzGuard(f *testing.F) {
	for _, s := range []string{"SELECT $a$x$a$ 'b' E'\\'", "/* /* */", "COPY t TO ('x')", "\"", "$", "$1$", "e'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		_ = guard(sql)
		once := trimQuery(sql)
		if !strings.HasPrefix(sql, once) || trimQuery(once) != once {
			t.Errorf("%q trims to %q and %q", sql, once, trimQuery(once))
		}
	})
}

// FuzzQuoting checks that a quoted text is one token and comes back from DuckDB.
func FuzzQuoting(f *testing.F) {
	for _, s := range []string{"", "it's", `"`, "\\", "a\nb", "$$", "--", "日本"} {
		f.Add(s)
	}
	e, err := Open(context.Background(), Config{Threads: 1})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = e.Close() })
	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsRune(s, 0) || strings.ToValidUTF8(s, "") != s {
			t.Skip("not DuckDB text")
		}
		q := quoteText(s)
		if trimQuery(q+" ;") != q {
			t.Errorf("%q is not one piece", q)
		}
		if got := value(t, e, "SELECT "+q+" AS v"); got != s {
			t.Errorf("%q came back as %q", s, got)
		}
	})
}
