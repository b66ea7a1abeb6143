//go:build duckdb_arrow

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/cmd/pondnode/sample"
)

// mainVariable makes the test binary behave as pondnode, so that nodes can be
// processes of their own.
const mainVariable = "PONDNODE_TEST_MAIN"

func TestMain(m *testing.M) {
	if pond.Main() { // an engine process of a node below, or of one in this process
		return
	}
	if os.Getenv(mainVariable) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// process is a pondnode process.
type process struct {
	cmd  *exec.Cmd
	addr string
	mu   sync.Mutex
	log  strings.Builder
	done chan error
}

func (p *process) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

func command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), mainVariable+"=1")
	return cmd
}

// start starts a node and waits until it says that it is ready.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{cmd: command(t.Context(), append([]string{"join", "--port", "0", "--memory", "512MiB", "--data", dataDir(t)}, args...)...), done: make(chan error, 1)}
	errs, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan string, 1)
	go func() {
		addr := regexp.MustCompile(`^ready .*addr=(\S+) `)
		lines := bufio.NewScanner(errs)
		for lines.Scan() {
			p.mu.Lock()
			p.log.WriteString(lines.Text() + "\n")
			p.mu.Unlock()
			if m := addr.FindStringSubmatch(lines.Text()); m != nil {
				ready <- m[1]
			}
		}
		p.done <- p.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		if t.Failed() {
			t.Logf("node %s:\n%s", p.addr, p)
		}
	})
	select {
	case p.addr = <-ready:
	case err := <-p.done:
		t.Fatalf("the node ended: %v\n%s", err, p)
	case <-time.After(2 * time.Minute):
		t.Fatalf("the node is not ready\n%s", p)
	}
	return p
}

// dataDir is a folder for a node, removed after the test: again until it is gone, since
// the engine processes of a node that is killed end a moment after it, and write till then.
func dataDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "pondnode-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 1000 {
			if err = os.RemoveAll(dir); err == nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Error(err)
	})
	return dir
}

// ends waits for a process's end and returns its exit code.
func (p *process) ends(t *testing.T) int {
	t.Helper()
	select {
	case err := <-p.done:
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return exit.ExitCode()
		}
		return 0
	case <-time.After(2 * time.Minute):
		t.Fatalf("the node does not end\n%s", p)
		return -1
	}
}

