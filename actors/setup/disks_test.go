package setup

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
)

// TestCheckDisks: a disk is a folder of its own.
func TestCheckDisks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		disks []string
		says  string // "": they will do
	}{
		{nil, ""},
		{[]string{"/d1", "/d2", "/data2"}, ""},
		{[]string{"/d1", "/d1/"}, "given twice"},
		{[]string{"/d1", "/d1/two"}, "inside"},
		{[]string{"/data"}, "given twice"},
		{[]string{"/data/disk"}, "inside"},
		{[]string{"/"}, "inside"},
		{[]string{""}, `""`},
		{[]string{file}, "no folder"},
		{make([]string, 64), "too many"},
	} {
		c := Config{Dir: "/data", Disks: test.disks}
		err := c.checkDisks()
		if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says) || plan.AsError(err).Hint == "") {
			t.Errorf("%q: %v", test.disks, err)
		}
	}
}

// TestOpenDisks: folders that are no disks of this node are refused with what to do.
func TestOpenDisks(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	store, _, err := OpenDataDir(t.Context(), t.TempDir(), nil, log)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	dir := filepath.Join(t.TempDir(), "new")
	d, err := OpenDisks(t.Context(), store, []string{dir}, nil, log)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDisks(t.Context(), store, []string{dir}, nil, log); plan.KindOf(err) != plan.KindUser || plan.AsError(err).Hint == "" {
		t.Errorf("a disk of another node: %v", err)
	}
	if s := d.States(); len(s) != 2 || s[1].Err != nil || s[1].Total == 0 || d.Size() != s[0].Total {
		t.Errorf("two folders of one file system: %+v, %d bytes", s, d.Size())
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "thesis.tex"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDisks(t.Context(), store, []string{foreign}, nil, log); plan.KindOf(err) != plan.KindUser || !strings.Contains(err.Error(), "thesis.tex") {
		t.Errorf("a folder with other files: %v", err)
	}
}
