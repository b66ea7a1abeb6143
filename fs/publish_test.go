package fs

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// tree is a folder's files: name to content.
type tree map[string]string

func readTree(t testing.TB, dir string) tree {
	t.Helper()
	got := tree{}
	err := filepath.WalkDir(dir, func(path string, d iofs.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) && path == dir {
			return filepath.SkipAll
		}
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		got[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func writeTree(t testing.TB, dir string, files tree) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// names are the files as attempt a has staged them.
func names(files tree) (out []string) {
	for name := range maps.Keys(files) {
		out = append(out, "a/"+name)
	}
	return out
}

func union(a, b tree) tree {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

func wantTree(t testing.TB, what, dir string, want tree) {
	t.Helper()
	if got := readTree(t, dir); !maps.Equal(got, want) {
		t.Fatalf("%s: target holds %v, want %v", what, got, want)
	}
}

// wantOnly fails unless parent holds nothing but the named entries.
func wantOnly(t testing.TB, parent string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), outputsSuffix) {
			got = append(got, e.Name())
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Fatalf("%s holds %q, want %q", parent, got, want)
	}
}

func stage(t testing.TB, target, job string, mode Mode) *Staging {
	t.Helper()
	s, err := Stage(context.Background(), target, job, mode)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var (
	oldFiles = tree{"a-1.parquet": "old a", "year=2025/b-1.parquet": "old b"}
	newFiles = tree{"a-2.parquet": "new a", "year=2026/c-2.parquet": "new c"}
	leftover = tree{"a-2-attempt1.parquet": "half", "year=2024/x.parquet": "half"}
)

// noSwap stands for a file system without RENAME_EXCHANGE.
func noSwap(a, b string) error {
	return &os.LinkError{Op: "exchange", Old: a, New: b, Err: syscall.EINVAL}
}

// noLink stands for one without hard links.
func noLink(from, to string) error {
	return &os.LinkError{Op: "link", Old: from, New: to, Err: syscall.EPERM}
}

// world is one combination of mode, what the target is before, and what the
// file system can do.
type world struct {
	mode       Mode
	before     tree // nil: the target is missing
	emptyDir   bool
	swap, link bool
}

func (w world) String() string {
	return fmt.Sprintf("%s/before=%d/empty=%v/swap=%v/link=%v", w.mode, len(w.before), w.emptyDir, w.swap, w.link)
}

// worlds leaves out what makes no difference: without files in the target
// nothing is swapped or linked.
func worlds() (out []world) {
	for _, m := range []Mode{ModeError, ModeOverwrite, ModeAppend} {
		out = append(out, world{mode: m, swap: true, link: true}, world{mode: m, emptyDir: true, swap: true, link: true})
		if m == ModeError {
			continue
		}
		for _, swap := range []bool{true, false} {
			out = append(out, world{mode: m, before: oldFiles, swap: swap, link: true})
			if m == ModeAppend {
				out = append(out, world{mode: m, before: oldFiles, swap: swap})
			}
		}
	}
	return out
}

// after is what the target must hold once published.
func (w world) after() tree {
	if w.mode == ModeAppend {
		return union(newFiles, w.before)
	}
	return newFiles
}

func (w world) open(t testing.TB, target string) *Staging {
	s := stage(t, target, "job1", w.mode)
	if !w.swap {
		s.swap = noSwap
	}
	if !w.link {
		s.link = noLink
	}
	return s
}

func (w world) setUp(t testing.TB) (target string, s *Staging) {
	target = filepath.Join(t.TempDir(), "out")
	if w.emptyDir {
		if err := os.Mkdir(target, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	writeTree(t, target, w.before)
	s = w.open(t, target)
	writeTree(t, s.File("a"), newFiles)
	writeTree(t, s.File("a"), leftover)
	return target, s
}

func TestPublish(t *testing.T) {
	for _, w := range worlds() {
		t.Run(w.String(), func(t *testing.T) {
			ctx := context.Background()
			target, s := w.setUp(t)
			if err := s.Publish(ctx, names(newFiles)); err != nil {
				t.Fatal(err)
			}
			wantTree(t, "published", target, w.after())
			if err := s.Publish(ctx, names(newFiles)); err != nil {
				t.Fatal("again:", err)
			}
			if err := w.open(t, target).Publish(ctx, []string{"a/other"}); err != nil {
				t.Fatal("by another node:", err)
			}
			for range 2 {
				if err := s.Discard(ctx); err != nil {
					t.Fatal(err)
				}
			}
			wantTree(t, "discarded", target, w.after())
			wantOnly(t, filepath.Dir(target), "out")
			if err := s.Publish(ctx, names(newFiles)); !errors.Is(err, ErrNotStaged) {
				t.Fatalf("publish after discard: %v", err)
			}
		})
	}
}

var errCrash = errors.New("crash")

// crashAt makes the nth step of s fail; it returns a count of the steps seen.
func crashAt(s *Staging, n int) *int {
	seen := 0
	s.step = func(string) error {
		seen++
		if seen == n {
			return errCrash
		}
		return nil
	}
	return &seen
}

// TestPublishCrash ends Publish before each of its steps. What readers see must
// be the old folder or the new one (or, between two renames, nothing), and both
// ways on from there must end well.
func TestPublishCrash(t *testing.T) {
	ctx := context.Background()
	for _, w := range worlds() {
		for _, then := range []string{"publish", "discard", "discard crash", "withdraw"} {
			t.Run(w.String()+"/"+then, func(t *testing.T) {
				for n := 1; ; n++ {
					target, s := w.setUp(t)
					crashAt(s, n)
					err := s.Publish(ctx, names(newFiles))
					if err == nil {
						if n < 6 {
							t.Fatalf("only %d steps: the crashes do not happen", n-1)
						}
						return
					}
					if !errors.Is(err, errCrash) {
						t.Fatalf("step %d: %v", n, err)
					}
					w.wantOldOrNew(t, n, target)
					w.goOn(t, n, target, then)
				}
			})
		}
	}
}

func (w world) wantOldOrNew(t *testing.T, n int, target string) (published bool) {
	t.Helper()
	got := readTree(t, target)
	switch {
	case maps.Equal(got, w.after()):
		return true
	case maps.Equal(got, w.before) || len(got) == 0 && len(w.before) == 0:
		return false
	case len(got) == 0 && !w.swap:
		return false
	}
	t.Fatalf("crash at step %d: readers see %v", n, got)
	return false
}

func (w world) goOn(t *testing.T, n int, target, then string) {
	t.Helper()
	ctx := context.Background()
	published := maps.Equal(readTree(t, target), w.after())
	s := w.open(t, target)
	if then == "publish" {
		if err := s.Publish(ctx, names(newFiles)); err != nil {
			t.Fatalf("publish after a crash at step %d: %v", n, err)
		}
		wantTree(t, fmt.Sprint("step ", n), target, w.after())
	}
	if then == "withdraw" {
		files, ok, err := s.Withdraw(ctx)
		if err != nil || published && !ok || ok != (len(files) == len(newFiles)) {
			t.Fatalf("withdraw after a crash at step %d: %q, %t, %v", n, files, ok, err)
		}
		if published = ok; ok {
			wantTree(t, fmt.Sprint("step ", n), target, w.after())
		}
		if err := s.Publish(ctx, names(newFiles)); published && err != nil || !published && !errors.Is(err, ErrNotStaged) {
			t.Fatalf("publish after that: %v", err)
		}
		if got := readTree(t, target); !published && !maps.Equal(got, w.before) && len(got)+len(w.before) > 0 {
			t.Fatalf("withdrawn after a crash at step %d: %v", n, got)
		}
		if again, ok, err := s.Withdraw(ctx); err != nil || ok != published || len(again) != len(files) {
			t.Fatalf("again: %q, %t, %v", again, ok, err)
		}
	}
	for m := 1; then == "discard crash"; m++ { // ends Discard, too, before each of its steps
		crashed := w.open(t, target)
		seen := crashAt(crashed, m)
		if err := crashed.Discard(ctx); err == nil || *seen < m {
			break
		} else if !errors.Is(err, errCrash) {
			t.Fatalf("discard, crash %d: %v", m, err)
		}
		if _, err := os.Lstat(s.root); err != nil {
			break // the one step after which Stage would begin anew
		}
	}
	if err := s.Discard(ctx); err != nil {
		t.Fatalf("discard after a crash at step %d: %v", n, err)
	}
	want := w.before
	if published || then == "publish" {
		want = w.after()
	}
	got := readTree(t, target)
	if !maps.Equal(got, want) && !(len(got) == 0 && len(want) == 0) {
		t.Fatalf("discard after a crash at step %d: target holds %v, want %v", n, got, want)
	}
	entries, err := os.ReadDir(filepath.Dir(target))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		published := maps.Equal(want, w.after()) && e.Name() == ".out"+outputsSuffix
		if e.Name() != "out" && !published {
			t.Fatalf("step %d: discard left %s", n, e.Name())
		}
	}
}

// TestNext walks every state that folders can be in and checks that following
// next ends, within the bound, and never loses the old or the new folder.
func TestNext(t *testing.T) {
	for _, m := range []Mode{ModeError, ModeOverwrite, ModeAppend} {
		for _, canSwap := range []bool{true, false} {
			for target := none; target <= other; target++ {
				for nw := none; nw <= other; nw++ {
					for old := none; old <= other; old++ {
						v := view{target, nw, old}
						if target == ours && (nw == ours || old == ours) || nw == ours && old == ours {
							continue // one folder cannot be in two places
						}
						follow(t, m, v, canSwap)
					}
				}
			}
		}
	}
}

func follow(t *testing.T, m Mode, start view, canSwap bool) {
	t.Helper()
	wasOurs := start.target == ours || start.new == ours || start.old == ours
	v := start
	for range publishStepsMax {
		switch next(m, v, canSwap) {
		case stepDone:
			if wasOurs && v.target != ours || v.new != none || v.old != none {
				t.Fatalf("%s %+v swap=%v: done at %+v", m, start, canSwap, v)
			}
			return
		case stepRefuse:
			if m != ModeError || v.target == none || v.target == empty {
				t.Fatalf("%s %+v: refused at %+v", m, start, v)
			}
			return
		case stepMove:
			v.target, v.new = v.new, none
		case stepSwap:
			v.target, v.new = v.new, v.target
		case stepAside:
			if v.old != none {
				t.Fatalf("%s %+v: lost an old folder", m, start)
			}
			v.target, v.old = none, v.target
		case stepMerge:
			if v.target == none || v.target == empty {
				t.Fatalf("%s %+v: old folder removed while nothing took its place", m, start)
			}
			v.old = none
		case stepSetAside:
			if v.old != none {
				t.Fatalf("%s %+v: lost an old folder", m, start)
			}
			v.old, v.new = v.new, none
		case stepFinishOld:
			v.old = none
		case stepPutBack:
			if v.new != none {
				return // the rename fails with ENOTEMPTY; only a third party can cause it
			}
			v.new, v.old = v.old, none
		}
	}
	t.Fatalf("%s %+v swap=%v: no end", m, start, canSwap)
}

// TestAppendKeepsOthers: files that others add while an append is under way are
// there afterwards, whichever step they come at.
func TestAppendKeepsOthers(t *testing.T) {
	for _, w := range worlds() {
		if w.mode != ModeAppend || w.before == nil {
			continue
		}
		t.Run(w.String(), func(t *testing.T) {
			steps := 100
			for n := 1; n <= steps; n++ {
				target, s := w.setUp(t)
				late := tree{"late.parquet": "late", "year=2025/late.parquet": "late too"}
				seen := 0
				s.step = func(string) error {
					if seen++; seen == n {
						writeTree(t, target, late)
						writeTree(t, target, tree{"a-1.parquet": "changed a"})
					}
					return nil
				}
				if err := s.Publish(context.Background(), names(newFiles)); err != nil {
					t.Fatal(err)
				}
				want := union(w.after(), late)
				want["a-1.parquet"] = "changed a"
				if n <= seen { // else the others never came
					wantTree(t, fmt.Sprint("others at step ", n), target, want)
				}
				steps = seen
			}
		})
	}
}

// TestConcurrentPublish: twins that publish one job, and appenders of several,
// end with every file there once.
func TestConcurrentPublish(t *testing.T) {
	for _, swap := range []bool{true, false} {
		t.Run(fmt.Sprint("swap=", swap), func(t *testing.T) {
			target := filepath.Join(t.TempDir(), "out")
			writeTree(t, target, oldFiles)
			want := maps.Clone(oldFiles)
			var wg sync.WaitGroup
			for job := range 4 {
				for range 2 {
					s := stage(t, target, fmt.Sprint("job", job), ModeAppend)
					if !swap {
						s.swap = noSwap
					}
					files := tree{fmt.Sprintf("f-%d", job): fmt.Sprint(job), fmt.Sprintf("d/g-%d", job): fmt.Sprint(job)}
					writeTree(t, s.File("a"), files)
					maps.Copy(want, files)
					wg.Go(func() {
						if err := s.Publish(context.Background(), names(files)); err != nil {
							t.Error(err)
						}
					})
				}
			}
			wg.Wait()
			wantTree(t, "all", target, want)
		})
	}
}

// TestTwinSwap: a twin without our lock swaps back what we have just swapped;
// the publish still ends with the new folder and removes nothing of it.
func TestTwinSwap(t *testing.T) {
	for _, canSwap := range []bool{true, false} {
		w := world{mode: ModeOverwrite, before: oldFiles, swap: canSwap, link: true}
		target, s := w.setUp(t)
		twins := 0
		s.step = func(name string) error {
			if (name == "set aside" || name == "finish") && twins < 2 {
				twins++
				if canSwap && name == "set aside" {
					return exchange(s.path("new"), s.target)
				}
				os.RemoveAll(s.path("old")) // as a twin that had got so far
				return os.Rename(s.target, s.path("old"))
			}
			return nil
		}
		if err := s.Publish(context.Background(), names(newFiles)); err != nil {
			t.Fatal(err)
		}
		if twins == 0 || canSwap && twins != 2 {
			t.Fatalf("twin came %d times", twins)
		}
		wantTree(t, "twin", target, newFiles)
	}
}
