package publish

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/access"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/sched"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/object"
	"github.com/pondmesh/pond/fs/object/output"
	"github.com/pondmesh/pond/fs/object/s3/s3test"
)

// store is a server of S3 in this process, as the place of all names.
type store struct{ object.Stager }

func (s store) Store(string) (object.Stager, error) { return s.Stager, nil }

func withStore(t *testing.T, live ...plan.JobID) *Outputs {
	t.Helper()
	o := outputs(t, live...)
	o.Stores = store{s3test.Open(t, s3test.Handler(t, "bucket"))}
	return o
}

// uploaded is a winner that has uploaded a file.
func uploaded(t *testing.T, o *Outputs, job plan.JobID, name string, task int) sched.Winner {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("rows"), 0o600); err != nil {
		t.Fatal(err)
	}
	place, _ := o.Stores.Store("")
	list, err := output.Output{Place: place, Target: "s3://bucket/out", Job: string(job)}.Draft(t.Context(), "part", []output.File{{Name: name, Path: path}})
	if err != nil {
		t.Fatal(err)
	}
	return sched.Winner{Attempt: plan.AttemptID{Task: plan.TaskID{Stage: "s", Partition: task}}, Output: sched.Output{Manifest: list}}
}

// stored are all objects of the bucket.
func stored(t *testing.T, o *Outputs) (names []string) {
	t.Helper()
	place, _ := o.Stores.Store("")
	found, err := place.Find(t.Context(), "s3://bucket/**")
	for _, f := range found {
		names = append(names, strings.TrimPrefix(f.Name, "s3://bucket/"))
	}
	if err != nil && !errors.Is(err, object.ErrNotFound) {
		t.Fatal(err)
	}
	return names
}

func TestPublishToStore(t *testing.T) {
	o := withStore(t)
	out := open(t, o, job, &plan.Write{Path: "s3://bucket/out"})
	winners := []sched.Winner{uploaded(t, o, job, "a.csv", 0), uploaded(t, o, job, "b.csv", 1)}
	uploaded(t, o, job, "loser.csv", 1)
	files, err := out.Publish(t.Context(), winners)
	if err != nil || !slices.Equal(files, []string{"a.csv", "b.csv"}) {
		t.Fatalf("%v, %v", files, err)
	}
	if err := out.Discard(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, noted := stored(t, o), names(t, o.Dir); !slices.Equal(got, []string{"out/_SUCCESS", "out/a.csv", "out/b.csv"}) || len(noted) > 0 {
		t.Errorf("there are %v, notes %v", got, noted)
	}
	if _, err := o.Open(t.Context(), job, dataset.Writer{}, &plan.Write{Path: "s3://bucket/out"}); plan.KindOf(err) != plan.KindExists || plan.AsError(err).Hint == "" {
		t.Errorf("again: %v", err)
	}
	if _, err := o.Open(t.Context(), job, dataset.Writer{}, &plan.Write{Path: "s3://nowhere/out"}); plan.KindOf(err) != plan.KindNotFound {
		t.Errorf("no such bucket: %v", err)
	}
	if _, err := o.Open(t.Context(), job, dataset.Writer{}, &plan.Write{Path: "s3://nowhere/out.csv", Single: true}); plan.KindOf(err) != plan.KindNotFound {
		t.Errorf("no such bucket, of one object: %v", err)
	}
	rules, err := access.New(access.Config{Write: []string{"s3://bucket/in"}})
	if err != nil {
		t.Fatal(err)
	}
	o.Rules = rules
	if _, err := o.Open(t.Context(), job, dataset.Writer{}, &plan.Write{Path: "s3://bucket/out2"}); plan.KindOf(err) != plan.KindDenied {
		t.Errorf("outside of the roots: %v", err)
	}
}

// What is gone of the uploads names its task, whose producer is to run again.
func TestLostUploads(t *testing.T) {
	o := withStore(t)
	out := open(t, o, job, &plan.Write{Path: "s3://bucket/out"})
	winners := []sched.Winner{uploaded(t, o, job, "a.csv", 0), uploaded(t, o, job, "b.csv", 1)}
	place, _ := o.Stores.Store("")
	if err := place.Delete(t.Context(), "s3://bucket/out/_pond/"+job+"/"+winners[1].Output.Manifest); err != nil {
		t.Fatal(err)
	}
	_, err := out.Publish(t.Context(), winners)
	if pe := plan.AsError(err); pe.Kind != plan.KindFetch || len(pe.Lost) != 1 || pe.Lost[0] != winners[1].Attempt.Task {
		t.Errorf("%v", err)
	}
}

// What a dead coordinator's job has uploaded goes when another job writes there, and at its
// node's next start; that of a live one stays.
func TestClearStore(t *testing.T) {
	dead, live := plan.JobID("d"+job[1:]), plan.JobID("1"+job[1:])
	for _, when := range []string{"beside", "noted"} {
		o := withStore(t, live)
		for _, id := range []plan.JobID{dead, live} {
			uploaded(t, o, id, "part-00000-"+string(id[:8])+"-0.csv", 0)
			open(t, o, id, &plan.Write{Path: "s3://bucket/out"}).Release()
		}
		if when == "beside" {
			o.ClearBeside(t.Context(), "another", &plan.Write{Path: "s3://bucket/out"})
		} else {
			once, end := context.WithCancel(t.Context())
			o.clear(once, o.orphans(map[plan.JobID]bool{}), map[plan.JobID]bool{})
			end()
		}
		place, _ := o.Stores.Store("")
		left, err := place.Staged(t.Context(), "s3://bucket/out/")
		if got := stored(t, o); err != nil || len(left) != 1 || len(got) != 1 || !strings.Contains(got[0], string(live)) {
			t.Errorf("%s: left %v, %+v, %v", when, got, left, err)
		}
	}
}

// TestStoreErrors: what a store says has a kind, and something to do about it.
func TestStoreErrors(t *testing.T) {
	for kind, want := range map[error]plan.Kind{
		object.ErrUnavailable: plan.KindResource, object.ErrChanged: plan.KindResource, object.ErrExists: plan.KindExists, object.ErrDenied: plan.KindDenied, object.ErrReadOnly: plan.KindDenied,
		object.ErrNotFound: plan.KindNotFound, object.ErrNoPlace: plan.KindNotFound, object.ErrName: plan.KindUser, object.ErrPattern: plan.KindUser, object.ErrTooLarge: plan.KindUser,
	} {
		err := outputError(&plan.Write{Path: "s3://bucket/out"}, fmt.Errorf("within: %w", &object.Error{Op: "write", Name: "s3://bucket/out/a", Kind: kind, Detail: "as it says"}))
		if got := plan.AsError(err); got.Kind != want || got.Text != kind.Error()+": as it says" || got.Subject != "s3://bucket/out" || got.Hint == "" {
			t.Errorf("%v is told as %v: %v; %q", kind, got.Kind, got, got.Hint)
		}
	}
}
