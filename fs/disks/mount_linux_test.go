package disks

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/pondmesh/pond/fs"
)

// mountDisk mounts an empty file system on a folder, and returns what unmounts it.
func mountDisk(t *testing.T, dir string) func() {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64m"); err != nil {
		t.Skipf("a file system cannot be mounted here: %v", err)
	}
	up := true
	unmount := func() {
		if up {
			up = false
			if err := syscall.Unmount(dir, 0); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(unmount)
	return unmount
}

// TestUnmountedAtStart: the folder on which a disk was mounted is not taken for a new disk
// when the node starts without it; another one that is mounted there is. A folder that
// never was a disk of its own may be emptied.
func TestUnmountedAtStart(t *testing.T) {
	t.Run("a disk", func(t *testing.T) { unmountedAtStart(t, ".") })
	t.Run("a folder on it", func(t *testing.T) { unmountedAtStart(t, "pond/a") })
}

func unmountedAtStart(t *testing.T, below string) {
	dir := t.TempDir()
	mount, plain := filepath.Join(dir, "disk"), filepath.Join(dir, "plain")
	for _, d := range []string{mount, plain} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	disk := filepath.Join(mount, below)
	// begin starts the node, has look see its disks, and stops it.
	begin := func(look func(states []State)) {
		t.Helper()
		first, err := fs.Open(context.Background(), filepath.Join(dir, "first"), fs.Options{})
		if err != nil {
			t.Fatal(err)
		}
		d, err := Open(context.Background(), first, []string{disk, plain}, fs.Options{})
		if err != nil {
			t.Fatal(errors.Join(err, first.Close()))
		}
		look(d.States())
		if err := errors.Join(d.Close(), first.Close()); err != nil {
			t.Fatal(err)
		}
	}
	unmount := mountDisk(t, mount)
	var old string
	begin(func(s []State) {
		if old = s[1].ID; s[1].Err != nil || s[2].Err != nil {
			t.Errorf("two disks: %+v", s)
		}
	})
	unmount()
	if err := os.RemoveAll(filepath.Join(plain, storeDir)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		begin(func(s []State) {
			if !errors.Is(s[1].Err, errUnmounted) || s[2].Err != nil {
				t.Errorf("a disk is not mounted, and a folder is empty: %+v", s)
			}
		})
	}
	if names, err := os.ReadDir(mount); err != nil || len(names) > 0 {
		t.Errorf("below the mount: %v, %v", names, err)
	}
	unmount = mountDisk(t, mount)
	begin(func(s []State) {
		if s[1].Err != nil || s[1].ID == old {
			t.Errorf("another disk is mounted: %+v", s)
		}
	})
	unmount()
	moved, err := fs.Open(context.Background(), filepath.Join(disk, storeDir), fs.Options{}) // what was on it
	if err == nil {
		err = moved.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		begin(func(s []State) {
			if s[1].Err != nil {
				t.Errorf("the folder is used without a mount from now on: %+v", s)
			}
		})
		if err := os.RemoveAll(filepath.Join(disk, storeDir)); err != nil {
			t.Fatal(err)
		}
	}
}
