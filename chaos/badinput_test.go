//go:build duckdb_arrow

package chaos_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pondmesh/pond/chaos"
)

// Exit codes of pondnode.
const (
	failed      = 1
	usage       = 2
	unreachable = 3
	denied      = 4
	interrupted = 130
)

// bad is a command that must fail, fast and with a message that helps.
type bad struct {
	name string
	args []string
	code int
	says []string // on standard error: what, where, what to do
}

func (b *bad) run(t *testing.T, ctx context.Context, dir string) {
	t.Run(b.name, func(t *testing.T) {
		e, err := chaos.Command(ctx, dir, binary, b.args...)
		must(t, err)
		if e.Code != b.code || e.Stdout != "" {
			t.Errorf("%q: want exit code %d: %v", b.args, b.code, e)
		}
		for _, s := range append(b.says, "error: ") {
			if !strings.Contains(e.Stderr, s) {
				t.Errorf("%q: the message lacks %q: %v", b.args, s, e)
			}
		}
		for _, s := range []string{"panic", "goroutine ", "SIGSEGV"} {
			if strings.Contains(e.Stderr, s) {
				t.Errorf("%q: a crash: %v", b.args, e)
			}
		}
	})
}

// sampleFile is a sound Parquet file.
func sampleFile(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "sound.parquet")
	must(t, newOracle(t).Exec(testContext(t), "COPY (SELECT i AS id, 'word ' || i AS word FROM range(50000) AS t(i)) TO '"+path+"' (FORMAT parquet)"))
	return path
}

