//go:build duckdb_arrow

package duck

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pondmesh/pond/duck/lexer"
)

func TestGuard(t *testing.T) {
	for _, c := range []struct {
		sql string
		ok  bool
	}{
		{"SELECT 1", true},
		{"FROM '/job/./../a.parquet'", true}, // DuckDB judges paths
		{"FROM read_csv(getvariable('p'))", true},
		{"FROM READ_CSV ( /* here */ ['/job/a.csv', '/job/b.csv'], header = true)", true},
		{"SELECT '.', '..', './', 'a/b', E'\\t', 'it''s'", true},
		{"SELECT glob, query, enable_logging FROM t WHERE x GLOB 'a*'", true},
		{"SELECT 'enable_logging()' -- enable_logging()", true},
		{"PREPARE p AS SELECT $1, $name", true},
		{"SELECT a.b.c, t.* FROM t -- done\r\n;", true},
		{"FROM query('SELECT 1')", false},
		{"FROM QUERY /* */ ('SELECT 1')", false},
		{"FROM \"query\"('SELECT 1')", false},
		{"FROM system.main.query('SELECT 1')", false},
		{"FROM query\u00a0('SELECT 1')", false},
		{"FROM query\u200b('SELECT 1')", false},
		{"CREATE MACRO m(p) AS TABLE FROM query(p)", false},
		{"CALL enable_logging()", false},
		{"CALL enable_profiling(save_location = '/x.txt')", false},
		{"PRAGMA enable_logging", false},
		{"SELECT 1; PRAGMA import_database('x')", false},
		{"SELECT 1$$ ' $$ FROM query(p)", false},
		{"SELECT 1a$x$ FROM query(p)", false},
		{"SELECT a$x$ FROM query(p)", false},
		{"SELECT $1a$x$ FROM query(p)", false},
		{"SELECT -- \r ' \n FROM query(p) -- '", true}, // a carriage return ends the comment: this is a string
		{"SELECT 1 -- ' \r FROM query(p) -- '", false},
		{"SELECT /* /* */ ' */ 1 FROM query(p) -- '", false},
		{"SELECT 'a\\' FROM query(p) -- '", false},
		{"SELECT 'a", false},
		{"SELECT 1\x00", false},
		{"SELECT ' ' AS \"　\"", true},
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
	// DuckDB confines these; TestHostile tries each.
	confined := regexp.MustCompile(`^(read_.*|parquet_.*|sniff_csv|glob)$`)
	e := start(t, Config{})
	for _, row := range table(t, e, "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type IN ('table', 'pragma') AND parameter_types::VARCHAR LIKE '%VARCHAR%'") {
		f := row[0]
		if refused[f] || slices.Contains(harmless, f) {
			continue
		}
		if !confined.MatchString(f) {
			t.Errorf("the guard does not know the function %s", f)
		}
		if !slices.ContainsFunc(hostile(t), func(sql string) bool { return strings.Contains(sql, f+"(") }) {
			t.Errorf("no hostile statement calls the function %s", f)
		}
	}
}

// TestGuardReadsAsDuckDB holds texts that DuckDB reads in a way of its own
// against what it does: those that it reads as calls are refused.
func TestGuardReadsAsDuckDB(t *testing.T) {
	e := start(t, Config{})
	for _, hidden := range []string{
		"SELECT 1 -- \r ; FROM query('SELECT 1')",
		"SELECT 'a'\n'b' FROM query('SELECT 1')",
		"SELECT E'a\\''\n'b\\'' FROM query('SELECT 1')",
		"SELECT 1a FROM query('SELECT 1')",
		"SELECT x'00' FROM query('SELECT 1')",
		"SELECT b'1''0' FROM query('SELECT 1')",
		"SELECT $$ ' $$ FROM query('SELECT 1')",
		"SELECT 1 AS a$b$ FROM query('SELECT 1') -- $b$",
		"SELECT/*/**/*/1 FROM query('SELECT 1')",
		"SELECT \"\"\"\" FROM query('SELECT 1')",
		"SELECT 1 AS _ FROM query\f('SELECT 1')",
		"SELECT ' ' FROM query('SELECT 1')",
		"FROM query ('SELECT 1')",
	} {
		if _, err := e.Schema(t.Context(), hidden); err == nil && guard(hidden) == nil {
			t.Errorf("DuckDB calls the function, and the guard lets it: %q", hidden)
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
		q := lexer.QuoteText(s)
		if trimQuery(q+" ;") != q {
			t.Errorf("%q is not one piece", q)
		}
		if got := value(t, e, "SELECT "+q+" AS v"); got != s {
			t.Errorf("%q came back as %q", s, got)
		}
	})
}
