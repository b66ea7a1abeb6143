package stmt

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/lexer"
)

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		script string
		want   []string
		rest   string
	}{
		{"", nil, ""},
		{"SELECT 1", nil, "SELECT 1"},
		{"SELECT 1;", []string{"SELECT 1"}, ""},
		{"SELECT 1; SELECT 2 ;\n", []string{"SELECT 1", "SELECT 2"}, "\n"},
		{"SELECT 1; SELECT", []string{"SELECT 1"}, " SELECT"},
		{";;;", nil, ""},
		{"-- one; two\nSELECT 1;", []string{"SELECT 1"}, ""},
		{"SELECT 1 -- one; two\n;", []string{"SELECT 1"}, ""},
		{"SELECT 1 -- one; two", nil, "SELECT 1 -- one; two"},
		{"/* a; /* b; */ c; */ SELECT 1;", []string{"SELECT 1"}, ""},
		{"/* a; ;", nil, "/* a; ;"},
		{"SELECT 'a;b', 'it''s;';x;", []string{"SELECT 'a;b', 'it''s;'", "x"}, ""},
		{"SELECT 'a;b;", nil, "SELECT 'a;b;"},
		{`SELECT e'a\';b';x;`, []string{`SELECT e'a\';b'`, "x"}, ""},
		{`SELECT "a;""b;" FROM t;`, []string{`SELECT "a;""b;" FROM t`}, ""},
		{"SELECT $$a;b$$, $x$a;$$;b$x$;y;", []string{"SELECT $$a;b$$, $x$a;$$;b$x$", "y"}, ""},
		{"SELECT $x$a;$x;", nil, "SELECT $x$a;$x;"},
		{"SELECT (1; 2);3;", []string{"SELECT (1; 2)", "3"}, ""},
		{"SELECT (1;", nil, "SELECT (1;"},
		{"SELECT 1);2;", []string{"SELECT 1)", "2"}, ""},
		{"SELECT ')', '(';2;", []string{"SELECT ')', '('", "2"}, ""},
		{"SELECT 'é;ü';\r\n  x\t;", []string{"SELECT 'é;ü'", "x"}, ""},
	} {
		got, rest := Split(c.script)
		if !slices.Equal(got, c.want) || rest != c.rest {
			t.Errorf("Split(%q) = %q, %q", c.script, got, rest)
		}
	}
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{"SELECT 1; SELECT 2", "';'", "$$;$$;", "/*;*/;--;\n;", "(;);", `e'\';';"`, "a$$;", "\";\";", "E'\\", "$1;$2;", "((;", "é;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		list, rest := Split(s)
		if !strings.HasSuffix(s, rest) {
			t.Fatalf("the rest %q is not the end of %q", rest, s)
		}
		at := 0
		for _, one := range list {
			if one == "" || one != Trim(one) {
				t.Fatalf("statement %q of %q is not trimmed", one, s)
			}
			n := strings.Index(s[at:], one)
			if n < 0 {
				t.Fatalf("statement %q is not in %q in turn", one, s)
			}
			at += n + len(one)
			if !strings.Contains(s[at:len(s)-len(rest)], ";") {
				t.Fatalf("no semicolon ends statement %q of %q", one, s)
			}
			if again, left := Split(one + ";"); len(again) != 1 || again[0] != one || left != "" {
				t.Fatalf("statement %q of %q is split into %q and %q", one, s, again, left)
			}
		}
		// A script is split the same whatever it is fed in: what a prompt relies on.
		if again, left := Split(rest); len(again) != 0 || left != rest {
			t.Fatalf("the rest of %q is split again: %q, %q", s, again, left)
		}
	})
}

