package token

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// places are as Files gives them: of a home, and among temporary files.
func places(t *testing.T) []string {
	t.Helper()
	return []string{filepath.Join(t.TempDir(), ".config", "pond", "token"), filepath.Join(t.TempDir(), "pond-0", "token")}
}

// TestFiles: where a user's secret is does not depend on the process's environment,
// beside the folder of temporary files.
func TestFiles(t *testing.T) {
	if _, err := user.Current(); err != nil {
		t.Skip("the system does not know this user:", err)
	}
	want := Files()
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	if got := Files(); strings.Join(got, " ") != strings.Join(want, " ") || len(got) == 0 {
		t.Errorf("%q, not %q", got, want)
	}
}

// TestOwn: the first to look makes the secret, and all find the same, also when they
// come at once; only their user may read it.
func TestOwn(t *testing.T) {
	files := places(t)
	if s, err := find(files); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("there is one: %v, %v", s, err)
	}
	var made [8]Secret
	var all sync.WaitGroup
	for i := range made {
		all.Go(func() {
			var err error
			if made[i], err = own(files); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	found, err := find(files)
	if err != nil || len(found) != secretLen {
		t.Fatal(found, err)
	}
	for _, s := range made {
		if !bytes.Equal(s, found) {
			t.Error("two secrets")
		}
	}
	info, err := os.Stat(files[0])
	if err != nil || info.Mode().Perm() != fileMode {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, err := os.ReadDir(filepath.Dir(files[0])); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
	if s, err := LoadOrMake(files[0]); !bytes.Equal(s, found) || err != nil {
		t.Errorf("it is made again: %v", err)
	}
}

// TestNoHome: a user whose home cannot be written to has the secret among temporary files.
func TestNoHome(t *testing.T) {
	files := places(t)
	files[0] = "/dev/null/.config/pond/token"
	made, err := own(files)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := find(files); !bytes.Equal(found, made) || err != nil {
		t.Error(err)
	}
	info, err := os.Stat(filepath.Dir(files[1]))
	if err != nil || info.Mode().Perm() != dirMode {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if s, err := own([]string{files[0], "/dev/null/pond-0/token"}); err == nil || !strings.Contains(err.Error(), "make a token file") {
		t.Errorf("nowhere: %v, %v", s, err)
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can leave a file of another user")
	}
	for _, path := range []string{files[1], filepath.Dir(files[1])} { // as another user would leave it for root
		if err := os.Chown(path, 12345, -1); err != nil {
			t.Fatal(err)
		}
		for _, look := range []func([]string) (Secret, error){find, own} {
			if s, err := look(files); err == nil || s != nil || !strings.Contains(err.Error(), path+" belongs to another user") {
				t.Errorf("another user's %s: %v", path, err)
			}
		}
		if err := os.Chown(path, 0, -1); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Dir(files[1]), link); err != nil {
		t.Fatal(err)
	}
	if err := os.Lchown(link, 12345, -1); err != nil {
		t.Fatal(err)
	}
	if s, err := own([]string{filepath.Join(link, "token")}); err == nil || s != nil {
		t.Error("another user's link is followed")
	}
}

// TestLoad: a file that others may read, or that is none, is refused with what to do, and
// not replaced.
func TestLoad(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "token")
	if _, err := LoadOrMake(file); err != nil {
		t.Fatal(err)
	}
	for mode, ok := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: false, 0o604: false, 0o666: false} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		for _, look := range []func() (Secret, error){
			func() (Secret, error) { return Load(file) },
			func() (Secret, error) { return LoadOrMake(file) },
			func() (Secret, error) { return own([]string{file}) },
		} {
			if _, err := look(); ok != (err == nil) || !ok && !strings.Contains(err.Error(), "chmod 600 "+file) {
				t.Errorf("mode %04o: %v", mode, err)
			}
		}
	}
	for name, text := range map[string]string{"empty": "", "short": "AAAA", "text": "no base64", "large": strings.Repeat("A", fileBytesMax+1)} {
		bad := filepath.Join(dir, name)
		if err := os.WriteFile(bad, []byte(text), fileMode); err != nil {
			t.Fatal(err)
		}
		if s, err := own([]string{bad}); err == nil || !strings.Contains(err.Error(), "not a token file") {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
	if _, err := Load(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if s, err := Load(dir); err == nil {
		t.Errorf("a folder: %v", s)
	}
}
