package fs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestStageRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	full := filepath.Join(dir, "full")
	writeTree(t, full, oldFiles)
	dangling := filepath.Join(dir, "dangling")
	if err := os.Symlink(filepath.Join(dir, "nothing"), dangling); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, target, job string
		mode              Mode
		want              error
	}{
		{"full target", full, "j", ModeError, ErrExists},
		{"a file", file, "j", ModeError, ErrNotFolder},
		{"a file", file, "j", ModeOverwrite, ErrNotFolder},
		{"below a file", filepath.Join(file, "out"), "j", ModeError, ErrNotFolder},
		{"link to nothing", dangling, "j", ModeOverwrite, ErrNotFolder},
		{"root", "/", "j", ModeOverwrite, ErrInvalid},
		{"no target", "", "j", ModeError, ErrInvalid},
		{"mode", full, "j", "nonsense", ErrInvalid},
		{"job with a slash", full, "../j", ModeAppend, ErrInvalid},
		{"no job", full, "", ModeAppend, ErrInvalid},
		{"long name", filepath.Join(dir, strings.Repeat("n", 250)), "j", ModeError, ErrInvalid},
	} {
		if _, err := Stage(context.Background(), c.target, c.job, c.mode); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
	wantOnly(t, dir, "dangling", "file", "full")
}

func TestPublishRefuses(t *testing.T) {
	ctx := context.Background()
	target := filepath.Join(t.TempDir(), "deep", "er", "out")
	s := stage(t, target, "j", ModeError)
	writeTree(t, s.File("a"), newFiles)
	if err := os.Mkdir(s.File("a/folder"), 0o777); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{
		"a/missing": os.ErrNotExist, "b/a": os.ErrNotExist, "../stage": ErrInvalid, "a/../../stage": ErrInvalid, "a/../stage": ErrInvalid, "/etc/passwd": ErrInvalid,
		".": ErrInvalid, "": ErrInvalid, "a": ErrInvalid, "a/": ErrInvalid, "a/folder": ErrInvalid,
	} {
		if err := s.Publish(ctx, []string{name}); !errors.Is(err, want) {
			t.Errorf("file %q: %v, want %v", name, err, want)
		}
	}
	writeTree(t, s.File("b"), tree{"a-2.parquet": "twice"})
	if err := s.Publish(ctx, append(names(newFiles), "b/a-2.parquet")); !errors.Is(err, ErrInvalid) {
		t.Errorf("two files of one name: %v", err)
	}
	// The target appears while the job runs.
	writeTree(t, target, oldFiles)
	if err := s.Publish(ctx, names(newFiles)); !errors.Is(err, ErrExists) {
		t.Fatalf("target appeared: %v", err)
	}
	if _, err := Stage(ctx, target, "j", ModeError); !errors.Is(err, ErrExists) {
		t.Fatalf("stage again: %v", err)
	}
	wantTree(t, "refused", target, oldFiles)
	if err := os.RemoveAll(target); err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(ctx, names(newFiles)); err != nil {
		t.Fatal("once it is gone:", err)
	}
	wantTree(t, "published", target, newFiles)
}

// TestDiscardRemovesParents: folders that Stage made go, if nobody uses them.
func TestDiscardRemovesParents(t *testing.T) {
	root := t.TempDir()
	for _, used := range []bool{false, true} {
		s := stage(t, filepath.Join(root, "a", "b", "out"), "j", ModeError)
		if used {
			writeTree(t, filepath.Join(root, "a"), tree{"theirs": "x"})
		}
		if err := s.Discard(context.Background()); err != nil {
			t.Fatal(err)
		}
		if used {
			wantOnly(t, root, "a")
			wantOnly(t, filepath.Join(root, "a"), "theirs")
		} else {
			wantOnly(t, root)
		}
	}
}

// TestAppendSameName: appending never replaces a file.
func TestAppendSameName(t *testing.T) {
	target := filepath.Join(t.TempDir(), "out")
	writeTree(t, target, tree{"part-0": "theirs"})
	s := stage(t, target, "j", ModeAppend)
	writeTree(t, s.File("a"), tree{"part-0": "ours"})
	if err := s.Publish(context.Background(), []string{"a/part-0"}); !errors.Is(err, ErrExists) {
		t.Fatal(err)
	}
	wantTree(t, "refused", target, tree{"part-0": "theirs"})
}

