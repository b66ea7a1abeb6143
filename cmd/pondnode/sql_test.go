//go:build duckdb_arrow

package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/term"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/output"
)

// sqlNode is a node in this process.
func sqlNode(t *testing.T) *pond.Node {
	t.Helper()
	n, err := pond.Join(t.Context(), pond.WithDir(t.TempDir()), pond.WithMemory(512<<20), pond.WithSlots(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// feed runs a command with a standard input.
func feed(t *testing.T, in string, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), system{stdin: strings.NewReader(in), stdout: &out, stderr: &errs, signals: make(chan os.Signal, signalsMax),
		env: func(string) (string, bool) { return "", false }}, args)
	return outcome{code, out.String(), errs.String()}
}

func TestSQLCommand(t *testing.T) {
	peer := sqlNode(t).Addr()
	dir := t.TempDir()
	script := filepath.Join(dir, "a.sql")
	if err := os.WriteFile(script, []byte("-- two\nCREATE VIEW v AS SELECT 41 AS x;\nSELECT x + 1 AS y FROM v"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, in string
		args     []string
		code     int
		out      string
		says     []string // on standard error
	}{
		{"one", "", []string{"SELECT 1 AS a, 'x;y' AS b", "-o", "csv"}, exitOK, "a,b\n1,x;y\n", []string{"job ", "succeeded"}},
		{"several", "", []string{"SELECT 1 AS a; SELECT 2 AS b;", "-o", "csv", "-q"}, exitOK, "a\n1\nb\n2\n", nil},
		{"file", "", []string{"-f", script, "-o", "csv"}, exitOK, "y\n42\n", []string{"CREATE VIEW\n"}},
		{"standard input", "VALUES (1);\n\nVALUES (2)\n", []string{"-o", "jsonl", "-q"}, exitOK, "{\"col0\":1}\n{\"col0\":2}\n", nil},
		{"standard input named", "VALUES (1)", []string{"-f", "-", "-o", "jsonl", "-q"}, exitOK, "{\"col0\":1}\n", nil},
		{"stops at the first error", "", []string{"SELECT 1 AS a; SELECT nope; SELECT 3", "-o", "csv", "-q"}, exitFailed, "a\n1\n",
			[]string{"in statement 2 of 3: SELECT nope\n", "failed: query error", "nope"}},
		{"refused", "", []string{"CREATE TABLE t (a INT)"}, exitFailed, "", []string{"its columns cannot be declared", "next: give it rows"}},
		{"copy", "", []string{"COPY (SELECT 1 AS a) TO '" + dir + "/c.csv'"}, exitOK, "", []string{"1 row in " + dir + "/c.csv"}},
		{"copy as csv", "", []string{"COPY (SELECT 1 AS a) TO '" + dir + "/d.csv'", "-o", "csv", "-q"}, exitOK, "Count\n1\n", nil},
		{"copy exists", "", []string{"COPY (SELECT 1 AS a) TO '" + dir + "/' (FORMAT csv)"}, exitFailed, "", []string{"error: already exists"}},
		{"explain", "", []string{"EXPLAIN SELECT 1", "-q"}, exitOK, "stage 0: ", nil},
		{"explain as json", "", []string{"EXPLAIN SELECT 1", "-o", "json", "-q"}, exitOK, "[", nil},
		{"describe", "", []string{"DESCRIBE SELECT 1 AS a", "-o", "csv"}, exitOK, "column_name,column_type,null,key,default,extra\na,INTEGER,YES,,,\n", nil},
		{"forced", "", []string{"EXPLAIN SELECT DISTINCT origin FROM 'sample/*.parquet'", "--force", "--partitions", "3", "-q"}, exitOK, "stage 0: ", nil},
		{"a command of DuckDB's shell", "", []string{".tables\nSELECT 1"}, exitUsage, "", []string{".tables is a command of DuckDB's shell", `\d`}},
		{"a command of the prompt", "\\d\n", nil, exitUsage, "", []string{`\d is for the prompt`}},
		{"parameters", "", []string{"SELECT $1 + 1 AS a, $2 AS b, $2 = '5' AS c", "--param", "41", "--param", "it's; DROP TABLE t; --", "-o", "csv", "-q"}, exitOK, "a,b,c\n42,it's; DROP TABLE t; --,false\n", nil},
		{"named parameters", "", []string{"SELECT $n AS n; SELECT 1 AS one; SELECT $day::DATE + 1 AS d", "--param", "n=null", "--param", "day=2001-02-28", "-o", "csv", "-q"}, exitOK, "n\n\none\n1\nd\n2001-03-01\n", nil},
		{"a parameter too few", "", []string{"SELECT $1, $2", "--param", "1"}, exitFailed, "", []string{"no value for $2", "--param"}},
		{"a parameter too many", "", []string{"SELECT $a", "--param", "a=1", "--param", "b=2"}, exitUsage, "", []string{"--param: there is no $b"}},
		{"parameters of two kinds", "", []string{"SELECT $a, $1", "--param", "a=1", "--param", "2"}, exitUsage, "", []string{"with names and without"}},
		{"no folder for --out", "", []string{"SELECT 1", "--out", filepath.Join(dir, "no", "x.csv")}, exitUsage, "", []string{"--out: ", "make the folder"}},
		{"a file for --out's folder", "", []string{"SELECT 1", "--out", filepath.Join(script, "x.csv")}, exitUsage, "", []string{"--out: ", "next: "}},
		{"a folder for --out", "", []string{"SELECT 1", "--out", dir}, exitUsage, "", []string{"is a folder"}},
		{"lease too short", "", []string{"SELECT 1", "--lease", "5ms"}, exitUsage, "", []string{"--lease: 5ms is too short"}},
		{"expanded", "", []string{"SELECT 1 AS a; SELECT 2 AS b", "-x", "-q"}, exitOK, "─ row 1 ────────────────────────────────\na │ 1\n─ row 1 ────────────────────────────────\nb │ 2\n", nil},
		{"nothing", " -- nothing\n", nil, exitUsage, "", []string{"no statement"}},
		{"no such file", "", []string{"-f", filepath.Join(dir, "no.sql")}, exitUsage, "", []string{"no.sql"}},
		{"file and statement", "", []string{"-f", script, "SELECT 1"}, exitUsage, "", []string{"use one"}},
		{"two statements as arguments", "", []string{"SELECT 1", "SELECT 2"}, exitUsage, "", []string{"too many"}},
		{"two results for a file", "", []string{"SELECT 1; SELECT 2", "-q", "--out", filepath.Join(dir, "o.csv")}, exitUsage, "", []string{"one statement"}},
		{"two results as Parquet", "", []string{"COPY (SELECT 1 AS a) TO '" + dir + "/e.csv'; SELECT 2", "-q", "-o", "parquet"}, exitUsage, "", []string{"error: -o parquet takes the rows of one statement", "jsonl"}},
		{"two results as Arrow", "SELECT 1; SHOW TABLES", []string{"-q", "-o", "arrow"}, exitUsage, "", []string{"-o arrow takes the rows of one statement"}},
		{"one result as JSON", "", []string{"SET pond_partitions = 2; CREATE VIEW v AS SELECT 1 AS a; FROM v; DROP VIEW v", "-q", "-o", "json"}, exitOK, "[\n{\"a\":1}\n]\n", nil},
		{"deadline", "", []string{"SELECT count(*) FROM range(100000000000) t(i) WHERE hash(i) = 1", "-q", "--deadline", "50ms"}, exitTimeout, "", nil},
		{"unreachable", "", []string{"SELECT 1", "--peer", "127.0.0.1:1"}, exitUnreachable, "", []string{"no node reached"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"sql"}, c.args...)
			if !slices.Contains(args, "--peer") {
				args = append(args, "--peer", peer)
			}
			got := feed(t, c.in, args...)
			if got.code != c.code || !strings.HasPrefix(got.out, c.out) || c.out == "" && got.out != "" {
				t.Errorf("exit code %d, want %d; output %q, want %q\n%s", got.code, c.code, got.out, c.out, got.err)
			}
			for _, s := range c.says {
				if !strings.Contains(got.err, s) {
					t.Errorf("standard error lacks %q:\n%s", s, got.err)
				}
			}
		})
	}
}

