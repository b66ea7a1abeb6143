package jobfile

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// TestGolden compares the plans of testdata/*.yaml with the JSON beside them.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no job files:", err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			p, err := Parse(f, data, "/work dir")
			if err != nil {
				t.Fatal(err)
			}
			b, err := json.MarshalIndent(p, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(f, ".yaml") + ".json"
			if *rewrite {
				if err := os.WriteFile(golden, append(b, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if string(b)+"\n" != string(want) {
				t.Errorf("%s differs; run with -rewrite and review:\n%s", golden, b)
			}
			if _, err := plan.Decode(b); err != nil {
				t.Errorf("not a plan: %v", err)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	const read = "steps:\n  - read: a.parquet\n"
	for _, test := range []struct {
		name, yaml, text, hint string
		line                   int
	}{
		{"empty", "", "the file is empty", "", 0},
		{"no steps", "name: x\n", "no steps", "begin with", 1},
		{"unknown key", read + "  - reparition: {n: 3}\n", `unknown key "reparition"`, "did you mean repartition?", 3},
		{"unknown key inside", read + "  - repartition: {by: hash, kyes: a}\n", `unknown key "kyes"`, "did you mean keys?", 3},
		{"unknown key at the top", read + "reslut: count\n", `unknown key "reslut"`, "did you mean result?", 3},
		{"nothing near", read + "  - zzzzzzzzzz: 1\n", `unknown key "zzzzzzzzzz"`, "known here: broadcast", 3},
		{"inputs is from", read + "  - {inputs: [step1], limit: 3}\n", `unknown key "inputs"`, "", 3},
		{"twice", "name: a\nname: b\n" + read, `"name" stands here twice`, "", 2},
		{"two operations", read + "  - limit: 3\n    filter: a\n", "step2", "", 3},
		{"no operation", read + "  - id: x\n", `step "x"`, "", 3},
		{"unknown step", read + "  - from: stpe1\n    limit: 3\n", `has the id "stpe1"`, "did you mean step1?", 3},
		{"forward reference", "steps:\n  - from: b\n    limit: 3\n  - id: b\n    read: a.parquet\n", `has the id "b"`, "", 2},
		{"same id", "steps:\n  - id: a\n    read: a.csv\n  - id: a\n    limit: 1\n", `two steps have the id "a"`, "", 4},
		{"not a number", read + "  - limit: ten\n", `"ten" is not a whole number`, "", 3},
		{"no value", read + "  - limit:\n", "a value is missing", "", 3},
		{"not a list", read + "  - filter: [a, b]\n", "one value is expected", "", 3},
		{"not a truth value", "steps:\n  - read: {paths: a.csv, recursive: maybe}\n", "not a truth value", "true or false", 2},
		{"format", "steps:\n  - read: folder/\n", "/d/folder/ does not tell its format", "format: parquet", 2},
		{"two formats", "steps:\n  - read:\n    - a.csv\n    - b.parquet\n", "/d/a.csv and /d/b.parquet tell two", "format: parquet", 2},
		{"no paths", "steps:\n  - read:\n", "", "parquet, csv", 2},
		{"result", read + "result: colect\n", `unknown result "colect"`, "did you mean collect?", 3},
		{"result from", read + "result: {from: x, count: }\n", `has the id "x"`, "", 3},
		{"two results", read + "result: {count: , take: 3}\n", "result: it sets 2", "one of", 3},
		{"take", read + "result: {take: -1}\n", "result: take: n is -1", "", 3},
		{"write nowhere", read + "result:\n  write:\n", "a value is missing", "", 4},
		{"write to nothing", read + "result:\n  write: ''\n", "result: write has no path", "", 4},
		{"write how", read + "result: {write: {path: o, format: xml}}\n", `result: format "xml" is not known`, "parquet", 3},
		{"write mode", read + "result: {write: {path: o, mode: add}}\n", `result: mode "add" is not known`, "append", 3},
		{"write option", read + "result: {write: {path: o, options: {'a b': 1}}}\n", `result: options: "a b" is not the name`, "", 3},
		{"a list of steps", "steps: {reed: a.csv}\n", "unknown key", "read", 1},
		{"steps of text", "steps: go\n", "a mapping is expected", "key: value", 1},
		{"a list at the top", "- read: a.csv\n", "a mapping is expected", "name, result, steps", 1},
		{"comment only", "# nothing\n", "the file is empty", "", 0},
		{"no document", "---\n", "a mapping is expected", "", 2},
		{"whole number", read + "  - limit: 1.5\n", `"1.5" is not a whole number`, "", 3},
		{"beyond 63 bits", read + "  - limit: 9223372036854775808\n", "is not a whole number", "", 3},
		{"negative seed", read + "  - random_shuffle: {seed: -1}\n", `"-1" is not a whole number from 0 on`, "", 3},
		{"too many partitions", read + "  - repartition: 100001\n", "n is 100001, not between", "range", 3},
		{"no rows", read + "  - limit: -1\n", "n is -1", "number of rows", 3},
		{"options", "steps:\n  - read: {paths: a.csv, options: {csv: header}}\n", "options are a mapping", "name: value", 2},
		{"an option twice", "steps:\n  - read:\n      paths: a.csv\n      options: {csv: {skip: 1,\n        skip: 2}}\n", `"skip" stands here twice`, "", 5},
		{"a field twice", "steps:\n  - rows: {columns: {a: JSON}, values: [[{x: 1,\n      x: 2}]]}\n", `"x" stands here twice`, "", 3},
		{"a column twice", "steps:\n  - rows: {columns: {a: INTEGER, a: TEXT}, values: []}\n", `"a" stands here twice`, "", 2},
		{"a list as a key", "steps:\n  - rows: {columns: {a: JSON}, values: [[{[1, 2]: 3}]]}\n", "a key is one text", "", 2},
		{"a list as a column", "steps:\n  - rows: {columns: {[a]: JSON}, values: []}\n", "a key is one text", "", 2},
		{"a list as a type", "steps:\n  - rows: {columns: {a: [JSON]}, values: []}\n", "type is one text", "name: TYPE", 2},
		{"a row too short", "steps:\n  - rows: {columns: {a: INTEGER, b: TEXT}, values: [[1]]}\n", "row 1 has 1 value for 2 columns", "", 2},
		{"too large", strings.Repeat("#", plan.MaxPlanBytes+1), "more than the", "", 0},
		{"merged", "steps:\n  - read: {<<: {paths: a.csv}}\n", `unknown key "<<"`, "", 2},
		{"anchor in a row", "steps:\n  - rows: {columns: {a: JSON}, values: [[{x: &y 1}]]}\n", "anchors", "", 2},
		{"syntax", "steps: [\n", "this is not YAML", "quote", 1},
		{"tab", "steps:\n\t- read: a.csv\n", "this is not YAML", "", 2},
		{"two documents", read + "---\n" + read, "a second document", "", 3},
		{"alias", "steps:\n  - read: &a x.csv\n  - limit: *a\n", "anchors", "", 2},
		{"bomb", "a: &a [x,x]\nb: &b [*a,*a]\nsteps: []\n", `unknown key "a"`, "", 1},
		{"binary", "steps:\n  - rows: {ipc: abc}\n", "for programs", "", 2},
		{"deep", "steps:\n  - rows: {columns: {a: INTEGER}, values: [[" + strings.Repeat("[", 99) + strings.Repeat("]", 99) + "]]}\n", "nested deeper than 64", "", 2},
		{"deep options", "steps:\n  - read: {paths: a.csv, options: {csv: {x: " + strings.Repeat("[", 99) + strings.Repeat("]", 99) + "}}}\n", "nested deeper than 64", "", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := Parse("job.yaml", []byte(test.yaml), "/d")
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, %v", p, err)
			}
			if !strings.Contains(e.Text, test.text) || !strings.Contains(e.Hint, test.hint) || e.Line != test.line {
				t.Errorf("got line %d, %q, hint %q", e.Line, e.Text, e.Hint)
			}
			if where := strings.TrimSuffix(fmt.Sprintf("job.yaml:%d: ", e.Line), "0: "); !strings.HasPrefix(err.Error(), where) {
				t.Errorf("%v does not begin with the place, %s", err, where)
			}
		})
	}
}

// TestRowsAndOptions: values of a file come to DuckDB as they are meant.
func TestRowsAndOptions(t *testing.T) {
	for _, test := range []struct{ yaml, json, sql string }{
		{"1", "1", "1"},
		{"-1.50", "-1.50", "-1.50"},
		{"1e3", "1e3", "1e3"},
		{"1_000", `"1_000"`, "1_000"}, // DuckDB reads both as a thousand
		{"02139", `"02139"`, "02139"}, // a postcode keeps its zero
		{"99999999999999999999999999", "99999999999999999999999999", "99999999999999999999999999"},
		{".inf", `"Infinity"`, "'Infinity'"},
		{"-.Inf", `"-Infinity"`, "'-Infinity'"},
		{".NaN", `"NaN"`, "'NaN'"},
		{"True", "true", "true"},
		{"yes", `"yes"`, "'yes'"},
		{"~", "null", "NULL"},
		{"'5'", `"5"`, "'5'"},
		{`"it's"`, `"it's"`, "'it''s'"},
		{`"a\tb"`, `"a\tb"`, "'a\tb'"},
		{"2024-01-31", `"2024-01-31"`, "'2024-01-31'"},
		{"[1, [a, ~]]", `[1,["a",null]]`, "[1, ['a', NULL]]"},
		{"{b: 1, a: x}", `{"a":"x","b":1}`, "{'b': 1, 'a': 'x'}"},
		{"[]", "[]", "[]"},
	} {
		p, err := Parse("job.yaml", []byte("steps:\n  - read:\n      paths: a.csv\n      options:\n        csv:\n          x: "+test.yaml+
			"\n  - rows:\n      columns: [{name: a}]\n      values:\n        - [ "+test.yaml+" ]\n  - {from: [step1, step2], union: }\n"), "/d")
		if err != nil {
			t.Errorf("%s: %v", test.yaml, err)
			continue
		}
		if got := p.Nodes[0].Read.Options.CSV["x"]; got != test.sql {
			t.Errorf("%s is the option %s, not %s", test.yaml, got, test.sql)
		}
		if row := p.Nodes[1].Rows.Values[0]; string(row[0]) != test.json {
			t.Errorf("%s is the value %s, not %s", test.yaml, row[0], test.json)
		}
	}
}

// TestSteps: a step reads the one before it, or those that it names; what it is called
// does not count.
func TestSteps(t *testing.T) {
	const read = "steps:\n  - read: a.csv\n"
	for _, test := range []struct{ yaml, inputs, sink string }{
		{read, "step1()", "step1"},
		{read + "  - limit: 3\n", "step1() step2(step1)", "step2"},
		{read + "  - read: b.csv\n  - limit: 1\n", "step1() step2() step3(step2)", "step3"},
		{read + "  - {id: 7, from: step1, limit: 1}\n  - filter: a\n", "step1() 7(step1) step3(7)", "step3"},
		{read + "  - {from: [step1, step1], union: }\n", "step1() step2(step1 step1)", "step2"},
		{read + "  - {from: [], sql: SELECT 1}\n", "step1() step2()", "step2"},
		{read + "  - limit: 3\nresult: {from: step1, take: 1_0}\n", "step1() step2(step1)", "step1"},
	} {
		p, err := Parse("job.yaml", []byte(test.yaml), "/d")
		if err != nil {
			t.Errorf("%s: %v", test.yaml, err)
			continue
		}
		var steps []string
		for _, n := range p.Nodes {
			var in []string
			for _, id := range n.Inputs {
				in = append(in, string(id))
			}
			steps = append(steps, fmt.Sprintf("%s(%s)", n.ID, strings.Join(in, " ")))
		}
		if got := strings.Join(steps, " "); got != test.inputs || string(p.Sink.Input) != test.sink {
			t.Errorf("%s: %s, result of %s", test.yaml, got, p.Sink.Input)
		}
		if p.Sink.Take != nil && p.Sink.Take.N != 10 {
			t.Errorf("%s: takes %d", test.yaml, p.Sink.Take.N)
		}
	}
}

// TestWriteTo: what a file writes is Parquet unless it says so, below its own folder,
// and no URL.
func TestWriteTo(t *testing.T) {
	for text, want := range map[string]string{
		"out": "/d/out parquet", "out/": "/d/out parquet", "{path: /x/y, format: csv}": "/x/y csv", "../o": "/o parquet", "s3://b/c/": "s3://b/c parquet",
	} {
		p, err := Parse("job.yaml", []byte("steps: [read: a.csv]\nresult: {write: "+text+"}\n"), "/d")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := p.Sink.Write.Path + " " + string(p.Sink.Write.Format); got != want {
			t.Errorf("%s: %s, not %s", text, got, want)
		}
	}
	for _, not := range []string{"/", "https://h/c/"} {
		if p, err := Parse("job.yaml", []byte("steps: [read: a.csv]\nresult: {write: "+not+"}\n"), "/d"); err == nil {
			t.Errorf("%s is written to: %+v", not, p.Sink.Write)
		}
	}
}

// TestPaths: a path means the same on every node, and keeps what tells a folder.
func TestPaths(t *testing.T) {
	for path, want := range map[string]string{
		"a.csv": "/home/ann/a.csv", "./x/../a.csv": "/home/ann/a.csv", "/abs/b.csv": "/abs/b.csv", "../c/": "/home/c/", "/": "/",
		"s3://bucket/a.csv": "s3://bucket/a.csv", "pond://name": "pond://name", "data/*.csv": "/home/ann/data/*.csv", ".": "/home/ann",
	} {
		if got := absolute(path, "/home/ann"); got != want {
			t.Errorf("%s is %s, not %s", path, got, want)
		}
	}
	for path, want := range map[string]plan.Format{
		"a.parquet": plan.Parquet, "a.PQ": plan.Parquet, "a.tsv.gz": plan.CSV, "a.ndjson.zst": plan.JSON, "x.y/a.arrow": plan.Arrow,
		"a": "", "a.gz": "", "x.csv/": "", "a.csv.bz2": "", ".csv": plan.CSV,
		"pond://sales": plan.Parquet, "pond://sales/2/day=3": plan.Parquet, "pond://docs/a.csv": plan.CSV, "POND://sales": plan.Parquet, "pond://docs/notes.txt": "", "pond://": "", "s3://bucket/a": "",
	} {
		if got, ok := formatOf(path); got != want || ok != (want != "") {
			t.Errorf("%s is %q, not %q", path, got, want)
		}
	}
}

// FuzzParse: any bytes give a plan or an error.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.yaml")
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("steps: {a: &x [*x]}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse("x", data, "/d")
		if (p == nil) == (err == nil) {
			t.Fatalf("plan %v and error %v", p, err)
		}
	})
}