// TestLateWriter: an attempt that still writes into the staging folder after
// publishing has begun gets nothing into the target.
func TestLateWriter(t *testing.T) {
	w := world{mode: ModeOverwrite, before: oldFiles, swap: true, link: true}
	target, s := w.setUp(t)
	s.step = func(string) error {
		os.WriteFile(s.File("a/late"), []byte("half"), 0o666) // fails once work is gone
		return nil
	}
	if err := s.Publish(context.Background(), names(newFiles)); err != nil {
		t.Fatal(err)
	}
	wantTree(t, "late writer", target, newFiles)
}

// TestSealWins: a second coordinator with another list of files publishes what
// the first one sealed; when a sealed file is lost, its own.
func TestSealWins(t *testing.T) {
	for _, lose := range []bool{false, true} {
		target := filepath.Join(t.TempDir(), "out")
		s := stage(t, target, "j", ModeError)
		writeTree(t, s.File("a"), tree{"p-1": "1", "p-2": "2", "q-1": "3"})
		s.step = func(name string) error {
			if name == "move" {
				return errCrash
			}
			return nil
		}
		if err := s.Publish(context.Background(), []string{"a/p-1", "a/q-1"}); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		want := tree{"p-1": "1", "q-1": "3"}
		if lose {
			want = tree{"p-2": "2", "q-1": "3"}
			if err := os.Remove(s.File("a/p-1")); err != nil {
				t.Fatal(err)
			}
		}
		if err := stage(t, target, "j", ModeError).Publish(context.Background(), []string{"a/p-2", "a/q-1"}); err != nil {
			t.Fatal(err)
		}
		wantTree(t, "second coordinator", target, want)
	}
}

// TestOverwrittenSince: repeating the publish of a job whose output another job
// has overwritten since changes nothing.
func TestOverwrittenSince(t *testing.T) {
	ctx := context.Background()
	target := filepath.Join(t.TempDir(), "out")
	writeTree(t, target, oldFiles)
	a := stage(t, target, "a", ModeOverwrite)
	writeTree(t, a.File("a"), tree{"part-0": "a"})
	a.step = func(name string) error {
		if name == "finish" {
			return errCrash // swapped, the old folder still there
		}
		return nil
	}
	if err := a.Publish(ctx, []string{"a/part-0"}); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	b := stage(t, target, "b", ModeOverwrite)
	writeTree(t, b.File("a"), tree{"part-0": "b"})
	if err := b.Publish(ctx, []string{"a/part-0"}); err != nil {
		t.Fatal(err)
	}
	again := stage(t, target, "a", ModeOverwrite)
	if err := again.Publish(ctx, []string{"a/part-0"}); err != nil {
		t.Fatal(err)
	}
	wantTree(t, "a again", target, tree{"part-0": "b"})
	for _, s := range []*Staging{again, b} {
		if err := s.Discard(ctx); err != nil {
			t.Fatal(err)
		}
	}
	wantOnly(t, filepath.Dir(target), "out")
}

// TestDiscardKeepsBoth: a crash between the two renames, and then another job
// takes the free place: Discard deletes neither folder, and says so.
func TestDiscardKeepsBoth(t *testing.T) {
	w := world{mode: ModeOverwrite, before: oldFiles, link: true}
	target, s := w.setUp(t)
	s.step = func(name string) error {
		if name == "move new" {
			return errCrash
		}
		return nil
	}
	if err := s.Publish(context.Background(), names(newFiles)); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	theirs := tree{"theirs": "x"}
	writeTree(t, target, theirs)
	if err := s.Discard(context.Background()); !errors.Is(err, ErrExists) {
		t.Fatalf("discard: %v", err)
	}
	wantTree(t, "theirs", target, theirs)
	wantTree(t, "old", s.path("old"), oldFiles)
}

