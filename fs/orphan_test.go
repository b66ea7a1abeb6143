package fs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestClear: what nobody works on goes, whatever state a death left it in; what
// somebody works on stays.
func TestClear(t *testing.T) {
	ctx := context.Background()
	for _, w := range worlds() {
		for _, at := range []string{"nothing", "make new", "seal", "prune", "swap", "aside", "move new", "remove old", "discard", "remove"} {
			t.Run(w.String()+"/"+at, func(t *testing.T) {
				target, s := w.setUp(t)
				s.step = func(name string) error {
					if name == at {
						return errCrash
					}
					return nil
				}
				var err error
				if at != "nothing" {
					if err = s.Publish(ctx, names(newFiles)); err == nil {
						err = s.Discard(ctx)
					}
					if err != nil && !errors.Is(err, errCrash) {
						t.Fatal(err)
					}
				}
				if err != nil && s.owner.Load() != nil || at == "nothing" {
					if cleared, err := Clear(ctx, target, "job1"); cleared || err != nil {
						t.Fatalf("cleared under its owner: %t, %v", cleared, err)
					}
				}
				s.Release() // as the death of the process does
				if jobs, err := Staged(target); err != nil || err == nil && len(jobs) > 1 || len(jobs) == 1 && jobs[0] != "job1" {
					t.Fatalf("staged: %q, %v", jobs, err)
				}
				for range 2 {
					if cleared, err := Clear(ctx, target, "job1"); !cleared || err != nil {
						t.Fatalf("cleared: %t, %v", cleared, err)
					}
				}
				left, err := os.ReadDir(filepath.Dir(target))
				if err != nil && !errors.Is(err, os.ErrNotExist) {
					t.Fatal(err)
				}
				for _, e := range left {
					if e.Name() != "out" && !(e.Name() == ".out"+outputsSuffix && mapsEqual(readTree(t, target), w.after())) {
						t.Errorf("%s is left", e.Name())
					}
				}
				if got := readTree(t, target); !mapsEqual(got, w.before) && !mapsEqual(got, w.after()) {
					t.Errorf("the target holds %v", got)
				}
			})
		}
	}
}

func mapsEqual(a, b tree) bool {
	x, y := names(a), names(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// TestClearFile: the same for one file.
func TestClearFile(t *testing.T) {
	ctx := context.Background()
	target := filepath.Join(t.TempDir(), "x.csv")
	f, err := StageFile(ctx, target, "j", ModeOverwrite)
	if err != nil {
		t.Fatal(err)
	}
	twin, err := StageFile(ctx, target, "j", ModeOverwrite)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(f.Dir(), "1.csv"), "one")
	f.Release()
	if cleared, err := Clear(ctx, target, "j"); cleared || err != nil {
		t.Fatalf("cleared under a twin: %t, %v", cleared, err)
	}
	twin.Release()
	if jobs, err := Staged(target); err != nil || !slices.Equal(jobs, []string{"j"}) {
		t.Fatalf("staged: %q, %v", jobs, err)
	}
	if cleared, err := Clear(ctx, target, "j"); !cleared || err != nil {
		t.Fatalf("cleared: %t, %v", cleared, err)
	}
	wantOnly(t, filepath.Dir(target))
	again, err := StageFile(ctx, target, "j", ModeOverwrite)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Discard(ctx); err != nil {
		t.Fatal(err)
	}
	wantOnly(t, filepath.Dir(target))
}
