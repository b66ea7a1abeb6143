package fs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func stageFile(t *testing.T, target, job string, mode Mode) *FileStaging {
	t.Helper()
	f, err := StageFile(context.Background(), target, job, mode)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func wantFile(t *testing.T, what, path, text string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if text == "" && errors.Is(err, os.ErrNotExist) {
		return
	}
	if err != nil || string(b) != text {
		t.Fatalf("%s: %s holds %q (%v), want %q", what, path, b, err, text)
	}
}

func TestStageFileRefuses(t *testing.T) {
	dir := t.TempDir()
	file, folder := filepath.Join(dir, "f.csv"), filepath.Join(dir, "folder")
	write(t, file, "old")
	if err := os.Mkdir(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, target string
		mode         Mode
		want         error
	}{
		{"a file is there", file, ModeError, ErrExists},
		{"append", file, ModeAppend, ErrInvalid},
		{"a folder", folder, ModeOverwrite, ErrInvalid},
		{"below a file", filepath.Join(file, "x.csv"), ModeError, ErrNotFolder},
		{"no target", "", ModeError, ErrInvalid},
	} {
		if _, err := StageFile(context.Background(), c.target, "j", c.mode); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
	wantOnly(t, dir, "f.csv", "folder")
}

func TestPublishFile(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	target := filepath.Join(dir, "deep", "out.csv")
	f := stageFile(t, target, "j", ModeError)
	write(t, filepath.Join(f.Dir(), "1.csv"), "one")
	write(t, filepath.Join(f.Dir(), "2.csv"), "two")
	for _, names := range [][]string{nil, {"1.csv", "2.csv"}, {"../stage"}, {""}} {
		if err := f.Publish(ctx, names); !errors.Is(err, ErrInvalid) {
			t.Errorf("publish %q: %v", names, err)
		}
	}
	if err := f.Publish(ctx, []string{"3.csv"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("publish what is not there: %v", err)
	}
	wantFile(t, "nothing published", target, "")
	for range 2 {
		if err := f.Publish(ctx, []string{"1.csv"}); err != nil {
			t.Fatal(err)
		}
		wantFile(t, "published", target, "one")
	}
	// Another node takes over, and knows of another winner.
	again := stageFile(t, target, "j", ModeError)
	if err := again.Publish(ctx, []string{"2.csv"}); err != nil {
		t.Fatal(err)
	}
	wantFile(t, "published twice", target, "one")
	for range 2 {
		if err := again.Discard(ctx); err != nil {
			t.Fatal(err)
		}
	}
	wantOnly(t, filepath.Dir(target), "out.csv")
	if err := again.Publish(ctx, []string{"1.csv"}); !errors.Is(err, ErrNotStaged) {
		t.Fatalf("publish after discard: %v", err)
	}

	over := stageFile(t, target, "k", ModeOverwrite)
	write(t, filepath.Join(over.Dir(), "1.csv"), "new")
	if err := over.Publish(ctx, []string{"1.csv"}); err != nil {
		t.Fatal(err)
	}
	wantFile(t, "overwritten", target, "new")
	if err := over.Discard(ctx); err != nil {
		t.Fatal(err)
	}
	wantOnly(t, filepath.Dir(target), "out.csv")
}

// A file that appears after staging is not overwritten with ModeError.
func TestPublishFileMeetsAnother(t *testing.T) {
	ctx := context.Background()
	target := filepath.Join(t.TempDir(), "out.csv")
	f := stageFile(t, target, "j", ModeError)
	write(t, filepath.Join(f.Dir(), "1.csv"), "ours")
	write(t, target, "theirs")
	if err := f.Publish(ctx, []string{"1.csv"}); !errors.Is(err, ErrExists) {
		t.Fatalf("publish over another's file: %v", err)
	}
	wantFile(t, "theirs", target, "theirs")
	if err := f.Discard(ctx); err != nil {
		t.Fatal(err)
	}
	wantOnly(t, filepath.Dir(target), "out.csv")
}

// A crash before any step leaves what a repeated Publish completes.
func TestPublishFileCrashes(t *testing.T) {
	ctx := context.Background()
	boom := errors.New("crash")
	for _, mode := range []Mode{ModeError, ModeOverwrite} {
		for _, links := range []bool{true, false} {
			for _, at := range []string{"seal", "link", "unlink", "rename"} {
				target := filepath.Join(t.TempDir(), "out.csv")
				if mode == ModeOverwrite {
					write(t, target, "old")
				}
				f := stageFile(t, target, "j", mode)
				write(t, filepath.Join(f.Dir(), "1.csv"), "new")
				if !links {
					f.s.link = func(string, string) error { return errors.ErrUnsupported }
				}
				crashed := false
				f.s.step = func(name string) error {
					if name == at {
						crashed = true
						return boom
					}
					return nil
				}
				err := f.Publish(ctx, []string{"1.csv"})
				if crashed != (err != nil) || err != nil && !errors.Is(err, boom) {
					t.Fatalf("%s, crash before %s: %v", mode, at, err)
				}
				g := stageFile(t, target, "j", mode)
				if err := g.Publish(ctx, []string{"1.csv"}); err != nil {
					t.Fatalf("%s, publish again after a crash before %s: %v", mode, at, err)
				}
				wantFile(t, string(mode)+" after "+at, target, "new")
				if err := g.Discard(ctx); err != nil {
					t.Fatal(err)
				}
				wantOnly(t, filepath.Dir(target), "out.csv")
			}
		}
	}
}

// TestWithdrawFile: whoever withdraws after a crash finds the file published, or keeps
// everybody from publishing it.
func TestWithdrawFile(t *testing.T) {
	ctx := context.Background()
	boom := errors.New("crash")
	for _, mode := range []Mode{ModeError, ModeOverwrite} {
		for at, published := range map[string]bool{"seal": false, "link": false, "unlink": true, "rename": false, "": true} {
			if mode == ModeOverwrite && at == "unlink" {
				continue // there is no such step
			}
			target := filepath.Join(t.TempDir(), "out.csv")
			f := stageFile(t, target, "j", mode)
			write(t, filepath.Join(f.Dir(), "1.csv"), "new")
			f.s.step = func(name string) error {
				if name == at {
					return boom
				}
				return nil
			}
			if mode == ModeOverwrite && at == "link" || mode == ModeError && at == "rename" {
				published = true // nor are these
			}
			if err := f.Publish(ctx, []string{"1.csv"}); err != nil && !errors.Is(err, boom) {
				t.Fatal(err)
			}
			g := stageFile(t, target, "j", mode)
			for range 2 {
				files, ok, err := g.Withdraw(ctx)
				if err != nil || ok != published || ok != (len(files) == 1) {
					t.Errorf("%s, after a crash before %q: %q, %t, %v", mode, at, files, ok, err)
				}
			}
			err := g.Publish(ctx, []string{"1.csv"})
			if published && err != nil || !published && !errors.Is(err, ErrNotStaged) {
				t.Errorf("%s, after a crash before %q, published late: %v", mode, at, err)
			}
			if err := g.Discard(ctx); err != nil {
				t.Fatal(err)
			}
			if published {
				wantFile(t, string(mode)+" after "+at, target, "new")
				wantOnly(t, filepath.Dir(target), "out.csv")
			} else {
				wantOnly(t, filepath.Dir(target))
			}
		}
	}
}
