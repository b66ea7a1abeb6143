package output_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pondmesh/pond/fs/object"
	"github.com/pondmesh/pond/fs/object/output"
	"github.com/pondmesh/pond/fs/object/s3/s3test"
)

const (
	job   = "0123456789abcdef"
	other = "fedcba9876543210"
)

func place(t *testing.T) object.Stager { return s3test.Open(t, s3test.Handler(t, "bucket")) }

// folder is an output of a job into one folder.
func folder(p object.Stager, job string) output.Output {
	return output.Output{Place: p, Target: "s3://bucket/out", Job: job}
}

// drafted uploads files of an attempt.
func drafted(t *testing.T, o output.Output, names ...string) string {
	t.Helper()
	var files []output.File
	for _, name := range names {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, output.File{Name: name, Path: path})
	}
	name, err := o.Draft(t.Context(), "part-0", files)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// seen are the objects of the bucket but for lists.
func seen(t *testing.T, p object.Stager) (names []string) {
	t.Helper()
	found, err := p.Find(t.Context(), "s3://bucket/**")
	if err != nil && !errors.Is(err, object.ErrNotFound) {
		t.Fatal(err)
	}
	for _, o := range found {
		if name := strings.TrimPrefix(o.Name, "s3://bucket/"); err == nil && !strings.Contains(name, "_pond/") {
			names = append(names, name)
		}
	}
	return names
}

