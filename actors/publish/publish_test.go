package publish

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pondmesh/pond/actors/access"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/sched"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/dataset"
)

const job = "0123456789abcdef0123456789abcdef"

// outputs are those of a node in whose pond these jobs live.
func outputs(t *testing.T, live ...plan.JobID) *Outputs {
	t.Helper()
	rules, err := access.New(access.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return &Outputs{Rules: rules, Dir: filepath.Join(t.TempDir(), "staged"), Log: slog.New(slog.DiscardHandler), Live: func(context.Context) (map[plan.JobID]bool, error) {
		m := map[plan.JobID]bool{}
		for _, id := range live {
			m[id] = true
		}
		return m, nil
	}}
}

func open(t *testing.T, o *Outputs, id plan.JobID, w *plan.Write) *Output {
	t.Helper()
	out, err := o.Open(t.Context(), id, dataset.Writer{}, w)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(out.Release)
	return out
}

// attempt stages a file, as an attempt of the task does.
func attempt(t *testing.T, out *Output, name string, task int) sched.Winner {
	t.Helper()
	const text = "rows"
	if err := os.Mkdir(filepath.Join(out.Dir(), name), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(name, "part-"+name+".csv")
	if err := os.WriteFile(filepath.Join(out.Dir(), file), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := fs.WriteManifest(out.Dir(), name, []string{file}); err != nil {
		t.Fatal(err)
	}
	return sched.Winner{Attempt: plan.AttemptID{Task: plan.TaskID{Stage: "s", Partition: task}}, Output: sched.Output{Manifest: name, Bytes: int64(len(text))}}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// TestPublish: only the winners' files appear, and nothing else stays.
func TestPublish(t *testing.T) {
	o, parent := outputs(t), t.TempDir()
	out := open(t, o, job, &plan.Write{Path: filepath.Join(parent, "out")})
	winners := []sched.Winner{attempt(t, out, "a", 0), attempt(t, out, "b", 1)}
	attempt(t, out, "loser", 1)
	files, err := out.Publish(t.Context(), winners)
	if want := []string{"part-a.csv", "part-b.csv"}; err != nil || !slices.Equal(files, want) || !slices.Equal(names(t, filepath.Join(parent, "out")), want) {
		t.Fatalf("%v, %v; in the folder: %v", files, err, names(t, filepath.Join(parent, "out")))
	}
	if noted := names(t, o.Dir); len(noted) != 1 {
		t.Errorf("notes before the end: %v", noted)
	}
	if err := out.Discard(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := slices.Concat(names(t, parent), names(t, o.Dir)); !slices.Equal(left, []string{".out.pond_files", "out"}) { // the list says what an overwrite may remove
		t.Errorf("left: %v", left)
	}
	foreign := filepath.Join(parent, "out", "thesis.txt")
	if err := os.WriteFile(foreign, []byte("years of work"), 0o600); err != nil {
		t.Fatal(err)
	}
	over := &plan.Write{Path: filepath.Join(parent, "out"), Mode: plan.WriteOverwrite}
	if _, err := o.Open(t.Context(), job, dataset.Writer{}, over); plan.KindOf(err) != plan.KindExists || !strings.Contains(err.Error(), "thesis.txt") || !strings.Contains(plan.AsError(err).Hint, "FORCE") {
		t.Errorf("over somebody else's file: %v", err)
	}
	over.Force = true
	out = open(t, o, job, over)
	if _, err := out.Publish(t.Context(), []sched.Winner{attempt(t, out, "c", 0)}); err != nil {
		t.Fatal(err)
	}
	if err := out.Discard(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := names(t, filepath.Join(parent, "out")); !slices.Equal(got, []string{"part-c.csv"}) {
		t.Errorf("by force: %v", got)
	}
}

func TestPublishSingle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.csv")
	out := open(t, outputs(t), job, &plan.Write{Path: path, Single: true})
	files, err := out.Publish(t.Context(), []sched.Winner{attempt(t, out, "a", 0)})
	if b, _ := os.ReadFile(path); err != nil || !slices.Equal(files, []string{"out.csv"}) || string(b) != "rows" {
		t.Errorf("%v, %v, %q", files, err, b)
	}
}

// TestNoFiles: a job whose rows stay where they are has no output.
func TestNoFiles(t *testing.T) {
	out, err := outputs(t).Open(t.Context(), job, dataset.Writer{}, nil)
	if out != nil || err != nil || out.Dir() != "" || out.Discard(t.Context()) != nil {
		t.Errorf("%v, %v", out, err)
	}
	out.Release()
}

// TestLost: what is gone or damaged among the staged names its task, whose producer
// is to run again.
func TestLost(t *testing.T) {
	for name, harm := range map[string]func(dir string) error{
		"manifest gone":    func(dir string) error { return os.Remove(filepath.Join(dir, "b.manifest")) },
		"manifest damaged": func(dir string) error { return os.WriteFile(filepath.Join(dir, "b.manifest"), []byte("["), 0o644) },
		"file gone":        func(dir string) error { return os.Remove(filepath.Join(dir, "b", "part-b.csv")) },
		"file cut short":   func(dir string) error { return os.Truncate(filepath.Join(dir, "b", "part-b.csv"), 1) },
	} {
		out := open(t, outputs(t), job, &plan.Write{Path: filepath.Join(t.TempDir(), "out")})
		winners := []sched.Winner{attempt(t, out, "a", 0), attempt(t, out, "b", 1)}
		if err := harm(out.Dir()); err != nil {
			t.Fatal(err)
		}
		_, err := out.Publish(t.Context(), winners)
		pe := (*plan.Error)(nil)
		if !errors.As(err, &pe) || pe.Kind != plan.KindFetch || len(pe.Lost) != 1 || pe.Lost[0] != winners[1].Attempt.Task {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRefused: a target that cannot be written is told before anything runs, and
// leaves no note.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		w    plan.Write
		kind plan.Kind
	}{
		{plan.Write{Path: file, Single: true}, plan.KindExists},
		{plan.Write{Path: file}, plan.KindUser},
		{plan.Write{Path: dir, Single: true, Mode: plan.WriteOverwrite}, plan.KindUser},
		{plan.Write{Path: filepath.Join(file, "below", "out")}, plan.KindUser},
	} {
		o := outputs(t)
		_, err := o.Open(t.Context(), job, dataset.Writer{}, &test.w)
		if plan.KindOf(err) != test.kind || plan.AsError(err).Hint == "" || len(names(t, o.Dir)) > 0 {
			t.Errorf("%+v: %v, notes %v", test.w, err, names(t, o.Dir))
		}
	}
}

// TestTakenOver: what a node that died noted of a job that others go on with goes when
// that job has ended, without another start.
func TestTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := outputs(t)
		open(t, o, job, &plan.Write{Path: filepath.Join(t.TempDir(), "out")}).Release()
		asked := 0
		o.Live = func(context.Context) (map[plan.JobID]bool, error) {
			asked++
			return map[plan.JobID]bool{job: asked < 4}, nil
		}
		once, end := context.WithTimeout(t.Context(), time.Minute)
		defer end()
		o.ClearNoted(once)
		if noted := names(t, o.Dir); asked != 4 || len(noted) > 0 {
			t.Errorf("asked %d times, notes: %v", asked, noted)
		}
	})
}

// TestFenced: what a node that lives staged for a job goes when the job, which others
// drive now, has ended; not while this node works on it, or waits for its end to be known.
func TestFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := outputs(t)
		go o.ClearNoted(t.Context())
		write := &plan.Write{Path: filepath.Join(t.TempDir(), "out")}
		noted := func() int {
			time.Sleep(time.Minute)
			synctest.Wait()
			return len(names(t, o.Dir))
		}
		first := open(t, o, job, write)
		if noted() != 1 {
			t.Error("it is gone while it is worked on")
		}
		first.Yield()
		if noted() != 1 {
			t.Error("it is gone before its end is known")
		}
		second := open(t, o, job, write) // driven again, before the first is given up
		first.Release()
		first.Release()
		if noted() != 1 {
			t.Error("it is gone while it is worked on in another term")
		}
		second.Release()
		if noted() != 0 {
			t.Error("it is left")
		}
	})
}