// shell runs a pondnode command in a folder, as a process.
func shell(t *testing.T, dir string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := command(ctx, args...)
	cmd.Dir = dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", args, err)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

func must(t *testing.T, o outcome) string {
	t.Helper()
	if o.code != 0 {
		t.Fatalf("exit code %d\n%s", o.code, o.err)
	}
	return o.out
}

// oneDuckDB is the sample's job as one statement: it runs on one partition, in
// one DuckDB.
const oneDuckDB = `SELECT origin, count(*) AS flights, round(sum(delay) / count(*), 1) AS avg_delay,
	round(100 * count(*) FILTER (delay > 15) / count(*), 1) AS late_percent
	FROM 'flights-2001-*.parquet' GROUP BY origin ORDER BY flights DESC, origin LIMIT 10`

// TestPond: processes join, jobs go to each, results equal one DuckDB's; a node
// joins, one leaves, one is asked to leave, one is killed.
func TestPond(t *testing.T) {
	dir := t.TempDir()
	if err := sample.Write(dir); err != nil {
		t.Fatal(err)
	}
	first := start(t)
	nodes := []*process{first, start(t, "--peer", first.addr), start(t, "--peer", first.addr)}
	want := must(t, shell(t, dir, "submit", "-q", "-o", "csv", "--peer", first.addr, oneDuckDB))
	for _, n := range nodes {
		got := shell(t, dir, "submit", "-o", "csv", "--no-reuse", "--peer", n.addr, sample.Job)
		if must(t, got) != want {
			t.Errorf("from %s:\n%swant\n%s", n.addr, got.out, want)
		}
		if !strings.Contains(got.err, "succeeded in ") || !strings.Contains(got.err, "stage 1 of") {
			t.Errorf("progress: %s", got.err)
		}
	}
	checkListings(t, dir, nodes[2].addr)
	checkErrors(t, dir, nodes[1].addr)

	fourth := start(t, "--peer", nodes[1].addr)
	if n := strings.Count(must(t, shell(t, dir, "members", "-o", "jsonl", "--peer", fourth.addr)), "alive"); n != 4 {
		t.Errorf("%d members", n)
	}
	if got := must(t, shell(t, dir, "leave", "--peer", nodes[2].addr)); !strings.Contains(got, "has left") {
		t.Errorf("leave: %q", got)
	}
	if code := nodes[2].ends(t); code != 0 {
		t.Errorf("a node asked to leave ends with %d:\n%s", code, nodes[2])
	}
	if err := nodes[1].cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := nodes[1].ends(t); code != 0 || !strings.Contains(nodes[1].String(), "left the pond") {
		t.Errorf("a node told to end ends with %d:\n%s", code, nodes[1])
	}
	if err := fourth.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if got := must(t, shell(t, dir, "submit", "-q", "-o", "csv", "--no-reuse", "--peer", first.addr, sample.Job)); got != want {
		t.Errorf("after all but one are gone:\n%s", got)
	}
}

func checkListings(t *testing.T, dir, peer string) {
	t.Helper()
	id := strings.TrimSpace(must(t, shell(t, dir, "submit", "--detach", "--peer", peer, sample.Job)))
	must(t, shell(t, dir, "job", "watch", "-q", "--peer", peer, id[:6]))
	if got := must(t, shell(t, dir, "job", "result", "-q", "-o", "csv", "--peer", peer, id[:6])); got != must(t, shell(t, dir, "submit", "-q", "-o", "csv", "--peer", peer, sample.Job)) {
		t.Errorf("result:\n%s", got)
	}
	var st struct {
		State  string `json:"state"`
		Rows   int64  `json:"rows"`
		Stages []any  `json:"stages"`
	}
	if err := json.Unmarshal([]byte(must(t, shell(t, dir, "job", "status", "-o", "json", "--peer", peer, id))), &st); err != nil || st.State != "succeeded" || st.Rows != 10 || len(st.Stages) == 0 {
		t.Errorf("status: %+v, %v", st, err)
	}
	if got := must(t, shell(t, dir, "job", "explain", "--peer", peer, id)); !strings.Contains(got, "hash(origin)") {
		t.Errorf("explain:\n%s", got)
	}
	if got := must(t, shell(t, dir, "jobs", "-o", "csv", "--peer", peer)); !strings.Contains(got, id) {
		t.Errorf("jobs:\n%s", got)
	}
	if got := must(t, shell(t, dir, "version", "-o", "jsonl", "--peer", peer)); !strings.Contains(got, `"duckdb":"v1`) {
		t.Errorf("version: %s", got)
	}
	for _, f := range []string{"arrow", "parquet"} {
		file := filepath.Join(dir, "result."+f)
		must(t, shell(t, dir, "submit", "-q", "--peer", peer, "--out", file, sample.Job))
		if i, err := os.Stat(file); err != nil || i.Size() < 500 {
			t.Errorf("%s: %v, %v", f, i, err)
		}
	}
	if got := must(t, shell(t, dir, "submit", "-q", "-o", "csv", "--peer", peer, "SELECT count(*) AS n FROM 'result.parquet'")); got != "n\n10\n" {
		t.Errorf("our Parquet, read by DuckDB: %q", got)
	}
}

// checkErrors: each ends quickly, and says what, where and why.
func checkErrors(t *testing.T, dir, peer string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "corrupt.parquet"), []byte("PAR1 this is not one PAR1"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, job string
		code      int
		says      []string
	}{
		{"missing file", "SELECT * FROM 'none.parquet'", exitFailed, []string{"not found", "none.parquet"}},
		{"corrupt file", "SELECT * FROM 'corrupt.parquet'", exitFailed, []string{"corrupt.parquet"}},
		{"bad SQL", "SELEC 1", exitFailed, []string{"query error", "SELEC"}},
		{"unknown column", "SELECT nope FROM 'flights-2001-01.parquet'", exitFailed, []string{"nope"}},
		{"bad value", "SELECT 'x'::INTEGER AS x", exitFailed, []string{"Conversion Error"}},
		{"deadline", "SELECT sum(a.range * b.range) FROM range(3000000) a, range(3000000) b", exitTimeout, []string{"deadline"}},
	} {
		got := shell(t, dir, "submit", "-q", "--peer", peer, "--deadline", "2s", test.job)
		if got.code != test.code || got.out != "" {
			t.Errorf("%s: exit code %d, output %q\n%s", test.name, got.code, got.out, got.err)
		}
		for _, s := range append(test.says, "error: ", "why: ") {
			if !strings.Contains(got.err, s) {
				t.Errorf("%s: lacks %q:\n%s", test.name, s, got.err)
			}
		}
	}
}

