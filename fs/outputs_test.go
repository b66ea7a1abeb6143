package fs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// publishTo publishes files to a target, whose staging folder it discards.
func publishTo(t *testing.T, target, job string, mode Mode, files tree) error {
	t.Helper()
	s, err := Stage(t.Context(), target, job, mode)
	if err != nil {
		return err
	}
	writeTree(t, s.File("a"), files)
	err = s.Publish(t.Context(), names(files))
	if e := s.Discard(context.WithoutCancel(t.Context())); e != nil {
		t.Error(e)
	}
	return err
}

// TestForeign: what somebody else put into a target, or changed there, is not removed
// without being asked for.
func TestForeign(t *testing.T) {
	first, second := tree{"part-00000-aaaaaaaa-1.parquet": "1", "k=1/data_0.parquet": "1"}, tree{"part-00000-bbbbbbbb-1.parquet": "2", "k=1/part-00001-bbbbbbbb-1.parquet": "2"}
	put := func(name, content string) func(string) error {
		return func(target string) error {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(target, name)), 0o777); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(target, name), []byte(content), 0o666)
		}
	}
	for name, c := range map[string]struct {
		change           func(target string) error
		overwrite, force bool // by ModeReplaceOwn it is left alone
	}{
		"nothing":          {func(string) error { return nil }, true, true},
		"one that is gone": {func(target string) error { return os.Remove(target + "/part-00000-aaaaaaaa-1.parquet") }, true, true},
		"an empty folder":  {func(target string) error { return os.Mkdir(target+"/empty", 0o777) }, true, true},
		"a file":           {put("thesis.txt", "years of work"), false, true},
		"one deep below":   {put("a/b/c/thesis.txt", "years of work"), false, true},
		"a hidden one":     {put(".thesis", "years of work"), false, true},
		"a changed one":    {put("part-00000-aaaaaaaa-1.parquet", "years of work"), false, false},
		"a generated name": {put("data_7.parquet", "DuckDB's own"), false, false},
		"a link":           {func(target string) error { return os.Symlink("/etc/passwd", target+"/link") }, false, true},
		"a lost list": {func(target string) error {
			return os.Remove(filepath.Join(filepath.Dir(target), "."+filepath.Base(target)+outputsSuffix))
		}, false, false},
	} {
		for mode, ok := range map[Mode]bool{ModeOverwriteOwn: c.overwrite, ModeReplaceOwn: c.force, ModeOverwrite: true, ModeReplace: true, ModeAppend: true} {
			target := filepath.Join(t.TempDir(), "out")
			if err := publishTo(t, target, "first", ModeError, first); err != nil {
				t.Fatal(err)
			}
			if err := c.change(target); err != nil {
				t.Fatal(err)
			}
			before := readTree(t, target)
			err := publishTo(t, target, "second", mode, second)
			var foreign *ForeignError
			switch {
			case ok && err != nil:
				t.Errorf("%s, %s: %v", name, mode, err)
			case ok && mode == ModeOverwriteOwn:
				wantTree(t, name, target, second)
			case !ok && (!errors.As(err, &foreign) || !errors.Is(err, ErrExists) || len(foreign.Names) == 0 || foreign.Count < len(foreign.Names)):
				t.Errorf("%s, %s: %v", name, mode, err)
			case !ok:
				wantTree(t, name, target, before)
			}
			if err := publishTo(t, target, "third", ModeOverwrite, first); err != nil {
				t.Errorf("%s, %s: by force: %v", name, mode, err)
			}
			if err := publishTo(t, target, "fourth", ModeOverwriteOwn, second); err != nil {
				t.Errorf("%s, %s: over what was forced: %v", name, mode, err)
			}
			wantTree(t, name, target, second)
		}
	}
}

// TestForeignLate: a file that comes while a publish replaces the folder is brought
// over, or the publish fails; it is never lost.
func TestForeignLate(t *testing.T) {
	for _, swap := range []bool{true, false} {
		for n := 1; ; n++ {
			target := filepath.Join(t.TempDir(), "out")
			if err := publishTo(t, target, "first", ModeError, oldFiles); err != nil {
				t.Fatal(err)
			}
			s := stage(t, target, "j", ModeOverwriteOwn)
			if !swap {
				s.swap = noSwap
			}
			writeTree(t, s.File("a"), newFiles)
			step, put := 0, false
			s.step = func(string) error {
				if step++; step == n {
					if _, err := os.Stat(target); err == nil { // between two renames there is none
						writeTree(t, target, tree{"late/thesis.txt": "years of work"})
						put = true
					}
				}
				return nil
			}
			err := s.Publish(t.Context(), names(newFiles))
			if step < n {
				break
			}
			got := readTree(t, target)
			if put && got["late/thesis.txt"] == "" {
				t.Errorf("swap %v, step %d: the file is lost: %v, %v", swap, n, got, err)
			}
			if err != nil && !errors.As(err, new(*ForeignError)) || err == nil && got["a-2.parquet"] == "" {
				t.Errorf("swap %v, step %d: %v, %v", swap, n, got, err)
			}
		}
	}
}

func TestForeignNames(t *testing.T) {
	e := &ForeignError{Target: "/out", Names: []string{"a", "b", "c"}, Count: 12}
	if !strings.Contains(e.Error(), "a, b, c and 9 more") {
		t.Error(e)
	}
}
