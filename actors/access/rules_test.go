package access

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
)

// world is a machine's disk: a node's data folder, its keys, and users' files.
func world(t *testing.T) (root string) {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"own/format", "own/node.id", "own/store/rows", "own/token", "keys/tls.key", "keys/notes.txt", "other/format", "other/node.id", "other/store/rows",
		"in/a.csv", "in/sub/b.csv", "out/old/x.parquet", "away/c.csv"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, f)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, f), []byte(f), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{
		"in/own": "../own", "in/rows": "../own/store/rows", "in/key.csv": "../keys/tls.key", "in/proc": "/proc", "in/away": root + "/away", "in/away.csv": "away/c.csv", "in/twice": "own",
		"in/sub/up": "..", "in/gone": "nowhere", "in/loop": "loop", "out/link": "../own", "out/away": "../away", "in/same": "a.csv",
	} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(root, "keys/tls.key"), filepath.Join(root, "in/hard.csv")); err != nil {
		t.Fatal(err)
	}
	return root
}

func rules(t *testing.T, c Config) *Rules {
	t.Helper()
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRead: what is never read, whatever it is called, and what roots confine.
func TestRead(t *testing.T) {
	root := world(t)
	own := Config{Own: root + "/own", Keys: []string{root + "/keys/tls.key"}}
	confined := own
	confined.Read = []string{root + "/in", root + "/away/c.csv"}
	linked := own
	linked.Read = []string{root + "/in/sub/up"} // a root may be a link
	t.Chdir(root)
	for _, c := range []struct {
		path string
		why  string // with no roots; "": it is given
		only string // below roots
	}{
		{"ROOT/in/a.csv", "", ""},
		{"ROOT/in/same", "", ""},
		{"ROOT/in/sub/up/a.csv", "", ""},
		{"ROOT/in/../in/./a.csv", "", ""},
		{"ROOT/in//sub/b.csv", "", ""},
		{"ROOT/in", "", ""},
		{"ROOT/in/", "", ""},
		{"ROOT/in/missing.csv", "", ""},
		{"ROOT/in/no/such/*.csv", "", ""},
		{"ROOT/in/*/../a.csv", "", ""},
		{"ROOT/in/*/../../own/*", "own data folder", "own data folder"},
		{"in/a.csv", "", ""},
		{"ROOT/away/c.csv", "", ""},
		{"ROOT/keys/notes.txt", "", "only below"},
		{"ROOT/in/away/d.csv", "", "only below"},
		{"ROOT/in/../out/old/x.parquet", "", "only below"},
		{"ROOT/in/sub/up/../out/old/x.parquet", "", "only below"},
		{"/etc/passwd", "", "only below"},
		{"/", "", "only below"},
		{"ROOT/in/gone", "", ""}, // there is nothing to read
		{"ROOT/in/loop", "cannot be told", "cannot be told"},
		{"ROOT/in/a\x00.csv", "NUL", "NUL"},
		{"ROOT/own/store/rows", "own data folder", "own data folder"},
		{"ROOT/own/new", "own data folder", "own data folder"},
		{"ROOT/own", "own data folder", "own data folder"},
		{"ROOT/own/", "own data folder", "own data folder"},
		{"own/token", "own data folder", "own data folder"},
		{"in/../own/token", "own data folder", "own data folder"},
		{"ROOT//own/./store/../token", "own data folder", "own data folder"},
		{"ROOT/in/own/token", "own data folder", "own data folder"},
		{"ROOT/in/twice/token", "own data folder", "own data folder"},
		{"ROOT/in/sub/up/own/store/rows", "own data folder", "own data folder"},
		{"ROOT/in/rows", "own data folder", "own data folder"},
		{"ROOT/other/store/rows", "data folder of a node", "data folder of a node"},
		{"ROOT/keys/tls.key", "a key", "a key"},
		{"ROOT/in/key.csv", "a key", "a key"},
		{"ROOT/in/hard.csv", "a key", "a key"},
		{"/proc/self/environ", "kernel", "kernel"},
		{"/proc/1/../self/root/etc/passwd", "", "only below"}, // it leads out of /proc
		{"/proc/self/cwd/own/token", "own data folder", "own data folder"},
		{"ROOT/in/proc/self/mem", "kernel", "kernel"},
		{"/sys/kernel/notes", "kernel", "kernel"},
		{"/dev/null", "kernel", "kernel"},
		{"/dev/shm/x", "kernel", "kernel"},
	} {
		path := strings.ReplaceAll(c.path, "ROOT", root)
		for name, want := range map[string]struct {
			c   Config
			why string
		}{"open": {own, c.why}, "confined": {confined, c.only}} {
			err := rules(t, want.c).Check().Read(path)
			switch {
			case want.why == "" && err != nil:
				t.Errorf("%s: %s: %v", name, path, err)
			case want.why != "" && (!errors.Is(err, plan.ErrDenied) || !strings.Contains(err.Error(), want.why)):
				t.Errorf("%s: %s: %v, want %q", name, path, err, want.why)
			}
		}
	}
	if err := rules(t, own).Check().Read(root + "/in/a.csv/below"); !errors.Is(err, plan.ErrNotFound) || plan.AsError(err).Hint == "" {
		t.Errorf("below a file: %v", err)
	}
	if err := rules(t, linked).Check().Read(root + "/in/a.csv"); err != nil {
		t.Error(err)
	}
	err := plan.AsError(rules(t, confined).Check().Read(root + "/in/away/d.csv"))
	if !strings.Contains(err.Text, root+"/in") || !strings.Contains(err.Text, "leads to "+root+"/away/d.csv") || !strings.Contains(err.Hint, "--read-root") || err.Subject != root+"/in/away/d.csv" {
		t.Errorf("the error of a file outside of the roots: %+v", err)
	}
}

// TestWrite: where outputs may go, and what they may not replace.
func TestWrite(t *testing.T) {
	root := world(t)
	own := Config{Own: root + "/own", Keys: []string{root + "/keys/tls.key"}}
	confined := own
	confined.Write = []string{root + "/out"}
	for _, c := range []struct{ path, why, only string }{
		{"ROOT/out/new", "", ""},
		{"ROOT/out/new/deep/er", "", ""},
		{"ROOT/out/old", "", ""},
		{"ROOT/out/old/../new", "", ""},
		{"ROOT/out", "", ""},
		{"ROOT/in/new", "", "only below"},
		{"ROOT/out/away/new", "", "only below"},
		{"ROOT/out/../in/new", "", "only below"},
		{"ROOT/out/none/../../in/new", "cannot be told", "cannot be told"},
		{"ROOT/in/gone", "cannot be told", "cannot be told"},
		{"ROOT/own/x", "own data folder", "own data folder"},
		{"ROOT/own", "own data folder", "own data folder"},
		{"ROOT/out/link/store/x", "own data folder", "own data folder"},
		{"ROOT/other/x", "data folder of a node", "data folder of a node"},
		{"ROOT/keys/tls.key", "a key", "a key"},
		{"ROOT/in/key.csv", "a key", "a key"},
		{"ROOT/keys", "is inside it", "is inside it"},
		{"ROOT", "is inside it", "is inside it"},
		{"/", "is inside it", "is inside it"},
		{"/dev/shm/x", "kernel", "kernel"},
		{"/proc/self/cwd/x", "", "only below"},
		{"/proc/x", "kernel", "kernel"},
	} {
		path := strings.ReplaceAll(c.path, "ROOT", root)
		for name, want := range map[string]struct {
			c   Config
			why string
		}{"open": {own, c.why}, "confined": {confined, c.only}} {
			real, err := rules(t, want.c).Check().Write(path)
			switch {
			case want.why == "" && (err != nil || !filepath.IsAbs(real) || real != filepath.Clean(real)):
				t.Errorf("%s: %s: %s, %v", name, path, real, err)
			case want.why != "" && (!errors.Is(err, plan.ErrDenied) || !strings.Contains(err.Error(), want.why)):
				t.Errorf("%s: %s: %v, want %q", name, path, err, want.why)
			}
		}
	}
	if real, err := rules(t, own).Check().Write(root + "/out/away/new"); err != nil || real != root+"/away/new" {
		t.Errorf("a link leads to %s, %v", real, err)
	}
}

// TestRoots: roots that are not there, and what a node says of them.
func TestRoots(t *testing.T) {
	root := world(t)
	if _, err := New(Config{Read: []string{root + "/nowhere"}}); !errors.Is(err, plan.ErrQuery) || !strings.Contains(err.Error(), "read-root") {
		t.Error(err)
	}
	if got := rules(t, Config{}).String(); got != "jobs may read whatever this node's user may, and write whatever this node's user may" {
		t.Error(got)
	}
	if got, want := rules(t, Config{Read: []string{root + "/in", root + "/away"}, Write: []string{root + "/out"}}).String(), "jobs may read below "+root+"/in, "+root+"/away, and write below "+root+"/out"; got != want {
		t.Error(got)
	}
}
