//go:build duckdb_arrow && linux

package sandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"golang.org/x/sys/unix"

	"github.com/pondmesh/pond/actors/sandbox"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/vec"
)

// script is what a confined child does: each step of its own.
type script struct {
	Access sandbox.Access
	Own    string
	Steps  []string // SQL, "alone SQL", or "go NAME ARGUMENT"
}

const scriptVariable = "SANDBOX_TEST_SCRIPT"

func TestMain(m *testing.M) {
	if name := os.Getenv(scriptVariable); name != "" {
		text, err := os.ReadFile(name)
		if err == nil {
			err = child(text)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// resultsName is the file, in the child's own folder, that has what came of the steps.
const resultsName = "results.json"

// child confines itself and tells what came of each step, as JSON.
func child(text []byte) error {
	var s script
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	ctx := context.Background()
	e, err := duck.Open(ctx, duck.Config{Memory: 512 << 20, Threads: 4, SpillDir: filepath.Join(s.Own, "spill"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	// Threads of DuckDB's and of Go's that there are before are confined too.
	if _, err := e.Exec(ctx, "CREATE TABLE t AS SELECT * FROM range(1000000)"); err != nil {
		return err
	}
	if err := sandbox.Renounce(); err != nil {
		return err
	}
	if got := do(ctx, e, s, "go udp"); got == "ok" {
		return errors.New("a socket was made after Renounce")
	}
	if err := sandbox.Confine(s.Access, s.Own); err != nil {
		return err
	}
	var out []string
	for _, step := range s.Steps {
		out = append(out, do(ctx, e, s, step))
	}
	told, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.Own, resultsName), told, 0o600)
}

// do does one step, and says "ok …" or what hindered it.
func do(ctx context.Context, e *duck.Engine, s script, step string) string {
	words := strings.Fields(step)
	if sql, ok := strings.CutPrefix(step, "alone "); ok {
		return alone(ctx, s, sql)
	}
	if words[0] != "go" {
		text := "ok"
		var err error
		if strings.HasPrefix(step, "SELECT") {
			_, err = e.Fetch(ctx, step, func(c *vec.Chunk) error {
				text = fmt.Sprint("ok ", *(*int64)(c.Columns[0].Data))
				return nil
			})
		} else {
			_, err = e.Exec(ctx, step)
		}
		if err != nil {
			return err.Error()
		}
		return text
	}
	var err error
	switch words[1] {
	case "read":
		_, err = os.ReadFile(words[2])
	case "threads": // files that many threads open at once
		errs := make(chan error)
		for range 32 {
			go func() {
				runtime.LockOSThread()
				_, err := os.ReadFile(words[2])
				errs <- err
			}()
		}
		for range 32 {
			if e := <-errs; e == nil {
				return "ok"
			} else {
				err = e
			}
		}
	case "write":
		err = os.WriteFile(words[2], nil, 0o600)
	case "exec":
		_, err = syscall.ForkExec("/bin/true", nil, nil)
	case "dial":
		_, err = net.DialTimeout("tcp", words[2], time.Second)
	case "udp":
		_, err = net.ListenPacket("udp", "127.0.0.1:0")
	case "kill":
		err = syscall.Kill(os.Getppid(), 0)
	case "tkill": // its own, which Landlock allows
		if _, _, e := unix.RawSyscall(unix.SYS_TKILL, uintptr(unix.Gettid()), 0, 0); e != 0 {
			err = e
		}
	case "chmod":
		err = os.Chmod(words[2], 0o666)
	case "limit": // another process's
		err = unix.Prlimit(os.Getppid(), unix.RLIMIT_NOFILE, nil, new(unix.Rlimit))
	case "limits": // its own
		err = unix.Prlimit(os.Getpid(), unix.RLIMIT_NOFILE, nil, new(unix.Rlimit))
	case "engine": // another one, now that it is confined
		var o *duck.Engine
		if o, err = duck.Open(ctx, duck.Config{Memory: 64 << 20, Threads: 2, SpillDir: filepath.Join(s.Own, "other")}); err == nil {
			err = o.Close()
		}
	}
	if err != nil {
		return err.Error()
	}
	return "ok"
}

// alone runs SQL in an engine of its own, with a table t. It tells the rows, and those
// of t afterwards.
func alone(ctx context.Context, s script, sql string) string {
	e, err := duck.Open(ctx, duck.Config{Memory: 64 << 20, Threads: 1, SpillDir: filepath.Join(s.Own, "alone")})
	if err != nil {
		return err.Error()
	}
	defer e.Close()
	if _, err := e.Exec(ctx, "CREATE TEMP TABLE t (s VARCHAR)"); err != nil {
		return err.Error()
	}
	if strings.HasPrefix(sql, "FROM") || strings.HasPrefix(sql, "SELECT") {
		return rows(ctx, e, sql)
	}
	if _, err := e.Exec(ctx, sql); err != nil {
		return err.Error()
	}
	return rows(ctx, e, "FROM t")
}

// rows are those of a query, as text, or the error.
func rows(ctx context.Context, e *duck.Engine, sql string) string {
	schema, err := e.Schema(ctx, sql)
	if err != nil {
		return err.Error()
	}
	b := vec.NewBuilder(schema, memory.DefaultAllocator)
	defer b.Release()
	var all strings.Builder
	if _, err := e.Fetch(ctx, sql, func(c *vec.Chunk) error {
		if err := b.Append(c, nil, 0); err != nil {
			return err
		}
		rec, err := b.Batch()
		if err != nil {
			return err
		}
		defer rec.Release()
		fmt.Fprint(&all, rec)
		return nil
	}); err != nil {
		return err.Error()
	}
	return "ok " + all.String()
}

// confined runs a script in a child.
func confined(t *testing.T, s script) []string {
	t.Helper()
	if !strings.Contains(sandbox.Protection(), "Landlock (ABI") {
		t.Skip("this kernel has no Landlock")
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), scriptVariable+"="+name)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	out, err := os.ReadFile(filepath.Join(s.Own, resultsName))
	if err != nil {
		t.Fatal(err)
	}
	var results []string
	if err := json.Unmarshal(out, &results); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return results
}

// A DuckDB without a lock of its own reads and writes what it was given, and nothing
// else, whatever it is asked.
func TestConfine(t *testing.T) {
	dir, own := t.TempDir(), t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"in/a.csv", "in/b.csv", "in/deep/c.csv", "in/[x].csv", "tree/d.csv", "secret/key.csv", "out/.keep", "linked/e.csv"} {
		if err := os.MkdirAll(filepath.Dir(path(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path(name), []byte("i\n1\n2\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"in/link.csv": "linked/e.csv", "tree/way-out": "secret"} {
		if err := os.Symlink(path(to), path(link)); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := script{Own: own, Access: sandbox.Access{
		Read:  []string{path("in/a.csv"), path("in/deep/c.csv"), path("in/link.csv"), path("in/[x].csv"), path("in/**/*.csv"), path("tree") + "/"},
		Write: []string{path("out") + "/"},
	}}
	count := func(name string) string { return "SELECT count(*) FROM read_csv('" + path(name) + "')" }
	type check struct{ step, want string }
	checks := []check{
		{count("in/a.csv"), "ok 2"}, {count("in/deep/*.csv"), "ok 2"}, {count("in/link.csv"), "ok 2"}, {count("in/[[]x].csv"), "ok 2"}, {count("tree/*.csv"), "ok 2"},
		{"SELECT count(*) FROM glob('" + path("in/**/*.csv") + "')", "ok 5"},
		{count("in/b.csv"), "Permission denied"}, {count("in/*.csv"), "Permission denied"}, {count("secret/key.csv"), "Permission denied"}, {count("tree/../secret/key.csv"), "Permission denied"},
		{count("tree/way-out/key.csv"), "Permission denied"}, {"SELECT sum(length(content))::BIGINT FROM read_text('/proc/self/environ')", "Permission denied"}, {"SELECT sum(length(content))::BIGINT FROM read_text('/etc/passwd')", "Permission denied"},
		{"COPY (SELECT 1) TO '" + path("out/x.parquet") + "'", "ok"}, {"COPY (SELECT 1) TO '" + path("out/x.parquet") + "'", "ok"},
		{"COPY (SELECT range a, range b FROM range(3)) TO '" + path("out/parts") + "' (FORMAT parquet, PARTITION_BY a)", "ok"},
		{"COPY (SELECT 1) TO '" + path("in/a.csv") + "'", "Permission denied"}, {"COPY (SELECT 1) TO '" + path("x.csv") + "'", "Permission denied"}, {"ATTACH '" + path("x.db") + "'", "Permission denied"},
		{"SELECT count(*) FROM (SELECT range, repeat('x', 200) FROM range(1000000) ORDER BY hash(range))", "ok 1000000"}, // spills
		{"SET enable_profiling = 'json'; SET profiling_output = '" + path("profile.json") + "'; SELECT 1", ""},
		{"INSTALL httpfs", ""}, {"LOAD '" + path("x.duckdb_extension") + "'", ""},
		{"go read " + path("secret/key.csv"), "permission denied"}, {"go threads " + path("secret/key.csv"), "permission denied"}, {"go read " + path("in/a.csv"), "ok"},
		{"go write " + path("secret/new"), "permission denied"}, {"go write " + filepath.Join(own, "new"), "ok"}, {"go write " + path("out/new"), "ok"},
		{"go exec", "not permitted"}, {"go dial " + l.Addr().String(), "not permitted"}, {"go udp", "not permitted"}, {"go kill", "not permitted"}, {"go tkill", "not permitted"},
		{"go chmod " + path("secret/key.csv"), "not permitted"}, {"go limit", "not permitted"}, {"go limits", "ok"},
		{"go engine", "ok"},
	}
	for _, c := range checks {
		s.Steps = append(s.Steps, c.step)
	}
	for i, got := range confined(t, s) {
		if c := checks[i]; !strings.Contains(got, c.want) || c.want == "ok" && got != "ok" {
			t.Errorf("%s:\n  %s\n  want %s", c.step, got, c.want)
		}
	}
	for _, name := range []string{"x.csv", "x.db", "profile.json", "secret/new"} {
		if _, err := os.Lstat(path(name)); err == nil {
			t.Errorf("%s was written", name)
		}
	}
}

// The statements that a locked engine must refuse, in one without a lock: what fails
// in the kernel only. They read, list and write nothing outside either.
func TestHostile(t *testing.T) {
	root := t.TempDir()
	s := script{Own: t.TempDir(), Access: sandbox.Access{Read: []string{root + "/job/"}, Write: []string{root + "/job/"}}}
	for _, name := range []string{"secret.csv", "job/ok.csv", "job12/secret.csv", "outside/secret.csv"} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("s\nthe secret\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(root, filepath.Join(root, "job/link")); err != nil {
		t.Fatal(err)
	}
	makeSecrets(t, root)
	before := outside(t, root)
	text, err := os.ReadFile("../../duck/testdata/hostile.sql")
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ = bytes.Cut(text, []byte("--- Limits and settings.")) // which harm nobody else
	for line := range strings.Lines(string(text)) {
		line = strings.ReplaceAll(strings.TrimSpace(line), `\n`, "\n")
		if line != "" && !strings.HasPrefix(line, "--") {
			s.Steps = append(s.Steps, "alone "+strings.ReplaceAll(line, "ROOT", root))
		}
	}
	s.Steps = append(s.Steps, "alone COPY t FROM '"+root+"/job/ok.csv'") // which is seen
	results := confined(t, s)
	last := len(results) - 1
	if !strings.Contains(results[last], "the secret") {
		t.Errorf("%s:\n  %s", s.Steps[last], results[last])
	}
	for i, got := range results[:last] {
		switch {
		case !strings.HasPrefix(got, "ok"):
			t.Logf("%s:\n  %.150s", s.Steps[i], got)
		case strings.Contains(got, "secret"):
			t.Errorf("%s:\n  %s", s.Steps[i], got)
		default:
			t.Logf("%s: is let, and gives nothing away", s.Steps[i])
		}
	}
	if after := outside(t, root); after != before {
		t.Errorf("files before:\n%s\nafter:\n%s", before, after)
	}
}

// makeSecrets writes files of other formats.
func makeSecrets(t *testing.T, root string) {
	t.Helper()
	e, err := duck.Open(t.Context(), duck.Config{Memory: 64 << 20, Threads: 1, SpillDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := e.Exec(t.Context(), "COPY (SELECT 'the secret' AS s) TO '"+root+"/secret.parquet'; ATTACH '"+root+"/secret.db' AS d; CREATE TABLE d.s AS SELECT 'the secret' AS s; DETACH d"); err != nil {
		t.Fatal(err)
	}
}

// outside tells the files of root but those of its folder job.
func outside(t *testing.T, root string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "job" {
			return filepath.SkipDir
		}
		info, err := d.Info()
		if err == nil && !d.IsDir() {
			fmt.Fprintln(&all, path, info.ModTime(), info.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// With more files than rules are made for, the folders that hold them are read.
func TestManyFiles(t *testing.T) {
	dir, own := t.TempDir(), t.TempDir()
	s := script{Own: own}
	for i := range 3000 {
		name := filepath.Join(dir, fmt.Sprintf("%d.csv", i))
		if err := os.WriteFile(name, []byte("i\n1\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		s.Access.Read = append(s.Access.Read, name)
	}
	s.Steps = []string{"SELECT count(*) FROM read_csv('" + dir + "/*.csv')", "go read /etc/passwd"}
	if got := confined(t, s); got[0] != "ok 3000" || !strings.Contains(got[1], "permission denied") {
		t.Errorf("%q", got)
	}
}

func TestProtection(t *testing.T) {
	if p := sandbox.Protection(); !strings.Contains(p, "confine") && !strings.Contains(p, "lock alone") {
		t.Errorf("%q", p)
	}
}
