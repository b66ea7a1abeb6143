package process

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A file that takes the place of another is another, also when it is given the number of
// one before it. What is written into a file, or made in a folder, leaves them the same.
func TestMoved(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a")
	write := func(name string) {
		if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file)
	_, born := identity(file)
	first := Access{Read: []string{file}}.Resolved()
	folder := Access{Write: []string{dir + "/"}}.Resolved()
	tick := time.NewTicker(5 * time.Millisecond) // a file system's clock may be as coarse
	defer tick.Stop()
	for range 10 {
		now := Access{Read: []string{file}}.Resolved()
		<-tick.C
		write(file)
		if now.Moved() && born {
			t.Error("a file that is written is another")
		}
		write(file + ".new")
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
		if !first.Moved() {
			t.Fatal("a file that has taken another's place is the same")
		}
	}
	if folder.Moved() {
		t.Error("a folder in which files are made is another")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if !first.Moved() {
		t.Error("a file that is gone is the same")
	}
}