// brief is a statement as a table can show it.
func brief(s *Statement) string {
	switch s.Kind {
	case Query:
		return "query " + s.Query
	case Explain:
		return fmt.Sprintf("explain analyze=%t json=%t {%s} of %q", s.Analyze, s.JSON, brief(s.Inner), s.Inner.Text)
	case Copy:
		w := s.Write
		opts, _ := json.Marshal(w.Options)
		out := fmt.Sprintf("copy {%s} to %s %s %s", s.Query, w.Path, w.Format, opts)
		if w.Single {
			out += " single"
		}
		if w.Mode != "" {
			out += " " + string(w.Mode)
		}
		if w.PartitionBy != nil {
			out += fmt.Sprintf(" by %q", w.PartitionBy)
		}
		if s.Files {
			out += " files"
		}
		return out
	case CreateView:
		return fmt.Sprintf("view %s %q replace=%t ifnot=%t {%s}", s.View, s.Columns, s.Replace, s.IfNotExists, s.Query)
	case CreateTable:
		return fmt.Sprintf("table %s %q replace=%t ifnot=%t %s {%s}", s.Write.Path, s.Columns, s.Replace, s.IfNotExists, s.Write.Mode, s.Query)
	case Insert:
		if !s.Write.Existing {
			return "an insert that may make the table"
		}
		return fmt.Sprintf("insert %s %q byname=%t %s {%s}", s.Write.Path, s.Columns, s.ByName, s.Write.Mode, s.Query)
	case DropTable:
		return fmt.Sprintf("drop table %q if=%t", s.Names, s.IfExists)
	case DropView:
		return fmt.Sprintf("drop %q if=%t", s.Names, s.IfExists)
	case Describe:
		return "describe " + s.Query
	case Show:
		return "show " + s.What
	}
	if s.Reset {
		return "reset " + s.Name
	}
	return "set " + s.Name + " = " + s.Value
}