func TestBadInput(t *testing.T) {
	ctx, c := newCluster(t, 2)
	dir := t.TempDir()
	sound := sampleFile(t, dir)
	whole, err := os.ReadFile(sound)
	must(t, err)
	write := func(name string, b []byte) { must(t, os.WriteFile(filepath.Join(dir, name), b, 0o644)) }
	write("cut.parquet", whole[:len(whole)/2])
	write("noise.parquet", []byte("this is no Parquet file, but long enough to be one"))
	write("empty.parquet", nil)
	write("torn.parquet", append(append([]byte("PAR1"), make([]byte, len(whole)/2)...), whole[len(whole)/2+4:]...)) // a footer over pages that are gone
	write("bad.yaml", []byte("steps:\n  - reed: x.parquet\n"))
	write("missing.yaml", []byte("steps:\n  - read: nowhere.parquet\n"))
	write("type.yaml", []byte("steps:\n  - read: sound.parquet\n  - repartition: {by: hash, keys: id, n: 4}\n  - sql: SELECT word::INTEGER FROM {0}\n"))
	write("column.yaml", []byte("steps:\n  - read: sound.parquet\n  - repartition: {by: hash, keys: nope, n: 4}\n"))
	write("target.yaml", []byte("steps:\n  - read: sound.parquet\nresult:\n  write: {path: sound.parquet/out, format: parquet}\n"))
	peer := c.Nodes()[1].Addr()
	host, _, err := net.SplitHostPort(peer)
	must(t, err)
	nobody := net.JoinHostPort(host, "1")
	submit := func(what string, more ...string) []string {
		return append([]string{"submit", "--quiet", "--peer", peer, what}, more...)
	}
	for _, b := range []bad{
		{"missing file", submit("SELECT count(*) FROM 'nowhere.parquet'"), failed, []string{"not found", dir + "/nowhere.parquet", "next: "}},
		{"glob of nothing", submit("SELECT count(*) FROM 'no*.csv'"), failed, []string{"not found", dir + "/no*.csv", "next: "}},
		{"missing file of a job file", submit("missing.yaml"), failed, []string{"not found", dir + "/nowhere.parquet", "next: "}},
		{"cut Parquet", submit("SELECT sum(id) FROM 'cut.parquet'"), failed, []string{"query error", dir + "/cut.parquet"}},
		{"noise", submit("SELECT sum(id) FROM 'noise.parquet'"), failed, []string{"query error", dir + "/noise.parquet"}},
		{"empty Parquet", submit("SELECT sum(id) FROM 'empty.parquet'"), failed, []string{"query error", dir + "/empty.parquet"}},
		{"torn Parquet", submit("SELECT sum(id), max(word) FROM 'torn.parquet'"), failed, []string{"torn.parquet"}},
		{"bad SQL", submit("SELEC 1"), failed, []string{"query error", `syntax error at or near "SELEC"`}},
		{"no statement for a pond", submit("CREATE INDEX i ON x (a)"), failed, []string{"query error", "CREATE INDEX", "next: "}},
		{"no such table", submit("DROP TABLE x"), failed, []string{"not found", "Table with name x does not exist", "next: "}},
		{"two statements", submit("SELECT 1; SELECT 2"), failed, []string{"query error", "one statement", "next: "}},
		{"unknown column", submit("SELECT nope FROM 'sound.parquet'"), failed, []string{"query error", `"nope" not found`}},
		{"unknown key", submit("column.yaml"), failed, []string{"query error", "nope"}},
		{"type mismatch", submit("SELECT word + 1 FROM 'sound.parquet'"), failed, []string{"query error", "No function matches"}},
		{"value mismatch", submit("SELECT word::INTEGER FROM 'sound.parquet'"), failed, []string{"query error", "'word 0'"}},
		{"value mismatch after a shuffle", submit("type.yaml"), failed, []string{"query error", "Could not convert string 'word", "stage 1"}},
		{"target below a file", submit("target.yaml"), failed, []string{dir + "/sound.parquet/out"}},
		{"files it was not given", submit("SELECT * FROM read_text('/etc/host' || 'name')"), failed, []string{"error"}},
		{"job file with a mistake", submit("bad.yaml"), usage, []string{"bad.yaml:2", "reed", "read"}},
		{"job file that is not there", submit("none.yaml"), usage, []string{"none.yaml", "no such file"}},
		{"neither file nor SQL", submit("nonsense"), usage, []string{"nonsense", "next: "}},
		{"out into nowhere", submit("SELECT 1", "--out", "no/where.csv"), usage, []string{"--out: stat no", "next: make the folder no"}},
		{"unknown command", []string{"sumbit", "x"}, usage, []string{"sumbit", "did you mean: pondnode submit"}},
		{"unknown flag", []string{"members", "--pear", peer}, usage, []string{"--pear", "--peer"}},
		{"unknown job", []string{"job", "status", "--peer", peer, strings.Repeat("0", 32)}, failed, []string{"not found", strings.Repeat("0", 32), "pondnode jobs"}},
		{"unknown job's beginning", []string{"job", "cancel", "--peer", peer, "00ff00ff"}, failed, []string{"not found", "00ff00ff", "pondnode jobs"}},
		{"nobody there", []string{"members", "--peer", nobody}, unreachable, []string{nobody, "nothing listens there", "next: "}},
		{"submit to nobody", []string{"submit", "--peer", nobody, "SELECT 1"}, unreachable, []string{nobody, "nothing listens there", "next: "}},
		{"no such host", []string{"jobs", "--peer", "nosuchhost.invalid"}, unreachable, []string{"nosuchhost.invalid", "next: "}},
		{"no node's port", []string{"members", "--peer", portOfNoNode(t)}, unreachable, []string{"is this the port of a Pond node?"}},
	} {
		b.run(t, ctx, dir)
	}
	noneRunning(t, ctx, c)
	onlyIn(t, ctx, dir, "bad.yaml", "column.yaml", "cut.parquet", "empty.parquet", "missing.yaml", "noise.parquet", "sound.parquet", "target.yaml", "torn.parquet", "type.yaml")
}

// portOfNoNode is a base address whose API port another program listens on.
func portOfNoNode(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("HTTP/1.1 418 I am a teapot\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
			conn.Close()
		}
	}()
	a := l.Addr().(*net.TCPAddr)
	return (&net.TCPAddr{IP: a.IP, Port: a.Port - 2}).String()
}

