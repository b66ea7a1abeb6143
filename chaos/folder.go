package chaos

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// folderPoll is how often a folder is looked at.
const folderPoll = time.Millisecond

// FolderWatch looks at a folder, again and again, as a reader of it would.
type FolderWatch struct {
	dir  string
	stop chan struct{}
	wait sync.WaitGroup

	mu   sync.Mutex
	seen []string // distinct sets of files, in order of appearance
	err  error
}

// WatchFolder begins to look at dir, which need not exist. The caller ends it
// with Seen.
func WatchFolder(dir string) *FolderWatch {
	w := &FolderWatch{dir: dir, stop: make(chan struct{})}
	w.wait.Go(w.run)
	return w
}

func (w *FolderWatch) run() {
	t := time.NewTicker(folderPoll)
	defer t.Stop()
	for {
		w.look()
		select {
		case <-t.C:
		case <-w.stop:
			return
		}
	}
}

func (w *FolderWatch) look() {
	files, err := Files(w.dir)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // it is being replaced
		w.err = err
	}
	if now := strings.Join(files, " "); err == nil && (len(w.seen) == 0 || w.seen[len(w.seen)-1] != now) {
		w.seen = append(w.seen, now)
	}
}

// Now returns the sets of files seen so far, in the form of Seen.
func (w *FolderWatch) Now() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.seen)
}

// Seen ends the watch and returns the sets of files that were there, one after
// another, each as names with spaces between them.
func (w *FolderWatch) Seen() ([]string, error) {
	close(w.stop)
	w.wait.Wait()
	return w.seen, w.err
}

// Files lists the files in a folder and its subfolders, hidden ones too, by
// relative name; nothing if the folder does not exist.
func Files(dir string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			if path == dir && errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		if !d.IsDir() {
			out = append(out, strings.TrimPrefix(path, dir+string(filepath.Separator)))
		}
		return nil
	})
	slices.Sort(out)
	return out, err
}
