package folder_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/pondmesh/pond/fs/object"
	"github.com/pondmesh/pond/fs/object/folder"
	"github.com/pondmesh/pond/fs/object/objecttest"
)

func place(t *testing.T) (*folder.Folder, string) {
	t.Helper()
	dir := t.TempDir()
	f, err := folder.Open(dir, "file://store/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, dir
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil { // another inode: times may be equal
		t.Fatal(err)
	}
}

func TestFolder(t *testing.T) {
	f, dir := place(t)
	outside := filepath.Join(t.TempDir(), "secret")
	write(t, outside, []byte("x"))
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	objecttest.Run(t, objecttest.Place{
		Source: f, Prefix: "file://store/", Globs: true, Denied: "link",
		Put: func(t *testing.T, key string, data []byte) { write(t, filepath.Join(dir, key), data) },
	})
}

func TestNamesThatLeadOut(t *testing.T) {
	f, _ := place(t)
	for _, name := range []string{"file://store/../x", "file://store//etc/passwd", "file://store/", "file://store/a/../b", "/etc/passwd"} {
		if _, err := f.Find(t.Context(), name); !errors.Is(err, object.ErrName) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