// TestClear: what a dead coordinator staged goes at its node's next start, and when
// another job writes there; what a live one stages stays.
func TestClear(t *testing.T) { synctest.Test(t, clearUp) }

func clearUp(t *testing.T) {
	dead, live, held := plan.JobID("d"+job[1:]), plan.JobID("1"+job[1:]), plan.JobID("2"+job[1:])
	stage := func(o *Outputs) (parent string) {
		parent = t.TempDir()
		for _, id := range []plan.JobID{dead, live} {
			open(t, o, id, &plan.Write{Path: filepath.Join(parent, "out")}).Release()
		}
		open(t, o, held, &plan.Write{Path: filepath.Join(parent, "out")})
		return parent
	}
	check := func(when, parent string) {
		t.Helper()
		if left := names(t, parent); len(left) != 2 || strings.Contains(strings.Join(left, " "), string(dead)) {
			t.Errorf("%s: left %v", when, left)
		}
	}
	o := outputs(t, live)
	parent := stage(o)
	once, end := context.WithTimeout(t.Context(), time.Minute)
	defer end()
	o.ClearNoted(once) // which looks at those that live again
	check("at the next start", parent)
	if noted := names(t, o.Dir); len(noted) != 2 {
		t.Errorf("notes: %v", noted)
	}
	parent = stage(o)
	o.ClearBeside(t.Context(), "another", &plan.Write{Path: filepath.Join(parent, "out")})
	check("when another job writes there", parent)

	parent = stage(o)
	o.Live = func(context.Context) (map[plan.JobID]bool, error) { return nil, plan.ErrUnavailable }
	o.ClearNoted(once)
	if left := names(t, parent); len(left) != 3 {
		t.Errorf("not every node answers, but only %v is left", left)
	}
}