// ends discards an output, and checks what there is then.
func ends(t *testing.T, o output.Output, want ...string) {
	t.Helper()
	if err := o.Discard(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := seen(t, o.Place); !slices.Equal(got, want) {
		t.Errorf("there are %v, want %v", got, want)
	}
	if jobs, err := o.Jobs(t.Context()); err != nil || len(jobs) > 0 {
		t.Errorf("lists are left of %v, %v", jobs, err)
	}
	if left, err := o.Place.Staged(t.Context(), "s3://bucket/out"); err != nil || len(left) > 0 {
		t.Errorf("left: %+v, %v", left, err)
	}
}

// Only what winners have uploaded is seen, and only once it is published.
func TestPublish(t *testing.T) {
	o := folder(place(t), job)
	if err := o.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	a, b := drafted(t, o, "a.csv", "k=1/b.csv"), drafted(t, o, "c.csv")
	drafted(t, o, "loser.csv")
	if got := seen(t, o.Place); len(got) > 0 {
		t.Errorf("before: %v", got)
	}
	if _, ok, err := o.Published(t.Context()); ok || err != nil {
		t.Errorf("published before: %v, %v", ok, err)
	}
	if err := o.Publish(t.Context(), []string{a, b}); err != nil {
		t.Fatal(err)
	}
	names, ok, err := o.Published(t.Context())
	if want := []string{"a.csv", "c.csv", "k=1/b.csv"}; !ok || err != nil || !slices.Equal(names, want) {
		t.Errorf("published %v, %v, %v", names, ok, err)
	}
	all := []string{"out/_SUCCESS", "out/a.csv", "out/c.csv", "out/k=1/b.csv"}
	ends(t, o, all...)
	again := folder(o.Place, other)
	if err := again.Check(t.Context()); !errors.Is(err, object.ErrExists) {
		t.Errorf("a folder that has objects: %v", err)
	}
	again.Append = true
	if err := errors.Join(again.Check(t.Context()), again.Publish(t.Context(), []string{drafted(t, again, "d.csv")})); err != nil {
		t.Fatal(err)
	}
	ends(t, again, slices.Insert(all, 3, "out/d.csv")...)
}

// One object replaces what was there.
func TestSingle(t *testing.T) {
	o := output.Output{Place: place(t), Target: "s3://bucket/out.csv", Single: true, Job: job}
	for _, text := range []string{"first", "second"} {
		if err := errors.Join(o.Check(t.Context()), o.Publish(t.Context(), []string{drafted(t, o, text)})); err != nil {
			t.Fatal(err)
		}
		if names, ok, err := o.Published(t.Context()); !ok || err != nil || !slices.Equal(names, []string{"out.csv"}) {
			t.Errorf("%v, %v, %v", names, ok, err)
		}
		ends(t, o, "out.csv")
		found, err := o.Place.Find(t.Context(), o.Target)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := object.ReadAll(t.Context(), o.Place, found[0], 0, found[0].Size); err != nil || string(got) != text {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// dying is a place to which nothing more comes after some changes. The last may have been
// made, and its answer lost.
type dying struct {
	object.Stager
	left atomic.Int64
	lose bool // the answer alone
}

var errDead = &object.Error{Op: "write", Kind: object.ErrUnavailable}

func (d *dying) change(f func() error) error {
	switch left := d.left.Add(-1); {
	case left > 0:
		return f()
	case left == 0 && d.lose:
		_ = f()
	}
	return errDead
}

func (d *dying) Put(ctx context.Context, name string, r io.Reader, size int64, when object.If) (o object.Object, err error) {
	err = d.change(func() error { o, err = d.Stager.Put(ctx, name, r, size, when); return err })
	return o, err
}

func (d *dying) Show(ctx context.Context, s object.Staged, when object.If) (o object.Object, err error) {
	err = d.change(func() error { o, err = d.Stager.Show(context.WithoutCancel(ctx), s, when); return err })
	return o, err
}

func (d *dying) Delete(ctx context.Context, name string) error {
	return d.change(func() error { return d.Stager.Delete(ctx, name) })
}

func (d *dying) Unstage(ctx context.Context, s object.Staged) error {
	return d.change(func() error { return d.Stager.Unstage(ctx, s) })
}

// A coordinator dies at each change that it makes, before it or after. The next one, for
// which other attempts have run, comes to one output: its own or the first one's. If there
// is no next one nothing is seen in the end, or, if the first one was done, all.
func TestDeaths(t *testing.T) {
	for _, driven := range []bool{true, false} {
		for _, lose := range []bool{false, true} {
			for n := int64(1); died(t, n, lose, driven); n++ {
			}
		}
	}
}

func died(t *testing.T, changes int64, lose, driven bool) bool {
	d := &dying{Stager: place(t), lose: lose}
	d.left.Store(1 << 40)
	o := folder(d, job)
	first := []string{drafted(t, o, "a1.csv", "b1.csv"), drafted(t, o, "c1.csv")}
	d.left.Store(changes)
	err := o.Publish(t.Context(), first)
	published := err == nil
	if published {
		err = o.Discard(t.Context())
	}
	next := folder(d.Stager, job)
	one, two := []string{"out/_SUCCESS", "out/a1.csv", "out/b1.csv", "out/c1.csv"}, []string{"out/_SUCCESS", "out/a2.csv", "out/b2.csv"}
	if !driven {
		next := folder(d.Stager, other) // another job finds it
		jobs, err := next.Jobs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range jobs {
			if err := folder(d.Stager, j).Discard(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if got := seen(t, d.Stager); (published || len(got) > 0) && !slices.Equal(got, one) {
			t.Errorf("after %d changes: %v", changes, got)
		}
		return err != nil
	}
	if err := next.Check(t.Context()); err != nil && !published {
		t.Errorf("after %d changes the next one cannot begin: %v", changes, err)
	}
	_, done, looked := next.Published(t.Context())
	switch {
	case looked != nil:
		t.Errorf("after %d changes: %v", changes, looked)
	case done, published:
		ends(t, next, one...)
	case err != nil:
		if err := next.Publish(t.Context(), []string{drafted(t, next, "a2.csv", "b2.csv")}); err != nil {
			t.Fatalf("after %d changes: %v", changes, err)
		}
		ends(t, next, two...)
	}
	return err != nil
}

// What is there of a decision that nobody finishes is taken back.
func TestTakenBack(t *testing.T) {
	d := &dying{Stager: place(t)}
	d.left.Store(1 << 40)
	o := folder(d, job)
	w := drafted(t, o, "a.csv", "b.csv", "c.csv")
	d.left.Store(3)
	if err := o.Publish(t.Context(), []string{w}); err == nil || len(seen(t, d.Stager)) == 0 {
		t.Fatalf("%v; seen: %v", err, seen(t, d.Stager))
	}
	ends(t, folder(d.Stager, job))
}

// What was uploaded and is gone is to be made again, and nothing is seen of the rest.
func TestGone(t *testing.T) {
	o := folder(place(t), job)
	a, b := drafted(t, o, "a.csv"), drafted(t, o, "b.csv")
	if err := o.Place.Delete(t.Context(), o.Target+"/_pond/"+job+"/"+b); err != nil {
		t.Fatal(err)
	}
	gone, ok := errors.AsType[*output.GoneError](o.Publish(t.Context(), []string{a, b}))
	if !ok || !slices.Equal(gone.Drafts, []string{b}) {
		t.Errorf("%+v", gone)
	}
	c := drafted(t, o, "c.csv")
	staged, err := o.Place.Staged(t.Context(), "s3://bucket/out/c.csv")
	if err != nil || len(staged) != 1 {
		t.Fatal(staged, err)
	}
	if err := o.Place.Unstage(t.Context(), staged[0]); err != nil {
		t.Fatal(err)
	}
	if gone, ok = errors.AsType[*output.GoneError](o.Publish(t.Context(), []string{a, c})); !ok || len(gone.Drafts) > 0 || len(seen(t, o.Place)) > 0 {
		t.Errorf("%+v; seen: %v", gone, seen(t, o.Place))
	}
	if err := o.Publish(t.Context(), []string{drafted(t, o, "d.csv")}); err != nil {
		t.Fatal(err)
	}
	if err := o.Place.Unstage(t.Context(), object.Staged{Name: "s3://bucket/out/b.csv"}); err != nil {
		t.Fatal(err)
	}
	left, err := o.Place.Staged(t.Context(), "s3://bucket/out/b.csv") // whose list was deleted
	if err != nil || len(left) != 1 {
		t.Fatal(left, err)
	}
	if err := o.Place.Unstage(t.Context(), left[0]); err != nil {
		t.Fatal(err)
	}
	ends(t, o, "out/_SUCCESS", "out/d.csv")
}

// What an attempt that was killed had begun goes with its job, by its name.
func TestBegun(t *testing.T) {
	o := folder(place(t), job)
	for _, name := range []string{"part-00000-01234567-0.csv", "k=1/part-00001-01234567-2.csv", "part-00000-fedcba98-0.csv"} {
		if _, err := o.Place.Stage(t.Context(), o.Target+"/"+name, strings.NewReader("x"), 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.Discard(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, err := o.Place.Staged(t.Context(), o.Target); err != nil || len(left) != 1 || !strings.Contains(left[0].Name, "fedcba98") {
		t.Errorf("%+v, %v", left, err)
	}
}

// Of two jobs that want a folder for themselves, one at most has it, and all of it.
func TestTwoJobs(t *testing.T) {
	for range 10 {
		p := place(t)
		var group sync.WaitGroup
		outs := []output.Output{folder(p, job), folder(p, other)}
		errs := make([]error, 2)
		for i, name := range []string{"a", "b"} {
			d := drafted(t, outs[i], name+"1.csv", name+"2.csv")
			group.Go(func() { errs[i] = outs[i].Publish(t.Context(), []string{d}) })
		}
		group.Wait()
		var want []string
		switch {
		case errs[0] == nil && errs[1] == nil:
			t.Error("both have it")
		case errs[0] == nil:
			want = []string{"out/_SUCCESS", "out/a1.csv", "out/a2.csv"}
		case errs[1] == nil:
			want = []string{"out/_SUCCESS", "out/b1.csv", "out/b2.csv"}
		}
		for _, err := range errs {
			if err != nil && !errors.Is(err, object.ErrExists) {
				t.Error(err)
			}
		}
		if err := outs[0].Discard(t.Context()); err != nil {
			t.Error(err)
		}
		ends(t, outs[1], want...)
	}
}

// Of published and withdrawn one stays so: whoever comes late finds it.
func TestWithdraw(t *testing.T) {
	o := folder(place(t), job)
	draft := drafted(t, o, "a.csv")
	if names, ok, err := o.Withdraw(t.Context()); ok || err != nil {
		t.Fatalf("withdrawn: %v, %v, %v", names, ok, err)
	}
	ends(t, o)
	if err := o.Publish(t.Context(), []string{draft}); err == nil {
		t.Error("what was withdrawn is published")
	}
	ends(t, o)
	draft = drafted(t, o, "b.csv")
	crash := o
	crash.Place = broken{o.Place, "/_pond/"} // after the decision
	if _, ok, err := crash.Withdraw(t.Context()); ok || !errors.Is(err, errBroken) {
		t.Fatalf("a withdrawal that breaks off: %v, %v", ok, err)
	}
	if err := o.Publish(t.Context(), []string{draft}); !errors.Is(err, output.ErrWithdrawn) {
		t.Errorf("published after a withdrawal that broke off: %v", err)
	}
	if names, ok, err := o.Withdraw(t.Context()); ok || err != nil {
		t.Fatalf("withdrawn again: %v, %v, %v", names, ok, err)
	}
	ends(t, o)
	if err := o.Publish(t.Context(), []string{drafted(t, o, "c.csv")}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if names, ok, err := o.Withdraw(t.Context()); !ok || err != nil || !slices.Equal(names, []string{"c.csv"}) {
			t.Errorf("published before: %v, %v, %v", names, ok, err)
		}
	}
	ends(t, o, "out/_SUCCESS", "out/c.csv")
}

var errBroken = errors.New("broken")

// broken is a place that lists nothing of which the pattern has a part.
type broken struct {
	object.Stager
	part string
}

func (b broken) Find(ctx context.Context, pattern string) ([]object.Object, error) {
	if strings.Contains(pattern, b.part) {
		return nil, errBroken
	}
	return b.Stager.Find(ctx, pattern)
}