// parsed are statements, and what they are taken apart into.
var parsed = map[string]string{
	"SELECT 1":                         "query SELECT 1",
	" -- c\n (SELECT 1) ; ":            "query (SELECT 1)",
	"FROM 'a.csv'":                     "query FROM 'a.csv'",
	"VALUES (1)":                       "query VALUES (1)",
	"TABLE x":                          "query TABLE x",
	"PIVOT x ON y":                     "query PIVOT x ON y",
	"SUMMARIZE x":                      "query SUMMARIZE x",
	"WITH a AS (SELECT 1) FROM a":      "query WITH a AS (SELECT 1) FROM a",
	"WITH update AS (SELECT 1) FROM a": "query WITH update AS (SELECT 1) FROM a",
	"SELEC 1":                          "query SELEC 1",
	"CREATE":                           "query CREATE",

	"EXPLAIN SELECT 1":                                                     `explain analyze=false json=false {query SELECT 1} of "SELECT 1"`,
	"explain analyze FROM x":                                               `explain analyze=true json=false {query FROM x} of "FROM x"`,
	"EXPLAIN (ANALYZE, FORMAT JSON) SELECT 1":                              `explain analyze=true json=true {query SELECT 1} of "SELECT 1"`,
	"EXPLAIN (FORMAT 'text') SELECT 1":                                     `explain analyze=false json=false {query SELECT 1} of "SELECT 1"`,
	"EXPLAIN (SELECT 1)":                                                   `explain analyze=false json=false {query (SELECT 1)} of "(SELECT 1)"`,
	"EXPLAIN COPY (SELECT 1) TO 'a.csv'":                                   `explain analyze=false json=false {copy {SELECT 1} to a.csv csv null single overwrite} of "COPY (SELECT 1) TO 'a.csv'"`,
	"COPY (SELECT 1) TO 'a.parquet'":                                       "copy {SELECT 1} to a.parquet parquet null single overwrite",
	"COPY (SELECT ')' AS a) TO 'a/b' (FORMAT parquet)":                     "copy {SELECT ')' AS a} to a/b parquet null single overwrite",
	"COPY v TO 'out/'":                                                     "copy {FROM v} to out/ csv null",
	`COPY main."v w" (a, b) TO 'x.json'`:                                   `copy {SELECT a, b FROM main."v w"} to x.json json null single overwrite`,
	"COPY 'a.csv' TO 'b.csv.gz'":                                           `copy {FROM 'a.csv'} to b.csv.gz csv {"compression":"'gzip'"} single overwrite`,
	"COPY v TO 'a.v1/b'":                                                   "copy {FROM v} to a.v1/b csv null single overwrite",
	"COPY v TO '.hidden'":                                                  "copy {FROM v} to .hidden csv null single overwrite",
	"COPY v TO 'd.parquet' (PARTITION_BY (a, \"B c\"))":                    `copy {FROM v} to d.parquet parquet null by ["a" "B c"]`,
	"COPY v TO 'd' (PARTITION_BY a, FORMAT json)":                          `copy {FROM v} to d json null by ["a"]`,
	"COPY v TO 'd/' (APPEND)":                                              "copy {FROM v} to d/ csv null append",
	"COPY v TO 'd/' (OVERWRITE true)":                                      "copy {FROM v} to d/ csv null overwrite",
	"COPY v TO 'd/' (OVERWRITE false)":                                     "copy {FROM v} to d/ csv null",
	"COPY v TO 'd/' (OVERWRITE_OR_IGNORE)":                                 "copy {FROM v} to d/ csv null replace",
	"COPY v TO 'd.parquet' (PER_THREAD_OUTPUT)":                            "copy {FROM v} to d.parquet parquet null",
	"COPY v TO 'd.txt' (HEADER, DELIMITER '|')":                            `copy {FROM v} to d.txt csv {"delimiter":"'|'","header":"true"} single overwrite`,
	"COPY v TO 'a' WITH (FORMAT 'parquet', KV { a : [ 1 , ( 2 ) ] }, X y)": `copy {FROM v} to a parquet {"kv":"{ a : [ 1 , ( 2 ) ] }","x":"y"} single overwrite`,
	"COPY v TO 'a.csv' CSV HEADER DELIMITER AS '|'":                        `copy {FROM v} to a.csv csv {"delimiter":"'|'","header":"true"} single overwrite`,
	"COPY v TO 'a.csv' (RETURN_FILES)":                                     "copy {FROM v} to a.csv csv null single overwrite files",
	"COPY v TO 'a.arrow'":                                                  "copy {FROM v} to a.arrow arrow null single overwrite",

	"CREATE VIEW v AS SELECT 1":                              `view v [] replace=false ifnot=false {SELECT 1}`,
	"create or replace temp view main.v(a, \"b\") as FROM x": `view v ["a" "b"] replace=true ifnot=false {FROM x}`,
	"CREATE VIEW IF NOT EXISTS \"V w\" AS (SELECT 1)":        `view V w [] replace=false ifnot=true {(SELECT 1)}`,
	"DROP VIEW a":                           `drop ["a"] if=false`,
	"DROP VIEW IF EXISTS a, temp.b CASCADE": `drop ["a" "b"] if=true`,

	"EXPLAIN INSERT INTO t FROM x":                           `explain analyze=false json=false {insert pond://t [] byname=false append {FROM x}} of "INSERT INTO t FROM x"`,
	"CREATE TABLE t AS SELECT 1":                             `table pond://t [] replace=false ifnot=false error {SELECT 1}`,
	"create or replace table main.\"T x\"(a, b) as (FROM x)": `table pond://t x ["a" "b"] replace=true ifnot=false overwrite {(FROM x)}`,
	"CREATE TABLE IF NOT EXISTS t AS VALUES (1)":             `table pond://t [] replace=false ifnot=true error {VALUES (1)}`,
	"CREATE TABLE t AS WITH a AS (SELECT 1) FROM a":          `table pond://t [] replace=false ifnot=false error {WITH a AS (SELECT 1) FROM a}`,
	"INSERT INTO t VALUES (1)":                               `insert pond://t [] byname=false append {VALUES (1)}`,
	"insert into T(a, \"B\") by position from x":             `insert pond://t ["a" "B"] byname=false append {from x}`,
	"INSERT INTO t BY NAME (SELECT 1 AS a)":                  `insert pond://t [] byname=true append {(SELECT 1 AS a)}`,
	"WITH a AS (SELECT 1) INSERT INTO t FROM a":              `insert pond://t [] byname=false append {WITH a AS (SELECT 1) FROM a}`,
	"DROP TABLE a": `drop table ["pond://a"] if=false`,
	"DROP TABLE IF EXISTS a, memory.B CASCADE":                           `drop table ["pond://a" "pond://b"] if=true`,
	"COPY v TO 'pond://t'":                                               "copy {FROM v} to pond://t parquet null",
	"COPY v TO 'POND://t/' (PARTITION_BY k, APPEND)":                     `copy {FROM v} to pond://t parquet null append by ["k"]`,
	"COPY v TO 'pond://t' (FORMAT parquet, COMPRESSION zstd, OVERWRITE)": `copy {FROM v} to pond://t parquet {"compression":"zstd"} overwrite`,

	"DESCRIBE SELECT 1":                "describe SELECT 1",
	"DESC x":                           "describe FROM x",
	"DESCRIBE 'a.csv'":                 "describe FROM 'a.csv'",
	"DESCRIBE TABLE x":                 "describe FROM x",
	"SHOW x":                           "describe FROM x",
	"SHOW TABLES":                      "show tables",
	"show  all\ttables":                "show all",
	"DESCRIBE":                         "show all",
	"SHOW VIEWS":                       "show views",
	"SET pond_force = on":              "set pond_force = on",
	"SET SESSION pond_codec TO 'zstd'": "set pond_codec = zstd",
	"RESET pond_force":                 "reset pond_force",
}

