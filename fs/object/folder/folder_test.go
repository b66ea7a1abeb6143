package folder_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

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
		Put: objecttest.Each(func(t *testing.T, key string, data []byte) { write(t, filepath.Join(dir, key), data) }),
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

// files are the names of all files below a folder.
func files(t *testing.T, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != ".pond-put-lock" {
			out = append(out, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A Put that comes to nothing leaves nothing: the object is what it was, and no draft
// stays.
func TestPutThatFails(t *testing.T) {
	f, dir := place(t)
	write(t, filepath.Join(dir, "a/old"), []byte("old"))
	write(t, filepath.Join(dir, "a/folder/x"), []byte("x"))
	ended, end := context.WithCancel(t.Context())
	end()
	broken := errors.New("the sender is gone")
	for name, test := range map[string]struct {
		ctx  context.Context
		key  string
		r    io.Reader
		want error
	}{
		"the reader breaks":  {t.Context(), "a/old", io.MultiReader(strings.NewReader("ne"), iotest.ErrReader(broken)), object.ErrUnavailable},
		"too little comes":   {t.Context(), "a/old", strings.NewReader("ne"), object.ErrUnavailable},
		"the caller ends":    {ended, "a/old", strings.NewReader("new"), object.ErrUnavailable},
		"a folder is there":  {t.Context(), "a/folder", strings.NewReader("new"), object.ErrName},
		"a file is in a way": {t.Context(), "a/old/below", strings.NewReader("new"), object.ErrName},
		"it leads out":       {t.Context(), "../out", strings.NewReader("new"), object.ErrName},
	} {
		if _, err := f.Put(test.ctx, "file://store/"+test.key, test.r, 3, object.If{}); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
		if test.want == object.ErrName { // of no object: also where the first alone counts
			if _, err := f.Put(test.ctx, "file://store/"+test.key, strings.NewReader("new"), 3, object.If{Absent: true}); !errors.Is(err, test.want) || errors.Is(err, object.ErrExists) {
				t.Errorf("%s, if absent: %v", name, err)
			}
		}
		got, err := os.ReadFile(filepath.Join(dir, "a/old"))
		if left := files(t, dir); err != nil || string(got) != "old" || !slices.Equal(left, []string{"a/folder/x", "a/old"}) {
			t.Errorf("%s: %q, %v, files %v", name, got, err, left)
		}
	}
}

// While another process has the lock nothing is replaced or deleted; what is new may come.
func TestTurns(t *testing.T) {
	f, dir := place(t)
	o, err := f.Put(t.Context(), "file://store/a", strings.NewReader("old"), 3, object.If{})
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.OpenFile(filepath.Join(dir, ".pond-put-lock"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := syscall.Flock(int(other.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(ctx context.Context) error{
		"replaced": func(ctx context.Context) error {
			_, err := f.Put(ctx, o.Name, strings.NewReader("new"), 3, object.If{Version: o.Version})
			return err
		},
		"overwritten": func(ctx context.Context) error {
			_, err := f.Put(ctx, o.Name, strings.NewReader("new"), 3, object.If{})
			return err
		},
		"deleted": func(ctx context.Context) error { return f.Delete(ctx, o.Name) },
	} {
		short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		err := change(short)
		cancel()
		if got, _ := os.ReadFile(filepath.Join(dir, "a")); err == nil || string(got) != "old" {
			t.Errorf("%s out of turn: %q, %v", name, got, err)
		}
	}
	if _, err := f.Put(t.Context(), "file://store/b", strings.NewReader("new"), 3, object.If{Absent: true}); err != nil {
		t.Errorf("a new one: %v", err)
	}
	if err := syscall.Flock(int(other.Fd()), syscall.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	if err := f.Delete(t.Context(), o.Name); err != nil {
		t.Error(err)
	}
}

// What another node is still writing is no object yet, under no pattern.
func TestDrafts(t *testing.T) {
	f, dir := place(t)
	for _, name := range []string{"a/x", "a/.pond-put-1", ".pond-put-2"} {
		write(t, filepath.Join(dir, name), []byte("x"))
	}
	for _, pattern := range []string{"**", "*/*", "a/.*", "a/[.x]*", ".pond*"} {
		list, err := f.Find(t.Context(), "file://store/"+pattern)
		if err != nil && !errors.Is(err, object.ErrNotFound) {
			t.Errorf("%s: %v", pattern, err)
		}
		for _, o := range list {
			if o.Name != "file://store/a/x" && err == nil {
				t.Errorf("%s means %s", pattern, o.Name)
			}
		}
	}
}

// A file that is written to where it is, is another version: it is not read half old and
// half new. One that shrinks while it is read is an error, never a short answer.
func TestWrittenInPlace(t *testing.T) {
	f, dir := place(t)
	file := filepath.Join(dir, "a")
	write(t, file, bytes.Repeat([]byte("x"), 1<<20))
	find := func() object.Object {
		list, err := f.Find(t.Context(), "file://store/a")
		if err != nil {
			t.Fatal(err)
		}
		return list[0]
	}
	o := find()
	r, err := f.Open(t.Context(), o, 0, o.Size)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := os.Truncate(file, 10); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err == nil {
		t.Errorf("%d of %d bytes, and no error", len(got), o.Size)
	}
	if _, err := f.Open(t.Context(), o, 0, 5); !errors.Is(err, object.ErrChanged) {
		t.Errorf("the old version: %v", err)
	}
	o = find()
	if err := os.Chtimes(file, time.Time{}, o.ModTime.Add(time.Second)); err != nil { // of the same size
		t.Fatal(err)
	}
	if _, err := f.Open(t.Context(), o, 0, 5); !errors.Is(err, object.ErrChanged) {
		t.Errorf("of the same size, changed: %v", err)
	}
}

// Links may lead to what is below the folder, and nowhere else.
func TestLinks(t *testing.T) {
	f, dir := place(t)
	away := t.TempDir()
	write(t, filepath.Join(away, "secret"), []byte("x"))
	write(t, filepath.Join(dir, "in/a"), []byte("a"))
	for link, to := range map[string]string{"inside": "in/a", "out": away, "up": "../" + filepath.Base(away), "loop": "loop", "gone": "in/nothing"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]error{"inside": nil, "out/secret": object.ErrDenied, "up/secret": object.ErrDenied, "loop": object.ErrUnavailable, "gone": object.ErrNotFound, "in": object.ErrNotFound, "in/a/b": object.ErrNotFound} {
		if _, err := f.Find(t.Context(), "file://store/"+name); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		if _, err := f.Open(t.Context(), object.Object{Name: "file://store/" + name}, 0, 0); err == nil {
			t.Errorf("%s: opened as another version", name)
		}
	}
	if _, err := f.Put(t.Context(), "file://store/out/new", strings.NewReader("x"), 1, object.If{}); err == nil || len(files(t, away)) != 1 {
		t.Errorf("written over a link that leads out: %v, %v", err, files(t, away))
	}
}
