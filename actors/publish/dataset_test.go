package publish

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/datasets"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/replicas"
	"github.com/pondmesh/pond/actors/sched"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/disks"
	"github.com/pondmesh/pond/fs/register"
	"github.com/pondmesh/pond/fs/register/registertest"
	"github.com/pondmesh/pond/mesh"
)

// withDatasets are outputs of a pond of one node.
func withDatasets(t *testing.T) (*Outputs, *registertest.Memory) {
	t.Helper()
	dir, quiet := t.TempDir(), slog.New(slog.DiscardHandler)
	store, err := fs.Open(t.Context(), filepath.Join(dir, "store"), fs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	all, err := disks.Open(t.Context(), store, nil, fs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	view := &mesh.View{Members: []mesh.Member{{ID: "n", State: mesh.Alive}}}
	copies, err := replicas.Open(replicas.Config{Self: "n", Disks: all, View: func() *mesh.View { return view }, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { copies.Close(); store.Close() })
	r := &registertest.Memory{}
	o := outputs(t)
	o.Datasets = datasets.New(datasets.Config{Registers: r, Uploads: copies, Dir: dir})
	return o, r
}

// drafted is a winner that has uploaded a file.
func drafted(t *testing.T, o *Outputs, path string, task int) sched.Winner {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, path), []byte(path), 0o600); err != nil {
		t.Fatal(err)
	}
	where, err := o.Datasets.PutDraft(t.Context(), collect.Origin{Dataset: "sales", Lease: "j.x"}, dir, datasets.Draft{Columns: []dataset.Column{{Name: "a", Type: "BIGINT"}}, Files: []dataset.File{{Path: path, Rows: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	return sched.Winner{Attempt: plan.AttemptID{Task: plan.TaskID{Stage: "s", Partition: task}}, Output: sched.Output{Manifest: where}}
}

// paths are those of a dataset's files, as it is now.
func paths(t *testing.T, o *Outputs) string {
	t.Helper()
	m, err := o.Datasets.Get(t.Context(), "sales", 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range m.Files {
		out = append(out, f.Path)
	}
	return fmt.Sprintf("%d%v", m.Version, out)
}

// TestDataset: a job publishes what its winners have uploaded, once, also when its
// coordinator dies before it has heard.
func TestDataset(t *testing.T) {
	o, _ := withDatasets(t)
	to := &plan.Write{Path: "pond://sales", Format: plan.Parquet, Mode: plan.WriteAppend}
	out := open(t, o, job, to)
	if _, ok, err := out.Published(t.Context()); ok || err != nil {
		t.Errorf("published before it is: %v", err)
	}
	winners := []sched.Winner{drafted(t, o, "a", 0), drafted(t, o, "b", 1)}
	drafted(t, o, "loser", 1)
	if files, err := out.Publish(t.Context(), winners); err != nil || !slices.Equal(files, []string{"a", "b"}) || paths(t, o) != "1[a b]" {
		t.Fatalf("%v, %v, %s", files, err, paths(t, o))
	}
	successor := open(t, o, job, to)
	for _, out := range []*Output{out, successor} {
		if files, ok, err := out.Published(t.Context()); !ok || err != nil || !slices.Equal(files, []string{"a", "b"}) {
			t.Errorf("published: %v, %t, %v", files, ok, err)
		}
		if files, err := out.Publish(t.Context(), winners[:1]); err != nil || !slices.Equal(files, []string{"a", "b"}) || paths(t, o) != "1[a b]" {
			t.Errorf("again: %v, %v, %s", files, err, paths(t, o))
		}
		if err := out.Discard(t.Context()); err != nil {
			t.Error(err)
		}
	}
	other := open(t, o, plan.JobID("f"+job[1:]), to)
	if _, err := other.Publish(t.Context(), []sched.Winner{drafted(t, o, "c", 0)}); err != nil || paths(t, o) != "2[a b c]" {
		t.Errorf("another job: %v, %s", err, paths(t, o))
	}
	if noted := names(t, o.Dir); len(noted) != 0 {
		t.Errorf("notes: %v", noted)
	}
}

// TestDatasetSuccessor: what was uploaded for a coordinator that died is published by the
// next one; after Discard by nobody.
func TestDatasetSuccessor(t *testing.T) {
	o, _ := withDatasets(t)
	to := &plan.Write{Path: "pond://sales", Format: plan.Parquet}
	winners := []sched.Winner{drafted(t, o, "a", 0)}
	dead := open(t, o, job, to)
	dead.Release()
	out := open(t, o, job, to)
	if _, err := out.Publish(t.Context(), winners); err != nil || paths(t, o) != "1[a]" {
		t.Errorf("%v, %s", err, paths(t, o))
	}
	to.Mode = plan.WriteOverwrite
	failed := open(t, o, plan.JobID("f"+job[1:]), to)
	if err := failed.Discard(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := failed.Publish(t.Context(), winners); plan.KindOf(err) != plan.KindLost || paths(t, o) != "1[a]" {
		t.Errorf("after its end: %v, %s", err, paths(t, o))
	}
}

// TestDatasetLost: drafts that are gone name their tasks.
func TestDatasetLost(t *testing.T) {
	o, r := withDatasets(t)
	out := open(t, o, job, &plan.Write{Path: "pond://sales", Format: plan.Parquet})
	winners := []sched.Winner{drafted(t, o, "a", 0), drafted(t, o, "b", 1)}
	whole := winners[1].Output.Manifest
	winners[1].Output.Manifest = fs.UploadID{1}.String()
	_, err := out.Publish(t.Context(), winners)
	if pe := plan.AsError(err); plan.KindOf(err) != plan.KindFetch || !slices.Equal(pe.Lost, []plan.TaskID{winners[1].Attempt.Task}) {
		t.Errorf("%v, lost %v", err, plan.AsError(err).Lost)
	}
	winners[1].Output.Manifest = whole
	r.Before(func() error { return register.ErrMinority })
	if _, err := out.Publish(t.Context(), winners); plan.KindOf(err) != plan.KindUnavailable {
		t.Errorf("without registers: %v", err)
	}
	r.Before(nil)
	if _, err := out.Publish(t.Context(), winners); err != nil || paths(t, o) != "1[a b]" {
		t.Errorf("%v, %s", err, paths(t, o))
	}
}

// TestDatasetRefused: what cannot be written is told before anything runs.
func TestDatasetRefused(t *testing.T) {
	o, _ := withDatasets(t)
	there := open(t, o, job, &plan.Write{Path: "pond://sales", Format: plan.Parquet})
	if _, err := there.Publish(t.Context(), []sched.Winner{drafted(t, o, "a", 0)}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		w    plan.Write
		kind plan.Kind
	}{
		{plan.Write{Path: "pond://sales", Format: plan.Parquet}, plan.KindExists},
		{plan.Write{Path: "pond://sales", Format: plan.Parquet, Mode: plan.WriteError}, plan.KindExists},
		{plan.Write{Path: "pond://Sales", Format: plan.Parquet}, plan.KindUser},
		{plan.Write{Path: "pond://other/k=1", Format: plan.Parquet}, plan.KindUser},
		{plan.Write{Path: "pond://other/7", Format: plan.Parquet}, plan.KindUser},
		{plan.Write{Path: "pond://other", Format: plan.CSV}, plan.KindUser},
	} {
		_, err := o.Open(t.Context(), plan.JobID("f"+job[1:]), dataset.Writer{}, &test.w)
		if plan.KindOf(err) != test.kind || plan.AsError(err).Hint == "" || !strings.Contains(plan.AsError(err).Subject, "pond://") {
			t.Errorf("%+v: %v", test.w, err)
		}
	}
	if list, err := o.Datasets.List(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("there are %v, %v", list, err)
	}
}

// TestDatasetInsert: rows are added to a dataset that is there, and do not bring back one
// that was dropped meanwhile.
func TestDatasetInsert(t *testing.T) {
	o, _ := withDatasets(t)
	id := func(first string) plan.JobID { return plan.JobID(first + job[1:]) }
	to := &plan.Write{Path: "pond://sales", Format: plan.Parquet, Mode: plan.WriteAppend, Existing: true}
	if _, err := o.Open(t.Context(), job, dataset.Writer{}, to); plan.KindOf(err) != plan.KindNotFound {
		t.Errorf("nothing is there: %v", err)
	}
	made := open(t, o, job, &plan.Write{Path: "pond://sales", Format: plan.Parquet})
	if _, err := made.Publish(t.Context(), []sched.Winner{drafted(t, o, "a", 0)}); err != nil {
		t.Fatal(err)
	}
	first, second := open(t, o, id("e"), to), open(t, o, id("f"), to)
	if _, err := first.Publish(t.Context(), []sched.Winner{drafted(t, o, "b", 0)}); err != nil || paths(t, o) != "2[a b]" {
		t.Errorf("%v, %s", err, paths(t, o))
	}
	if err := o.Datasets.Drop(t.Context(), "sales", dataset.Writer{}); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Publish(t.Context(), []sched.Winner{drafted(t, o, "c", 0)}); plan.KindOf(err) != plan.KindNotFound || plan.AsError(err).Hint == "" {
		t.Errorf("after the drop: %v", err)
	}
	if list, err := o.Datasets.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("there are %v, %v", list, err)
	}
}