func TestParse(t *testing.T) {
	for sql, want := range parsed {
		s, err := Parse(sql)
		if err != nil {
			t.Errorf("Parse(%q): %v", sql, err)
			continue
		}
		if got := brief(s); got != want {
			t.Errorf("Parse(%q)\n got %s\nwant %s", sql, got, want)
		}
	}
}

// refusedHints are statements that a pond has no use for, and what to write instead.
var refusedHints = map[string]string{
	"INSERT OR IGNORE INTO t VALUES (1)":                                 "INSERT INTO name",
	"INSERT t VALUES (1)":                                                "INSERT INTO name",
	"INSERT INTO t":                                                      "INSERT INTO name",
	"INSERT INTO":                                                        "name of a",
	"INSERT INTO t DEFAULT VALUES":                                       "INSERT INTO name",
	"INSERT INTO t (a,) SELECT 1":                                        "(a, b)",
	"INSERT INTO t BY x SELECT 1":                                        "BY NAME",
	"INSERT INTO t (a) BY NAME SELECT 1":                                 "leave one",
	"INSERT INTO t SELECT 1 RETURNING a":                                 "INSERT INTO name",
	"INSERT INTO t SELECT 1 ON CONFLICT DO NOTHING":                      "INSERT INTO name",
	"INSERT INTO t DROP VIEW v":                                          "INSERT INTO name",
	"INSERT INTO \"a/b\" SELECT 1":                                       "name alone",
	"INSERT INTO db.t SELECT 1":                                          "leave db. away",
	"CREATE TABLE t":                                                     "AS SELECT",
	"CREATE TABLE t (a INT)":                                             "AS SELECT",
	"CREATE TABLE t AS INSERT INTO t FROM x":                             "AS SELECT",
	"CREATE OR REPLACE TABLE IF NOT EXISTS t AS SELECT 1":                "leave one",
	"CREATE TABLE IF EXISTS t AS SELECT 1":                               "IF NOT EXISTS",
	"COPY t TO 'pond://'":                                                "pond://name",
	"COPY t TO 'pond://a/7'":                                             "pond://name",
	"COPY t TO 'pond://a' (FORMAT csv)":                                  "FORMAT out",
	"COPY t TO 'pond://a' (FILENAME_PATTERN 'x{uuid}')":                  "leave it out",
	"WITH RECURSIVE a AS (SELECT 1), update AS (SELECT 2) DELETE FROM t": "COPY (SELECT",
	"update t SET a = 1":                                                 "COPY (SELECT",
	"CREATE TEMP TABLE t (a INT)":                                        "CREATE VIEW",
	"CREATE OR REPLACE MACRO f(a) AS a":                                  "CREATE VIEW",
	"CREATE SEQUENCE s":                                                  "COPY (SELECT",
	"DROP TABLE a b":                                                     "DROP TABLE name",
	"DROP SEQUENCE t":                                                    "DROP VIEW",
	"ATTACH 'a.db'":                                                      "FROM 'folder",
	"USE x":                                                              "FROM 'folder",
	"EXPORT DATABASE 'x'":                                                "FROM 'folder",
	"INSTALL httpfs":                                                     "WithScalarFunc",
	"PRAGMA threads=1":                                                   "SET pond_",
	"BEGIN":                                                              "COPY",
	"COPY t FROM 'a.csv'":                                                "FROM 'file.csv'",
	"COPY FROM DATABASE a TO b":                                          "COPY (SELECT",
	"COPY t TO 'gs://a/b'":                                               "folder",
	"COPY t TO '/dev/stdout'":                                            "folder",
	"COPY t TO x":                                                        "COPY (SELECT",
	"COPY t":                                                             "COPY (SELECT",
	"COPY (SELECT 1 TO 'a'":                                              "COPY (SELECT",
	"COPY (INSERT INTO t VALUES (1)) TO 'a'":                             "COPY (SELECT",
	"COPY t TO 'a.csv' (APPEND)":                                         "TO 'folder/' (APPEND)",
	"COPY t TO 'a' (FORMAT xlsx)":                                        "parquet, csv",
	"COPY t TO 'a' (PARTITION_BY (x, X))":                                "once",
	"COPY t TO 'a' (PARTITION_BY *)":                                     "(a, b)",
	"COPY t TO 'a' (PARTITION_BY x, FILE_SIZE_BYTES 1)":                  "PARTITION_BY alone",
	"COPY t TO 'a' (PARTITION_BY x, PER_THREAD_OUTPUT)":                  "PARTITION_BY alone",
	"COPY t TO 'a' (PARTITION_BY x, APPEND, OVERWRITE)":                  "choose one",
	"COPY t TO 'a' (FORMAT parquet, Format csv)":                         "each option once",
	"COPY t TO 'a' WITH CSV CSV":                                         "each option once",
	"COPY t TO 'pond://a' (OVERWRITE, OVERWRITE)":                        "each option once",
	"COPY t TO 'a/' (FILENAME_PATTERN 'x_{i}')":                          "{uuid}",
	"COPY t TO 'a' (RETURN_STATS)":                                       "parquet_metadata",
	"COPY t TO 'a' (WRITE_EMPTY_FILE false)":                             "leave it out",
	"COPY t TO 'a' (PARTITION_BY 1)":                                     "PARTITION_BY (a, b)",
	"COPY t TO 'a' (FORMAT csv":                                          "(FORMAT parquet",
	"COPY t TO 'a' (FORMAT csv) x":                                       "(FORMAT parquet",
	"CREATE VIEW x.v AS SELECT 1":                                        "leave x. away",
	"CREATE VIEW v":                                                      "AS SELECT",
	"CREATE VIEW v (a b) AS SELECT 1":                                    "(a, b)",
	"CREATE VIEW v AS INSERT INTO t FROM x":                              "AS SELECT",
	"CREATE VIEW v AS WITH a AS (SELECT 1) INSERT INTO t FROM a":         "AS SELECT",
	"INSERT INTO t WITH a AS (SELECT 1) INSERT INTO t FROM a":            "INSERT INTO name",
	"CREATE VIEW v AS EXPLAIN SELECT 1":                                  "AS SELECT",
	"DROP VIEW":                                                          "name of a view",
	"DROP VIEW a b":                                                      "DROP VIEW name",
	"EXPLAIN SET x = 1":                                                  "explain a query",
	"EXPLAIN (FORMAT html) SELECT 1":                                     "FORMAT json",
	"EXPLAIN (FORMAT json SELECT 1":                                      "FORMAT json",
	"EXPLAIN CREATE TABLE t AS FROM x":                                   "explain a query",
	"SHOW DATABASES":                                                     "SHOW TABLES",
	"SHOW TABLES FROM x":                                                 "SHOW TABLES",
	"SET":                                                                "SET name = value",
	"SET VARIABLE x = 1":                                                 "CTE",
	"SET x =":                                                            "SET name",
	"RESET":                                                              "RESET name",
	"":                                                                   "SELECT",
	" -- nothing":                                                        "SELECT",
	"SELECT 1; SELECT 2":                                                 "one at a time",
	"CALL f()":                                                           "SELECT * FROM",
	"PREPARE x AS SELECT 1":                                              "values",
	"CREATE OR VIEW v AS SELECT 1":                                       "OR REPLACE",
	"CREATE VIEW IF EXISTS v AS SELECT 1":                                "IF NOT EXISTS",
	"CREATE VIEW v () AS SELECT 1":                                       "(a, b)",
	"CREATE VIEW v (a,) AS SELECT 1":                                     "(a, b)",
	"DROP VIEW IF NOT v":                                                 "IF EXISTS",
	"COPY t TO ''":                                                       "folder",
	"COPY t TO '/proc/self/fd/1'":                                        "folder",
	"COPY t TO 'a' (PARTITION_BY (a, b]":                                 "(FORMAT parquet",
	"COPY t TO 'a' ()":                                                   "(FORMAT parquet",
	"COPY (EXPLAIN SELECT 1) TO 'a'":                                     "COPY (SELECT",
	"COPY (COPY (SELECT 1) TO 'b') TO 'a'":                               "COPY (SELECT",
	"COPY () TO 'a'":                                                     "COPY (SELECT",
	"EXPLAIN":                                                            "explain a query",
	"EXPLAIN EXPLAIN SELECT 1":                                           "explain a query",
	"EXPLAIN (ANALYZE, VERBOSE) SELECT 1":                                "FORMAT json",
	"SET GLOBAL x 5":                                                     "SET name = value",
	"RESET x y":                                                          "RESET name",
}