// silence is an address that takes connections and never says anything.
func silence(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

func TestBadJoin(t *testing.T) {
	ctx, c := newCluster(t, 1)
	dir := t.TempDir()
	n := c.Nodes()[0]
	_, port, err := net.SplitHostPort(n.Addr())
	must(t, err)
	key := make([]byte, 32)
	rand.Read(key)
	text := base64.StdEncoding.EncodeToString(key)
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
	join := func(flags ...string) []string {
		return append([]string{"join", "--data", filepath.Join(dir, "data"), "--port", "0"}, flags...)
	}
	for _, b := range []bad{
		{"port in use", join("--port", port), failed, []string{"port", "in use", "--port"}},
		{"data folder in use", join("--data", n.Dir()), failed, []string{n.Dir(), "locked by process", "--data"}},
		{"data folder below a file", join("--data", filepath.Join(dir, "file", "x")), failed, []string{filepath.Join(dir, "file"), "not a directory", "--data"}},
		{"unknown peer", join("--join-timeout", "1s", "--peer", "127.0.0.1:1"), unreachable, []string{"127.0.0.1:1", "nothing listens there", "next: "}},
		{"silent peer", join("--join-timeout", "1s", "--peer", silence(t)), unreachable, []string{"does not answer", "next: "}},
		{"unknown host", join("--join-timeout", "1s", "--peer", "nosuchhost.invalid"), unreachable, []string{"nosuchhost.invalid", "next: "}},
		{"key that the others lack", join("--peer", n.Addr(), "--gossip-key", text), denied, []string{n.Addr(), "key", "--gossip-key"}},
		{"another pond", join("--peer", n.Addr(), "--label", "other"), denied, []string{n.Addr(), "label", "--label"}},
		{"key of a wrong length", join("--gossip-key", "AAAA"), usage, []string{"--gossip-key", "next: "}},
		{"open to all without keys", join("--bind", "0.0.0.0"), denied, []string{"0.0.0.0", "--gossip-key"}},
		{"no such address", join("--bind", "192.0.2.1", "--gossip-key", text), denied, []string{"192.0.2.1"}},
		{"port out of range", join("--port", "70000"), usage, []string{"70000", "next: "}},
		{"too little memory", join("--memory", "1MiB"), usage, []string{"MiB"}},
	} {
		b.run(t, ctx, dir)
		if b.says[0] != n.Dir() && strings.Contains(b.name, "key") {
			for _, out := range []string{text} {
				if strings.Contains(n.Log(), out) {
					t.Error("the key is in a log")
				}
			}
		}
	}
	must(t, c.AwaitMembers(ctx, 1))
	// Nothing that failed holds the folder: a node starts in it.
	_, err = c.AddAt(ctx, filepath.Join(dir, "data"))
	must(t, err)
	must(t, c.AwaitMembers(ctx, 2))
}

// Two ponds with keys: the wrong one is told so, the right one is let in.
func TestGossipKey(t *testing.T) {
	keys := [2]string{}
	for i := range keys {
		b := make([]byte, 32)
		rand.Read(b)
		keys[i] = base64.StdEncoding.EncodeToString(b)
	}
	ctx, c := newCluster(t, 1, "--gossip-key", keys[0])
	n := c.Nodes()[0]
	for _, wrong := range [][]string{{"--gossip-key", keys[1]}, nil} {
		b := bad{"wrong", append([]string{"join", "--port", "0", "--data", t.TempDir(), "--peer", n.Addr()}, wrong...), denied, []string{n.Addr(), "key", "--gossip-key"}}
		b.run(t, ctx, "")
	}
	_, err := c.Add(ctx)
	must(t, err)
	must(t, c.AwaitMembers(ctx, 2))
	for _, k := range keys {
		if strings.Contains(n.Log(), k) {
			t.Error("a key is in the log")
		}
	}
}
