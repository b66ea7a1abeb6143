package main

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/output"
)

func TestTargets(t *testing.T) {
	dir := t.TempDir()
	files := func(paths string) *pond.DatasetInfo {
		d := &pond.DatasetInfo{}
		for _, p := range strings.Fields(paths) {
			d.Files = append(d.Files, pond.DatasetFile{Path: p})
		}
		return d
	}
	for _, c := range []struct{ url, files, target, want string }{
		{"pond://d", "a k=1/b", "", "/a /k=1/b"},
		{"pond://d/7", "a k=1/b", "", "/a /k=1/b"},
		{"pond://d/7/k=1", "k=1/b k=1/c", "", "/b /c"},
		{"pond://d/k=1/", "k=1/b k=1/c", "", "/b /c"},
		{"pond://d/k=*/b", "k=1/b k=2/b", "", "/k=1/b /k=2/b"},
		{"pond://d/x/k=*/b", "x/k=1/b x/k=2/b", "", "/k=1/b /k=2/b"},
		{"pond://d/k=1/b", "k=1/b", "", "/b"},
		{"pond://d/k=1/b", "k=1/b", "/new", "/new"},
		{"pond://d/k=1/b", "k=1/b", "/new/", "/new/b"},
		{"pond://d/k=1", "k=1/b", "/new/", "/new/b"},
	} {
		got, err := targets(c.url, files(c.files), dir+c.target)
		if err != nil {
			t.Errorf("%s: %v", c.url, err)
		}
		for i := range got {
			got[i] = strings.TrimPrefix(got[i], dir)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s to %q: %q, want %s", c.url, c.target, got, c.want)
		}
	}
	if got, err := targets("pond://d", files("a x/../../../b"), dir); err == nil {
		t.Errorf("outside: %q", got)
	}
}

// A put has one id until it is forgotten, and another for other sources, for other files in
// them, and when it is too old.
func TestRememberPut(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Chdir(t.TempDir())
	if err := os.WriteFile("a", []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	first := rememberPut("pond://d", []string{"a"}, pond.PutOptions{})
	if again := rememberPut("pond://d", []string{"a"}, pond.PutOptions{}); again != first {
		t.Errorf("%+v, %+v", first, again)
	}
	for _, other := range []memo{rememberPut("pond://e", []string{"a"}, pond.PutOptions{}), rememberPut("pond://d", []string{"a", "b"}, pond.PutOptions{}), rememberPut("pond://d", []string{"a"}, pond.PutOptions{Append: true})} {
		if other.id == first.id {
			t.Errorf("%+v", other)
		}
	}
	long := time.Now().Add(-2 * memoKept)
	if err := os.Chtimes(first.file, long, long); err != nil {
		t.Fatal(err)
	}
	if again := rememberPut("pond://d", []string{"a"}, pond.PutOptions{}); again.id == first.id {
		t.Error("it is too old")
	}
	for _, source := range []string{"a", "*", "."} {
		before := rememberPut("pond://d", []string{source}, pond.PutOptions{})
		if err := os.WriteFile("a", append([]byte("12"), source...), 0o600); err != nil {
			t.Fatal(err)
		}
		if again := rememberPut("pond://d", []string{source}, pond.PutOptions{}); again.id == before.id {
			t.Errorf("%s: a file is another", source)
		}
		if err := os.WriteFile("a", []byte("1"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first = rememberPut("pond://d", []string{"a"}, pond.PutOptions{})
	first.forget()
	if again := rememberPut("pond://d", []string{"a"}, pond.PutOptions{}); again.id == first.id {
		t.Error("it was forgotten")
	}
}

// TestMayForget: what --force would refuse is refused without it, too.
func TestMayForget(t *testing.T) {
	st := &pond.Storage{Nodes: []pond.StorageNode{{Node: "n1", Gone: []string{"n3"}}, {Node: "n2", Error: "it does not answer"}}}
	for node, want := range map[string]error{"n1": pond.ErrExists, "n2": pond.ErrExists, "n3": nil, "nix": pond.ErrNotFound} {
		if err := mayForget(st, []string{"n3", node}); !errors.Is(err, want) {
			t.Errorf("%s: %v", node, err)
		}
	}
	st.Nodes[0].Older = 1
	if err := mayForget(st, []string{"n4"}); err != nil {
		t.Errorf("one of an older layout: %v", err)
	}
}

func TestPrintStorage(t *testing.T) {
	st := &pond.Storage{Lacks: 25, Nodes: []pond.StorageNode{
		{Node: "n1", Copies: 3, Bytes: 3 << 20, Version: 2, Synced: 1, Older: 1, Members: 4, Want: 3, Quarantined: 1, Disks: []pond.StorageDisk{{Dir: "/d1", Free: 1 << 30, Total: 2 << 30, Count: 3}, {Dir: "/d2", Failed: "fsync failed"}}},
		{Node: "n2", Error: "it does not answer"},
	}}
	for range 21 {
		st.Lacking = append(st.Lacking, pond.LackingUpload{ID: "0a", Has: []string{"n1"}, Lacks: []string{"n2"}})
	}
	var out bytes.Buffer
	a := &app{system: system{stdout: &out}}
	if err := a.printStorage(output.Table, st); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"/d2", "fsync failed", "it does not answer", "layout 2 of 4 nodes, 3 copies each: it does not have all of it yet", "1 damaged ones in quarantine", "25 uploads with too few copies", "is on n1, and not on n2", "and 5 more"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if why := whyLacking(st); why != "21 are to be on n2: it does not answer" {
		t.Error(why)
	}
}