// TestInterruptedProcess: Ctrl-C cancels the job and leaves nothing running.
func TestInterruptedProcess(t *testing.T) {
	node := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := command(ctx, "submit", "--peer", node.addr, "SELECT sum(a.range * b.range) AS s FROM range(3000000) a, range(3000000) b")
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(errs)
	for line := ""; !strings.Contains(line, "running"); {
		if line, err = lines.ReadString('\n'); err != nil {
			t.Fatal("the job does not run:", err)
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(lines)
	_ = cmd.Wait() // the exit code says it
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || !strings.Contains(string(rest), "cancelling job") {
		t.Errorf("exit code %d\n%s", code, rest)
	}
	if got := must(t, shell(t, "", "jobs", "--peer", node.addr)); !strings.Contains(got, "cancelled") {
		t.Errorf("jobs:\n%s", got)
	}
}

// TestLostClient: the query of a client that is killed, or whose terminal goes, ends
// with it.
func TestLostClient(t *testing.T) {
	node := start(t)
	for _, test := range []struct {
		sig  os.Signal
		args []string
		why  string
	}{
		{syscall.SIGKILL, []string{"submit"}, "its client is gone"},
		{syscall.SIGKILL, []string{"sql", "-q"}, "its client is gone"},
		{syscall.SIGHUP, []string{"sql"}, "cancelled by request"},
	} {
		t.Run(fmt.Sprint(test.args[0], " ", test.sig), func(t *testing.T) {
			if sig := test.sig.(syscall.Signal); signal.Ignored(sig) {
				t.Skipf("%v is ignored here, as under nohup, and so it is by what this process starts", sig)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			args := append(test.args, "--peer", node.addr, "--lease", "2s", "SELECT sum(a.range * b.range) AS s FROM range(3000000) a, range(3000000) b")
			cmd := command(ctx, args...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			id := awaitJob(t, ctx, node.addr, "running", test.args[0])
			if err := cmd.Process.Signal(test.sig); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			got := shell(t, "", "job", "watch", "-o", "json", "-q", "--peer", node.addr, id)
			if got.code != exitFailed || !strings.Contains(got.out, test.why) {
				t.Errorf("%v: exit code %d, %s\n%s", test, got.code, got.out, got.err)
			}
		})
	}
}

// TestDiskLimits: what queries put on disk has bounds that a node's operator sets, and
// reaching one says which.
func TestDiskLimits(t *testing.T) {
	dir := t.TempDir()
	node := start(t, "--memory", "256MiB", "--slots", "2", "--spill-max", "32MiB", "--result-max", "1MiB", "--output-max", "2MiB")
	for _, test := range []struct{ sql, says, flag string }{
		{"SELECT hash(range) AS h FROM range(3000000)", "larger than the 1.0 MiB", "--result-max"},
		{"COPY (SELECT hash(range) AS h FROM range(3000000)) TO '" + dir + "/big.parquet'", "larger than the 2.0 MiB", "--output-max"},
		{"COPY (SELECT hash(range) AS h, range % 3 AS k FROM range(3000000)) TO '" + dir + "/parts' (FORMAT csv, PARTITION_BY (k))", "larger than the 2.0 MiB", "--output-max"},
		{"SELECT max(h) AS m FROM (SELECT hash(range) AS h, repeat(range::VARCHAR, 20) AS s FROM range(6000000) ORDER BY s, h OFFSET 1)", "more than the 32 MiB", "--spill-max"},
	} {
		got := shell(t, dir, "submit", "-q", "-o", "csv", "--peer", node.addr, test.sql)
		if got.code != exitFailed || !strings.Contains(got.err, test.says) || !strings.Contains(got.err, test.flag) {
			t.Errorf("%s: exit code %d, lacks %q or %s:\n%s%.200s", test.sql, got.code, test.says, test.flag, got.err, got.out)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	must(t, shell(t, dir, "submit", "-q", "--peer", node.addr, "COPY (SELECT hash(range) AS h FROM range(180000)) TO 'in.parquet' (ROW_GROUP_SIZE 20480)"))
	if got := must(t, shell(t, dir, "submit", "-q", "-o", "csv", "--peer", node.addr, "SELECT count(*) AS n FROM 'in.parquet'")); got != "n\n180000\n" {
		t.Errorf("what keeps within the bounds: %q", got)
	}
	// No task's part of it is too large.
	whole := shell(t, dir, "submit", "-q", "-o", "csv", "--force", "--partitions", "4", "--peer", node.addr, "SELECT h FROM 'in.parquet'")
	if whole.code != exitFailed || !strings.Contains(whole.err, "--result-max") {
		t.Errorf("a result of several tasks: exit code %d\n%s", whole.code, whole.err)
	}
}

// awaitJob waits until a job is in a state, and returns its id.
func awaitJob(t *testing.T, ctx context.Context, peer, state, what string) string {
	t.Helper()
	for ctx.Err() == nil {
		for line := range strings.Lines(must(t, shell(t, "", "jobs", "-o", "jsonl", "--peer", peer))) {
			var j struct{ ID, State string }
			if err := json.Unmarshal([]byte(line), &j); err != nil {
				t.Fatal(err)
			}
			if j.State == state {
				return j.ID
			}
		}
	}
	t.Fatalf("no job of %s is %s", what, state)
	return ""
}

// TestDev is the first command of the README.
func TestDev(t *testing.T) {
	got := shell(t, t.TempDir(), "dev", "--port", "0", "--sample", "-o", "csv")
	if rows := strings.Split(must(t, got), "\n"); len(rows) != 12 || rows[0] != "origin,flights,avg_delay,late_percent" || rows[1] != "ORD,1298,8.0,24.7" {
		t.Errorf("%s", got.out)
	}
	got = shell(t, t.TempDir(), "dev", "--port", "0", "-q", "-o", "csv", "--query", "SELECT count(*) AS n FROM {flights}")
	if must(t, got) != fmt.Sprintf("n\n%d\n", sample.Rows) {
		t.Errorf("%s", got.out)
	}
}

// TestText: values look as DuckDB's own cast to VARCHAR has them.
func TestText(t *testing.T) {
	values := map[string][]string{
		"DOUBLE":                          {"0", "'-0.0'", "1.5", "1e15", "1e16", "9999999999999998", "1e-4", "1e-5", "0.00012345", "5e-324", "'nan'", "'-inf'"},
		"FLOAT":                           {"1.1", "16777216", "1e16", "0.0001", "3.4e38"},
		"DECIMAL(4,1)":                    {"-0.5"},
		"DECIMAL(9,3)":                    {"0.001"},
		"DECIMAL(38,10)":                  {"-0.0000000001"},
		"HUGEINT":                         {"-1", "'-170141183460469231731687303715884105728'"},
		"UHUGEINT":                        {"340282366920938463463374607431768211455"},
		"BIGNUM":                          {"0", "'-123456789012345678901234567890123456789012345'"},
		"DATE":                            {"'0001-01-01'", "'0044-03-15 (BC)'", "'infinity'", "'12345-06-07'"},
		"TIME":                            {"'12:34:56.7'", "'24:00:00'"},
		"TIMETZ":                          {"'12:34:56.7-05:30'", "'01:02:03+15:59:59'"},
		"TIMESTAMP":                       {"'2001-02-03 04:05:06.123'", "'1969-12-31 23:59:59.999999'", "'0044-03-15 (BC) 01:02:03'", "'-infinity'"},
		"TIMESTAMP_NS":                    {"'1900-01-01 00:00:00.000000001'"},
		"TIMESTAMPTZ":                     {"'2001-07-03 04:05:06.5-05'"},
		"INTERVAL":                        {"'14 months 3 days 04:05:06.7'", "'-1 month'", "'-3 days -01:00:00'", "'0 days'", "'1 microsecond'"},
		"UUID":                            {"'00112233-4455-6677-8899-aabbccddeeff'"},
		"BLOB":                            {`'\x00\xFF~ '`},
		"BIT":                             {"'0101'", "'1010101010101010101'"},
		"JSON":                            {`'{"a": 1}'`},
		"VARCHAR[]":                       {`['', 'NULL', ' x', 'a,b', 'a]b', 'a{b', 'a(b', 'a''b', 'a"b', 'a:b', 'a=b', 'a\b', 'a;b', NULL]`},
		"TIMESTAMP[]":                     {"['2001-02-03 04:05:06']"},
		"JSON[]":                          {`['{"a":1}']`},
		"VARCHAR[2]":                      {"['a,b', 'c']"},
		"STRUCT(a INTEGER, b VARCHAR)":    {"{'a': 1, 'b': 'it''s'}", "{'a': NULL, 'b': 'a:b'}"},
		"STRUCT(j JSON)":                  {`{'j': '{"a":1}'}`},
		"MAP(VARCHAR, INTEGER)":           {"MAP {'a=b': 1, '': NULL}", "MAP {}"},
		"UNION(n INTEGER, s VARCHAR)":     {"union_value(s := 'a,b')"},
		"ENUM('x', 'y,z')":                {"'y,z'"},
		"STRUCT(a STRUCT(b VARCHAR)[])[]": {"[{'a': [{'b': 'x y'}, NULL]}]"},
	}
	var inner, outer []string
	i := 0
	for _, typ := range sortedKeys(values) {
		for _, v := range values[typ] {
			inner = append(inner, fmt.Sprintf("CAST(%s AS %s) AS v%d", v, typ, i))
			outer = append(outer, fmt.Sprintf("v%d, v%d::VARCHAR AS w%d", i, i, i))
			i++
		}
	}
	out := must(t, shell(t, t.TempDir(), "dev", "--port", "0", "--nodes", "1", "-q", "-o", "csv", "--null", "<NULL>", "--query",
		"SELECT "+strings.Join(outer, ", ")+" FROM (SELECT "+strings.Join(inner, ", ")+")"))
	all, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(all) != 2 {
		t.Fatalf("%v: %q", err, out)
	}
	record := all[1]
	for k := 0; k+1 < len(record); k += 2 {
		if record[k] != record[k+1] {
			t.Errorf("%s: %q, DuckDB has %q", inner[k/2], record[k], record[k+1])
		}
	}
	if len(record) != 2*i {
		t.Errorf("%d values for %d", len(record), 2*i)
	}
}

func sortedKeys(m map[string][]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