func TestRefused(t *testing.T) {
	for sql, hint := range refusedHints {
		_, err := Parse(sql)
		var te *plan.Error
		if !errors.As(err, &te) || te.Kind != plan.KindUser || te.Text == "" {
			t.Errorf("Parse(%q): %v, want a refusal", sql, err)
			continue
		}
		if !strings.Contains(te.Hint, hint) {
			t.Errorf("Parse(%q): %s\n hint %q lacks %q", sql, te.Text, te.Hint, hint)
		}
	}
}

// scatter writes a statement with comments and ends of lines between all of its tokens.
func scatter(sql string) string {
	toks, _ := lexer.Lex(sql)
	var b strings.Builder
	for i, t := range lexer.Solid(toks) {
		b.WriteString([]string{" /* ; it's */ ", "\n\t-- ; \"\n"}[i%2] + t.In(sql))
	}
	return b.String() + " -- end"
}

// squash is a text's tokens, without what stands between them.
func squash(s string) string {
	toks, _ := lexer.Lex(s)
	var b strings.Builder
	for _, t := range lexer.Solid(toks) {
		b.WriteString(t.In(s) + " ")
	}
	return b.String()
}

// TestScattered: what stands between the words of a statement changes nothing.
func TestScattered(t *testing.T) {
	for sql, want := range parsed {
		text := scatter(sql)
		s, err := Parse(text)
		if err != nil {
			t.Errorf("Parse(%q): %v", text, err)
			continue
		}
		if s.Write != nil {
			for name, value := range s.Write.Options {
				s.Write.Options[name] = OneLine(value)
			}
		}
		got := brief(s)
		if s.Kind == Explain { // its text is as it was written
			got, want = brief(s.Inner), want[strings.Index(want, "{")+1:strings.LastIndex(want, "}")]
		}
		if squash(got) != squash(want) {
			t.Errorf("Parse(%q)\n got %s\nwant %s", text, got, want)
		}
	}
	for sql := range refusedHints {
		_, err := Parse(sql)
		_, again := Parse(scatter(sql))
		if again == nil || squash(plan.AsError(again).Hint) != squash(plan.AsError(err).Hint) {
			t.Errorf("Parse(%q): %v, scattered %v", sql, err, again)
		}
	}
}