// TestTargetIsLink: a symbolic link is followed; the real folder is replaced and
// the link stays.
func TestTargetIsLink(t *testing.T) {
	dir := t.TempDir()
	writeTree(t, filepath.Join(dir, "real"), oldFiles)
	if err := os.Symlink("real", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	s := stage(t, filepath.Join(dir, "link"), "j", ModeOverwrite)
	writeTree(t, s.File("a"), newFiles)
	if err := s.Publish(context.Background(), names(newFiles)); err != nil {
		t.Fatal(err)
	}
	wantTree(t, "real", filepath.Join(dir, "real"), newFiles)
	if to, err := os.Readlink(filepath.Join(dir, "link")); err != nil || to != "real" {
		t.Fatal(to, err)
	}
}

// TestKeepsMode: the new folder has the permissions of the one it replaces.
func TestKeepsMode(t *testing.T) {
	w := world{mode: ModeOverwrite, before: oldFiles, swap: true, link: true}
	target, s := w.setUp(t)
	const mode = os.ModeSetgid | 0o750
	if err := os.Chmod(target, mode); err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(context.Background(), names(newFiles)); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(target); err != nil || fi.Mode()&^os.ModeDir != mode {
		t.Fatal(fi.Mode(), err)
	}
}

// TestEmptyPublish: a job may have no rows and so no files.
func TestEmptyPublish(t *testing.T) {
	target := filepath.Join(t.TempDir(), "out")
	s := stage(t, target, "j", ModeError)
	for range 2 {
		if err := s.Publish(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
	}
	if fi, err := os.Stat(target); err != nil || !fi.IsDir() {
		t.Fatal(err)
	}
}

func TestPublishFullDisk(t *testing.T) {
	dir := t.TempDir()
	mount(t, dir, "size=1m")
	target := filepath.Join(dir, "out")
	writeTree(t, target, tree{"big": strings.Repeat("x", 600<<10)})
	s := stage(t, target, "j", ModeAppend)
	s.link = noLink // so that the old file must be copied
	writeTree(t, s.File("a"), tree{"new": "n"})
	if err := s.Publish(context.Background(), []string{"a/new"}); !errors.Is(err, ErrNoSpace) {
		t.Fatalf("publish: %v", err)
	}
	if got := readTree(t, target); len(got) != 1 || len(got["big"]) != 600<<10 {
		t.Fatal("the target changed")
	}
	if err := s.Discard(context.Background()); err != nil {
		t.Fatal(err)
	}
	wantOnly(t, dir, "out")
}

func TestMountPoint(t *testing.T) {
	dir := t.TempDir()
	mount(t, dir, "size=1m")
	if _, err := Stage(context.Background(), dir, "j", ModeOverwrite); !errors.Is(err, ErrInvalid) {
		t.Fatalf("stage on a mount point: %v", err)
	}
}

// TestPublishWaits: a publish waits for another in the folder, within its context.
func TestPublishWaits(t *testing.T) {
	w := world{mode: ModeError, swap: true, link: true}
	target, s := w.setUp(t)
	f, err := os.Open(filepath.Dir(target))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Skip("no flock here:", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.step = func(name string) error {
		if name == "sync" { // the last before the wait
			cancel()
		}
		return nil
	}
	if err := s.Publish(ctx, names(newFiles)); !errors.Is(err, context.Canceled) {
		t.Fatalf("publish: %v", err)
	}
	f.Close()
	if err := s.Publish(context.Background(), names(newFiles)); err != nil {
		t.Fatal(err)
	}
	wantTree(t, "waited", target, newFiles)
}

// TestForgedSeal: a seal that names files elsewhere is refused.
func TestForgedSeal(t *testing.T) {
	ctx := context.Background()
	for _, forged := range []string{`{"inode":1,"files":["../../x"]}`, `{"inode":1,"files":["/etc/passwd"]}`, `{"files":[]}`, `{`, ``} {
		target := filepath.Join(t.TempDir(), "out")
		s := stage(t, target, "j", ModeOverwrite)
		writeTree(t, s.File("a"), newFiles)
		if err := os.WriteFile(s.path("seal"), []byte(forged), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := s.Publish(ctx, names(newFiles)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("seal %s: %v", forged, err)
		}
	}
}

// TestPruneAfterCrash: what a publish that was cut short had put into new stays
// out when it no longer belongs there.
func TestPruneAfterCrash(t *testing.T) {
	ctx := context.Background()
	crashBefore := func(s *Staging, step string, files ...string) {
		s.step = func(name string) error {
			if name == step {
				return errCrash
			}
			return nil
		}
		if err := s.Publish(ctx, files); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
	}
	// A link to a file that its owner has deleted since.
	target := filepath.Join(t.TempDir(), "out")
	writeTree(t, target, oldFiles)
	s := stage(t, target, "j", ModeAppend)
	writeTree(t, s.File("a"), tree{"p": "ours"})
	crashBefore(s, "swap", "a/p")
	if err := os.Remove(filepath.Join(target, "a-1.parquet")); err != nil {
		t.Fatal(err)
	}
	if err := stage(t, target, "j", ModeAppend).Publish(ctx, []string{"a/p"}); err != nil {
		t.Fatal(err)
	}
	wantTree(t, "deleted meanwhile", target, tree{"p": "ours", "year=2025/b-1.parquet": "old b"})

	// A file of a seal that another seal has replaced.
	target = filepath.Join(t.TempDir(), "out")
	s = stage(t, target, "j", ModeError)
	writeTree(t, s.File("a"), tree{"p-1": "1", "p-2": "2", "q-1": "3"})
	crashBefore(s, "prune", "a/p-1", "a/q-1")
	if err := os.Remove(filepath.Join(s.path("new"), "p-1")); err != nil {
		t.Fatal(err)
	}
	if err := stage(t, target, "j", ModeError).Publish(ctx, []string{"a/p-2"}); err != nil {
		t.Fatal(err)
	}
	wantTree(t, "sealed anew", target, tree{"p-2": "2"})
}

// TestReplace: what an earlier output left in the folders that are written goes,
// and nothing else.
func TestReplace(t *testing.T) {
	const uuid = "6a80d220-8cf1-4d15-97cd-45b3ff6f895a"
	keep := tree{"p=1/" + uuid + ".parquet": "appended by DuckDB", "p=1/append-part-00000-0123abcd-1.parquet": "appended", "p=1/notes.txt": "n",
		"p=3/part-00000-0123abcd-1.parquet": "not written", "p=1/q=1/data_0.parquet": "below", "data_0.parquet": "above"}
	gone := tree{"p=1/data_0.parquet": "by DuckDB", "p=1/part-00000-0123abcd-1.parquet": "by Pond", "p=2/part-00012-0123abcd-1025-" + uuid + ".parquet": "by Pond"}
	ours := tree{"p=1/part-00000-ffffffff-1.parquet": "1", "p=2/part-00001-ffffffff-1.parquet": "2", "p=4/x.parquet": "4"}
	for _, swap := range []bool{true, false} {
		target := filepath.Join(t.TempDir(), "out")
		writeTree(t, target, union(keep, gone))
		s := stage(t, target, "j", ModeReplace)
		if !swap {
			s.swap = noSwap
		}
		writeTree(t, s.File("a"), ours)
		for range 2 {
			if err := s.Publish(context.Background(), names(ours)); err != nil {
				t.Fatal(err)
			}
			wantTree(t, "replaced", target, union(keep, ours))
		}
	}
}

// TestAttemptsMeet: the folders of several attempts become one, whatever they
// have in common, and wherever a crash cuts it short. So many files are flushed
// together.
func TestAttemptsMeet(t *testing.T) {
	var staged []string
	want := tree{}
	for a := range 3 {
		for i := range syncEachMax {
			name := fmt.Sprintf("p=%d/q=%d/%d-%d", i%5, i%(a+2), a, i)
			staged, want[name] = append(staged, fmt.Sprintf("%d/%s", a, name)), name
		}
	}
	crashes := 0
	for after := 0; ; after += 7 {
		target := filepath.Join(t.TempDir(), "out")
		s := stage(t, target, "j", ModeError)
		for _, name := range staged {
			_, final, _ := strings.Cut(name, "/")
			writeTree(t, s.Dir(), tree{name: final})
		}
		moves := 0
		s.step = func(name string) error {
			if name == "move" {
				if moves++; moves > after {
					return errCrash
				}
			}
			return nil
		}
		err := s.Publish(context.Background(), staged)
		if errors.Is(err, errCrash) {
			crashes++
			err = stage(t, target, "j", ModeError).Publish(context.Background(), staged)
		} else if crashes < 3 {
			t.Fatalf("moved in %d steps", moves)
		} else {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		wantTree(t, fmt.Sprint("crash after ", after), target, want)
	}
}

// TestWithdrawAgain: what a withdrawal left that broke off stands in no one's way.
func TestWithdrawAgain(t *testing.T) {
	target := filepath.Join(t.TempDir(), "out")
	for range 2 {
		s, err := Stage(t.Context(), target, "j", ModeError)
		if err != nil {
			t.Fatal(err)
		}
		crashed := false
		s.step = func(name string) error {
			if crashed = name == "remove"; crashed {
				return errCrash
			}
			return nil
		}
		if _, ok, err := s.Withdraw(t.Context()); ok || !errors.Is(err, errCrash) || !crashed {
			t.Fatalf("%t, %v", ok, err)
		}
	}
	s, err := Stage(t.Context(), target, "j", ModeError)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := s.Withdraw(t.Context()); ok || err != nil {
		t.Fatalf("%t, %v", ok, err)
	}
	wantOnly(t, filepath.Dir(target))
}
