//go:build duckdb_arrow

package distribute_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// sqliteOracle reads {"setup", "queries": [{"sql", "rows"}]} and writes a word and a
// reason a query. Numbers are compared as numbers, rows without their order.
const sqliteOracle = `
import json, sqlite3, sys
def value(x):
    if x is None: return "NULL"
    if x == "true" or x == "false": return "%.6g" % (x == "true")
    try: return "%.6g" % (float(x) + 0.0)
    except ValueError: return x
def rows(rs): return sorted([value(None if x == "NULL" else x) for x in r] for r in rs)
job, out = json.load(sys.stdin), []
db = sqlite3.connect(":memory:")
db.executescript(job["setup"])
for q in job["queries"]:
    try: got = rows(db.execute(q["sql"]).fetchall())
    except sqlite3.Error as e:
        out.append({"word": "refused", "why": str(e)}); continue
    want = rows(q["rows"] or [])
    out.append({"word": "equal" if got == want else "differs", "why": "" if got == want else "SQLite %r, DuckDB %r" % (got[:5], want[:5])})
json.dump(out, sys.stdout)
`

type sqliteQuery struct {
	SQL  string     `json:"sql"`
	Rows [][]string `json:"rows"`
}

type sqliteVerdict struct{ Word, Why string }

// sqliteWords are what both read alike.
var sqliteWords = regexp.MustCompile(`^(?i:select|from|where|and|or|not|null|is|in|group|by|having|count|sum|min|max|distinct|union|all|except|intersect|join|left|inner|cross|on|as|case|when|then|else|end|coalesce|between|exists|with|true|false|big|mid|dim|none|[a-z]|[cq]\d+|\d+)$`)

var (
	word  = regexp.MustCompile(`'[^']*'|\w+`)
	alien = regexp.MustCompile(`[/%\[\]{}:"^&|~@#$?]|\bd [-+*]`) // SQLite's dates are text: no sums of them
)

// shared reports whether a query means the same to SQLite, as far as its words tell.
func shared(sql string) bool {
	if alien.MatchString(sql) {
		return false
	}
	for _, w := range word.FindAllString(sql, -1) {
		if w[0] != '\'' && !sqliteWords.MatchString(w) {
			return false
		}
	}
	return true
}

func askSQLite(t *testing.T, python, setup string, queries []sqliteQuery) []sqliteVerdict {
	t.Helper()
	in, err := json.Marshal(map[string]any{"setup": setup, "queries": queries})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", sqliteOracle)
	cmd.Stdin = bytes.NewReader(in)
	var text bytes.Buffer
	cmd.Stderr = &text
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, text.String())
	}
	var out []sqliteVerdict
	if err := json.Unmarshal(b, &out); err != nil || len(out) != len(queries) {
		t.Fatalf("%d verdicts: %v", len(out), err)
	}
	return out
}

// TestSecondOracle compares those of TestRandom's queries that SQLite reads alike with
// its answers, so that a fault which DuckDB and Pond share is seen.
func TestSecondOracle(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err == nil {
		err = exec.Command(python, "-c", "import sqlite3").Run()
	}
	if err != nil {
		t.Skip("needs python3 with sqlite3:", err)
	}
	tables := tablesSQL(rand.New(rand.NewPCG(1, 7)))
	p := newTables(t, tables)
	var setup []string
	for _, line := range strings.Split(tables, "\n") {
		for _, name := range []string{"big", "mid", "dim", "none"} {
			if strings.HasPrefix(line, "CREATE TABLE "+name+" ") || strings.HasPrefix(line, "INSERT INTO "+name+" ") {
				setup = append(setup, regexp.MustCompile(`\[[^\]]*\]`).ReplaceAllStringFunc(line, func(s string) string {
					if s == "[]" && strings.HasPrefix(line, "CREATE") {
						return ""
					}
					return "'" + s + "'"
				}))
			}
		}
	}
	var queries []sqliteQuery
	const seeds = 10_000
	for seed := range uint64(seeds) {
		sql, _ := (&gen{draw: rand.New(rand.NewPCG(seed, 0))}).query(1)
		if !shared(sql) {
			continue
		}
		if _, err := p.check(t.Context(), sql, ways[seed%uint64(len(ways))]); err != nil {
			if differs(nil, err) {
				t.Errorf("Pond differs from DuckDB: %v\n%s", err, sql)
			}
			continue
		}
		if a, err := ask(t.Context(), p.plans, sql); err == nil {
			queries = append(queries, sqliteQuery{sql, a.rows})
		}
	}
	planted := len(queries)
	queries = append(queries, sqliteQuery{"SELECT count(*) FROM none", [][]string{{"1"}}})
	words := map[string]int{}
	for i, v := range askSQLite(t, python, strings.Join(setup, "\n"), queries) {
		if i == planted {
			if v.Word != "differs" {
				t.Errorf("a wrong answer is %s", v.Word)
			}
			continue
		}
		if words[v.Word]++; v.Word == "differs" {
			t.Errorf("%s\n%s", v.Why, queries[i].SQL)
		}
	}
	t.Logf("of %d queries %v", seeds, words)
	if words["equal"] < 20 {
		t.Error("too few queries were compared")
	}
}