// TestWithin: what is explained is what it is by itself, unless it stands alone.
func TestWithin(t *testing.T) {
	for sql, want := range parsed {
		s, err := Parse("EXPLAIN " + sql)
		first := FirstWord(Trim(sql))
		switch {
		case alone[first]:
			if err == nil && first != "explain" {
				t.Errorf("EXPLAIN %s is %s", sql, brief(s))
			}
		case err != nil || brief(s.Inner) != strings.ReplaceAll(want, "query "+sql, "query "+Trim(sql)):
			t.Errorf("EXPLAIN %s: %v, %v", sql, s, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"COPY (SELECT 1) TO 'a' (FORMAT csv, X [1, (2)])", "EXPLAIN (ANALYZE) SELECT 1", "CREATE VIEW a(b) AS FROM c", "DROP VIEW a.b", "SET a = 'b", "SHOW", "COPY a.", "COPY $$a$$ TO $$b$$ (", "EXPLAIN EXPLAIN"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		s, err := Parse(sql)
		var te *plan.Error
		switch {
		case err != nil && (!errors.As(err, &te) || te.Hint == "" && te.Text == ""):
			t.Fatalf("Parse(%q): an error that says nothing: %v", sql, err)
		case err == nil && s.Text != Trim(s.Text):
			t.Fatalf("Parse(%q): text %q", sql, s.Text)
		}
	})
}

func TestRename(t *testing.T) {
	table := func(s string) string {
		if strings.HasSuffix(s, ".csv") {
			return "/d/" + s
		}
		return s
	}
	file := func(s string) string { return "/f/" + s }
	for sql, want := range map[string]string{
		"PIVOT 'a.csv' ON y USING sum(z)":                           "PIVOT '/d/a.csv' ON y USING sum(z)",
		`PIVOT "a.csv" ON y`:                                        `PIVOT "/d/a.csv" ON y`,
		"FROM (PIVOT 'a.csv' ON y)":                                 "FROM (PIVOT '/d/a.csv' ON y)",
		"SELECT 'a.csv' FROM 'a.csv' WHERE f = 'a.csv'":             "SELECT 'a.csv' FROM '/d/a.csv' WHERE f = 'a.csv'",
		"SELECT a, 'b.csv' FROM v, 'a.csv' t, \"c.csv\"":            "SELECT a, 'b.csv' FROM v, '/d/a.csv' t, \"/d/c.csv\"",
		"FROM 'a.csv' a JOIN 'b.csv' b ON a.x = 'q.csv', 'c.csv'":   "FROM '/d/a.csv' a JOIN '/d/b.csv' b ON a.x = 'q.csv', '/d/c.csv'",
		"FROM ('a.csv' JOIN 'b.csv' USING (x)), 'c.csv'":            "FROM ('/d/a.csv' JOIN '/d/b.csv' USING (x)), '/d/c.csv'",
		"FROM (SELECT 'x.csv', 'y.csv'), 'c.csv'":                   "FROM (SELECT 'x.csv', 'y.csv'), '/d/c.csv'",
		"FROM read_csv('a', header = true)":                         "FROM read_csv('/f/a', header = true)",
		"FROM READ_CSV(['a', 'b'], nullstr = ['x', 'y'])":           "FROM READ_CSV(['/f/a', '/f/b'], nullstr = ['x', 'y'])",
		"FROM f('a.csv', 'b.csv')":                                  "FROM f('a.csv', 'b.csv')",
		`FROM "a.csv"."t.csv"`:                                      `FROM "a.csv"."t.csv"`,
		"SELECT * FROM t WHERE a IS DISTINCT FROM 'a.csv'":          "SELECT * FROM t WHERE a IS DISTINCT FROM 'a.csv'",
		"FROM t WHERE a IN (FROM 'a.csv') -- 'b.csv'":               "FROM t WHERE a IN (FROM '/d/a.csv') -- 'b.csv'",
		"FROM 'it''s.csv'":                                          "FROM '/d/it''s.csv'",
		`FROM E'\x61.csv'`:                                          "FROM '/d/a.csv'",
		"FROM $$a.csv$$":                                            "FROM '/d/a.csv'",
		"FROM 'a.csv' UNION FROM 'b.csv' ORDER BY 'c.csv', 'd.csv'": "FROM '/d/a.csv' UNION FROM '/d/b.csv' ORDER BY 'c.csv', 'd.csv'",
		"SUMMARIZE 'a.csv'":                                         "SUMMARIZE '/d/a.csv'",
		"FROM 'a.csv":                                               "FROM 'a.csv",
	} {
		if got := Rename(sql, table, func(_, name string) string { return file(name) }); got != want {
			t.Errorf("Rename(%q)\n got %s\nwant %s", sql, got, want)
		}
	}
}

func FuzzRename(f *testing.F) {
	for _, s := range []string{"FROM 'a', \"b\" JOIN read_csv(['c'])", "PIVOT $$x$$ ON (", ")]}", "FROM E'a'", "FROM ''"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		same := func(s string) string { return s }
		if got := Rename(sql, same, func(_, name string) string { return name }); got != sql {
			t.Fatalf("no name was changed, but %q became %q", sql, got)
		}
		long := func(s string) string { return "/x/" + s }
		once := Rename(sql, long, func(_, name string) string { return long(name) })
		short := func(s string) string { return strings.TrimPrefix(s, "/x/") }
		back := Rename(once, short, func(_, name string) string { return short(name) })
		if a, b := len(newCursor(sql).toks), len(newCursor(back).toks); a != b {
			t.Fatalf("%q with names changed and changed back has %d tokens, not %d: %q", sql, b, a, back)
		}
	})
}

