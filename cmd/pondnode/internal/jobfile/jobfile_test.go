package jobfile

import (
	"encoding/json"
	"errors"
	"flag"
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
		{"format", "steps:\n  - read: folder/\n", "does not tell its format", "parquet, csv", 2},
		{"result", read + "result: colect\n", `unknown result "colect"`, "did you mean collect?", 3},
		{"result from", read + "result: {from: x, count: }\n", `has the id "x"`, "", 0},
		{"two results", read + "result: {count: , take: 3}\n", "set", "one of", 0},
		{"syntax", "steps: [\n", "this is not YAML", "quote", 1},
		{"tab", "steps:\n\t- read: a.csv\n", "this is not YAML", "", 2},
		{"two documents", read + "---\n" + read, "a second document", "", 3},
		{"alias", "steps:\n  - read: &a x.csv\n  - limit: *a\n", "anchors", "", 2},
		{"bomb", "a: &a [x,x]\nb: &b [*a,*a]\nsteps: []\n", `unknown key "a"`, "", 1},
		{"binary", "steps:\n  - rows: {ipc: abc}\n", "for programs", "", 2},
		{"deep", "steps:\n  - rows: {columns: {a: INTEGER}, values: [[" + strings.Repeat("[", 99) + strings.Repeat("]", 99) + "]]}\n", "anchors and aliases", "", 2},
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
			if e.File != "job.yaml" {
				t.Errorf("names the file %q", e.File)
			}
		})
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