// A second result of an output that holds one is refused before anything is run.
func TestSecondResult(t *testing.T) {
	peer := sqlNode(t).Addr()
	dir := t.TempDir()
	file, out := filepath.Join(dir, "c.csv"), filepath.Join(dir, "o.csv")
	for _, flags := range [][]string{{"-o", "parquet"}, {"--out", out}} {
		got := feed(t, "", append([]string{"sql", "-q", "--peer", peer, "SELECT 1; COPY (SELECT 1 AS a) TO '" + file + "'"}, flags...)...)
		if got.code != exitUsage || got.out != "" {
			t.Errorf("%q: %+v", flags, got)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v was written, %v", left, err)
	}
	_, text, errs, err := typed(t, peer, nil, `\o json`, "SELECT 1 AS a;", `\o arrow`, "SELECT 2 AS a;", `\o csv`, "SELECT 3 AS a;")
	if err != nil || text != "[\n{\"a\":1}\n]\na\n3\n" || !strings.Contains(errs, "-o arrow takes the rows of one statement") {
		t.Errorf("at the prompt: %q, %v\n%s", text, err, errs)
	}
}

func TestSubmitCopy(t *testing.T) {
	dir := t.TempDir()
	got := feed(t, "", "submit", "COPY (SELECT 1 AS a) TO '"+dir+"/c.csv'", "--peer", sqlNode(t).Addr())
	if text, err := os.ReadFile(filepath.Join(dir, "c.csv")); got.code != exitOK || err != nil || string(text) != "a\n1\n" {
		t.Fatalf("%+v, file %q, %v", got, text, err)
	}
	if !strings.Contains(got.err, "1 row in "+dir+"/c.csv") {
		t.Errorf("standard error: %s", got.err)
	}
}

// typist types a script. What it is shown is kept.
type typist struct {
	lines      []string
	labels     []string
	remembered []string
}

const (
	ctrlC    = "<Ctrl-C>"
	sigTERM  = "<SIGTERM>"
	longWork = "SELECT count(*) FROM range(100000000000) t(i) WHERE hash(i) = 1;"
)

func (y *typist) ReadLine(label string) (string, error) {
	y.labels = append(y.labels, label)
	if len(y.lines) == 0 {
		return "", io.EOF
	}
	line := y.lines[0]
	y.lines = y.lines[1:]
	switch line {
	case ctrlC:
		return "", errCleared
	case sigTERM:
		return "", errInterrupted
	}
	return line, nil
}

func (y *typist) Remember(line string) { y.remembered = append(y.remembered, line) }

// shared is a buffer that several goroutines write, and that tells when a job
// runs.
type shared struct {
	mu      sync.Mutex
	b       bytes.Buffer
	running func() // called at most once
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b.Write(p)
	if s.running != nil && bytes.Contains(p, []byte(": running")) {
		s.running()
		s.running = nil
	}
	return len(p), nil
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// typed types lines at a prompt. The first job that runs gets the signals.
func typed(t *testing.T, peer string, signals []os.Signal, lines ...string) (y *typist, out, errs string, err error) {
	t.Helper()
	var stdout bytes.Buffer
	ch := make(chan os.Signal, signalsMax)
	stderr := &shared{running: func() {
		for _, s := range signals {
			ch <- s
		}
	}}
	a := &app{system: system{stdin: strings.NewReader(""), stdout: &stdout, stderr: stderr, signals: ch, env: func(string) (string, bool) { return "", false }}}
	f := &sqlFlags{client: clientFlags{peers: []string{peer}}, sub: submission{format: output.CSV, out: outputFlags{maxRows: -1}}}
	s, err := a.connect(&f.client, f.sub.options()...)
	if err != nil {
		t.Fatal(err)
	}
	y = &typist{lines: lines}
	p := &prompt{runner: &runner{a: a, session: s, sub: &f.sub}, flags: f, lines: y}
	defer func() { p.session.Close() }()
	err = p.start(t.Context())
	return y, stdout.String(), stderr.String(), err
}

func TestPrompt(t *testing.T) {
	peer := sqlNode(t).Addr()
	dir := t.TempDir()
	file := filepath.Join(dir, "a.sql")
	if err := os.WriteFile(file, []byte("SELECT 7 AS seven;"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		lines []string
		out   string
		says  []string
	}{
		{"one line", []string{"SELECT 1 AS a;"}, "a\n1\n", []string{"DuckDB v"}},
		{"several lines", []string{"SELECT 'a;", "b' AS", "", "a -- ;", ";"}, "a\n\"a;\nb\"\n", nil},
		{"several on a line", []string{"SELECT 1 AS a; SELECT 2", "AS b; -- done"}, "a\n1\nb\n2\n", nil},
		{"not ended", []string{"SELECT 1"}, "", nil},
		{"cleared", []string{"SELECT (", ctrlC, "SELECT 1 AS a;"}, "a\n1\n", nil},
		{"an error ends the line only", []string{"SELECT nope; SELECT 2 AS b;", "SELECT 3 AS c;"}, "c\n3\n", []string{"error: query error"}},
		{"quit", []string{`\q`, "SELECT 1;"}, "", nil},
		{"exit", []string{"exit;", "SELECT 1;"}, "", nil},
		{"a backslash within a statement", []string{"SELECT 'a", `\q' AS a;`}, "a\n\"a\n\\q\"\n", nil},
		{"help", []string{"help"}, "", []string{`\timing [on|off]`, "Ctrl-C"}},
		{"views", []string{"CREATE VIEW v AS SELECT 1 AS a;", `\dv`, `\d v`, `\d`}, "name\nv\ncolumn_name,column_type,null,key,default,extra\na,INTEGER,YES,,,\nname\nv\n", []string{"CREATE VIEW\n"}},
		{"format", []string{`\o jsonl`, `\o`, "SELECT 1 AS a;", `\o xml`}, "{\"a\":1}\n", []string{"jsonl\n", "unknown format"}},
		{"timing", []string{`\timing`, "SELECT 1 AS a;", `\timing off`, `\timing maybe`}, "a\n1\n", []string{"timing is on", "time: ", "timing is off", "not \"maybe\""}},
		{"include", []string{`\i ` + file, `\i`, `\i ` + dir + "/no.sql"}, "seven\n7\n", []string{"needs the name", "no.sql"}},
		{"peer", []string{"CREATE VIEW v AS SELECT 1 AS a;", "SET pond_codec = zstd;", `\peer`, `\peer 127.0.0.1:1`, `\peer ` + peer, "FROM v;"}, "a\n1\n", []string{peer + "\n", "no node reached at 127.0.0.1:1"}},
		{"jobs", []string{`\o jsonl`, `\jobs`, `\cancel`, `\cancel zz`}, "{", []string{"needs the beginning", "no job"}},
		{"mistyped", []string{`\timng`, `\q now`, `\xyzzy`}, "", []string{`did you mean \timing?`, "takes no argument", `\? lists`}},
		{"of DuckDB's shell", []string{".tables", ".mode csv", "SELECT 1", "AS a;"}, "a\n1\n", []string{".tables is a command of DuckDB's shell", `next: here: \d`, `here: \o csv`}},
		{"expanded", []string{`\o table`, `\x`, "SELECT 1 AS a, 'x' AS long;", `\x off`, `\x maybe`}, "─ row 1 ────────────────────────────────\na    │ 1\nlong │ x\n", []string{"expanded output is on", "expanded output is off", "not \"maybe\""}},
		{"settings", []string{"SET pond_partitions = 4;", "SET threads = 4;"}, "", []string{"SET\n", "no such setting"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, out, errs, err := typed(t, peer, nil, c.lines...)
			if err != nil || c.name != "jobs" && out != c.out || !strings.HasPrefix(out, c.out) {
				t.Errorf("output %q, want %q; %v\n%s", out, c.out, err, errs)
			}
			for _, s := range c.says {
				if !strings.Contains(errs, s) {
					t.Errorf("standard error lacks %q:\n%s", s, errs)
				}
			}
		})
	}
}

func TestPromptShows(t *testing.T) {
	peer := sqlNode(t).Addr()
	y, _, _, _ := typed(t, peer, nil, "SELECT 1 -- c", "AS a;", "SELECT 'x", "y';", `\timing`)
	more := strings.Repeat(" ", len(peer)-1) + "-> "
	if want := []string{peer + "> ", more, peer + "> ", more, peer + "> ", peer + "> "}; !slices.Equal(y.labels, want) {
		t.Errorf("labels %q", y.labels)
	}
	if want := []string{"SELECT 1 AS a;", `\timing`}; !slices.Equal(y.remembered, want) {
		t.Errorf("remembered %q", y.remembered)
	}
}

// Ctrl-C ends the statement and not the prompt; SIGTERM ends both.
func TestPromptSignals(t *testing.T) {
	node := sqlNode(t)
	_, out, errs, err := typed(t, node.Addr(), []os.Signal{os.Interrupt}, longWork, "SELECT 1 AS a;")
	if err != nil || out != "a\n1\n" || !strings.Contains(errs, "error: interrupted") {
		t.Errorf("after Ctrl-C: %q, %v\n%s", out, err, errs)
	}
	jobs, err := node.Jobs(t.Context())
	if err != nil || len(jobs) != 2 || jobs[0].State != "succeeded" || jobs[1].State != "cancelled" {
		t.Errorf("jobs: %+v, %v", jobs, err)
	}
	_, out, _, err = typed(t, node.Addr(), []os.Signal{os.Kill}, longWork, "SELECT 1 AS a;")
	if exitCode(err) != exitInterrupted || out != "" {
		t.Errorf("after a signal: %q, %v", out, err)
	}
	_, out, _, err = typed(t, node.Addr(), nil, sigTERM, "SELECT 1 AS a;")
	if exitCode(err) != exitInterrupted || out != "" {
		t.Errorf("after a signal at the prompt: %q, %v", out, err)
	}
}

// Keys as a terminal sends them: Ctrl-C clears a line, Ctrl-D ends the input, the
// arrows reach for what was typed before.
func TestKeys(t *testing.T) {
	h := openHistory("")
	h.remember("SELECT 1;")
	h.remember("SELECT 2;")
	keys := &keyReader{in: strings.NewReader("SELEC\x1b[D\x03abc\r\x1b[A\x1b[A\r\x04")}
	tm := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{keys, io.Discard}, "> ")
	tm.History = h
	for _, want := range []struct {
		line string
		hit  bool
	}{{"", true}, {"abc", false}, {"SELECT 1;", false}} {
		line, err := tm.ReadLine()
		if err != nil || line != want.line || keys.interrupted() != want.hit {
			t.Fatalf("line %q, %v; want %+v", line, err, want)
		}
	}
	if _, err := tm.ReadLine(); err != io.EOF {
		t.Fatalf("at Ctrl-D: %v", err)
	}
}

func TestHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	h := openHistory(path)
	for _, line := range []string{"a;", "a;", "", "b\nc;", "d;"} {
		h.remember(line)
	}
	again := openHistory(path)
	if want := []string{"a;", "d;"}; !slices.Equal(again.lines, want) || again.At(0) != "d;" || again.Len() != 2 {
		t.Errorf("kept %q", again.lines)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", fi.Mode(), err)
	}
	for range 2 * historyMax {
		again.push("x")
	}
	if again.Len() != historyMax {
		t.Errorf("%d lines are kept", again.Len())
	}
	openHistory(filepath.Join(path, "below a file")).remember("x") // is no error
}