func TestOneLine(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT 1":                       "SELECT 1",
		"SELECT 1 -- one\n\t+ 2 /* x */": "SELECT 1 + 2",
		"SELECT/* a */'--;'  ,  1":       "SELECT '--;' , 1",
		"SELECT 'a\nb'":                  "",
		" \n ":                           "",
	} {
		if got := OneLine(sql); got != want {
			t.Errorf("OneLine(%q) = %q", sql, got)
		}
	}
}

// Every table that a query may read is among its identifiers; what stands in comments,
// and numbers, are not.
func TestIdentifiers(t *testing.T) {
	got := Identifiers(`SELECT a.B, 'Text', 17 FROM Sales s JOIN "Big ""One""" /* hidden */ USING (id) -- gone`)
	for _, name := range []string{"sales", "s", `big "one"`, "a", "b", "text", "id", "select"} {
		if !got[name] {
			t.Errorf("no %q in %v", name, got)
		}
	}
	for _, name := range []string{"hidden", "gone", "17", "Sales"} {
		if got[name] {
			t.Errorf("%q is in %v", name, got)
		}
	}
}

// TestInsertQuery: values worked out by hand, in DuckDB's words where it has some.
func TestInsertQuery(t *testing.T) {
	table := []plan.Column{{Name: "a", Type: "BIGINT"}, {Name: "b c", Type: "DECIMAL(9,2)"}}
	for _, c := range []struct{ insert, query, want string }{
		{"INSERT INTO t FROM x", "x y", `SELECT CAST(c0 AS BIGINT) AS "a", CAST(c1 AS DECIMAL(9,2)) AS "b c" FROM (FROM x` + "\n" + `) AS q(c0, c1)`},
		{`INSERT INTO t ("B C", a) FROM x`, "x y", `SELECT CAST(c1 AS BIGINT) AS "a", CAST(c0 AS DECIMAL(9,2)) AS "b c" FROM (FROM x` + "\n" + `) AS q(c0, c1)`},
		{`INSERT INTO t BY NAME FROM x`, "A", `SELECT CAST(c0 AS BIGINT) AS "a", CAST(NULL AS DECIMAL(9,2)) AS "b c" FROM (FROM x` + "\n" + `) AS q(c0)`},
		{"INSERT INTO t FROM x", "x", "table t has 2 columns but 1 values were supplied"},
		{"INSERT INTO t (a) FROM x", "x y", "table t has 1 columns but 2 values were supplied"},
		{"INSERT INTO t (a, z) FROM x", "x y", `"t" does not have a column with name "z"`},
		{"INSERT INTO t BY NAME FROM x", "a A", `Duplicate column name "A"`},
	} {
		s, err := Parse(c.insert)
		if err != nil {
			t.Fatal(err)
		}
		var query []plan.Column
		for _, name := range strings.Fields(c.query) {
			query = append(query, plan.Column{Name: name, Type: "ANY"})
		}
		got, err := InsertQuery(s, query, table)
		if err != nil {
			got = err.Error()
		}
		if got != c.want && (err == nil || !strings.Contains(got, c.want) || plan.KindOf(err) != plan.KindUser) {
			t.Errorf("%s: %s", c.insert, got)
		}
	}
}
