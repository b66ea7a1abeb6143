package datasets

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/register"
	"github.com/pondmesh/pond/fs/register/registertest"
)

// drafted uploads one file under a lease, and tells where the draft is.
func drafted(t *testing.T, d *Datasets, name, lease, path string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, path), []byte(path), 0o600); err != nil {
		t.Fatal(err)
	}
	where, err := d.PutDraft(t.Context(), collect.Origin{Dataset: name, Lease: lease}, dir, Draft{Columns: columns, Files: []dataset.File{{Path: path, Rows: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	return where
}

// copies are the uploads that are here.
func copies(t *testing.T, d *Datasets) (ids []fs.UploadID) {
	t.Helper()
	for info, err := range d.c.Uploads.Copies() {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, info.ID)
	}
	return ids
}

// TestCollect: what nothing refers to goes when its time is over, and not before; what a
// version refers to stays.
func TestCollect(t *testing.T) {
	r := &registertest.Memory{}
	d := alone(t, r)
	now := time.Unix(1_000_000, 0)
	d.c.Now = func() time.Time { return now }
	c := d.NewCollector(func(string) bool { return true })
	publish := func(job string, loses bool) {
		t.Helper()
		lease, err := d.Begin(t.Context(), "sales", job, dataset.Writer{}, dataset.ModeOverwrite)
		if err != nil {
			t.Fatal(err)
		}
		where := drafted(t, d, "sales", lease, job+".parquet")
		if loses { // an attempt that is not the winner
			drafted(t, d, "sales", lease, job+"-loser.parquet")
		}
		draft, err := d.Drafts(t.Context(), []string{where})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Publish(t.Context(), Publication{Name: "sales", Job: job, Lease: lease, Mode: dataset.ModeOverwrite, Columns: draft.Columns, Files: draft.Files}); err != nil {
			t.Fatal(err)
		}
	}
	sweep := func(want int, what string) {
		t.Helper()
		if err := c.Sweep(t.Context()); err != nil {
			t.Error(err)
		}
		if got := len(copies(t, d)); got != want {
			t.Errorf("%s: %d uploads, want %d", what, got, want)
		}
	}
	lease, err := d.Begin(t.Context(), "sales", "dead", dataset.Writer{}, dataset.ModeAppend)
	if err != nil {
		t.Fatal(err)
	}
	drafted(t, d, "sales", lease, "dead.parquet")
	publish("j1", true)
	sweep(4, "a lease, and a version without what it was made of") // 2 of the lease, a file and a manifest
	publish("j2", false)
	sweep(6, "a lease and two versions")
	now = now.Add(collect.Kept().Lease + time.Second)
	sweep(4, "the lease is over")
	if _, err := d.Publish(t.Context(), Publication{Name: "sales", Job: "dead", Lease: lease, Mode: dataset.ModeAppend, Columns: columns}); !errors.Is(err, collect.ErrCondemned) {
		t.Errorf("published by a lease that is over: %v", err)
	}
	if got := d.paths(t, "pond://sales/1"); got != "1/j1.parquet" {
		t.Errorf("version 1 has %s", got)
	}
	now = now.Add(collect.Kept().Retention)
	sweep(2, "the retention of version 1 is over")
	if got := d.paths(t, "pond://sales"); got != "2/j2.parquet" {
		t.Errorf("the dataset has %s", got)
	}
	if err := d.Drop(t.Context(), "sales", dataset.Writer{}); err != nil {
		t.Fatal(err)
	}
	sweep(2, "dropped")
	now = now.Add(collect.Kept().Retention + time.Second)
	sweep(0, "dropped a day ago")
}

// TestJudge: of what was here while its node was away only that stays which a register
// vouches for; where that cannot be read, or is empty, nothing is said.
func TestJudge(t *testing.T) {
	r := &registertest.Memory{}
	d := alone(t, r)
	c := d.NewCollector(func(string) bool { return false })
	lease, err := d.Begin(t.Context(), "sales", "j1", dataset.Writer{}, dataset.ModeError)
	if err != nil {
		t.Fatal(err)
	}
	drafted(t, d, "sales", lease, "leased.parquet")
	drafted(t, d, "sales", "j0.gone", "gone.parquet")
	if err := c.Judge(t.Context(), copies(t, d)); err != nil || len(copies(t, d)) != 2 {
		t.Errorf("%d uploads, %v", len(copies(t, d)), err)
	}
	all := d.NewCollector(func(string) bool { return true })
	if err := errors.Join(d.note(t.Context(), "lost"), all.Sweep(t.Context())); err != nil { // as Begin does first
		t.Errorf("a name of which there is nothing: %v", err)
	}
	drafted(t, d, "lost", "j0.x", "lost.parquet")
	if err := all.Sweep(t.Context()); !errors.Is(err, ErrUnknown) {
		t.Errorf("a name of which there is something: %v", err)
	}
	if err := c.Judge(t.Context(), copies(t, d)); !errors.Is(err, ErrUnknown) || len(copies(t, d)) != 4 {
		t.Errorf("a register that is empty: %d uploads, %v", len(copies(t, d)), err)
	}
	cut := New(Config{Registers: silent{}, Uploads: d.c.Uploads, Dir: d.c.Dir}).NewCollector(func(string) bool { return true })
	if err := cut.Judge(t.Context(), copies(t, d)); !errors.Is(err, register.ErrMinority) {
		t.Errorf("registers that do not answer: %v", err)
	}
	if err := cut.Sweep(t.Context()); !errors.Is(err, register.ErrMinority) || len(copies(t, d)) != 4 {
		t.Errorf("registers that do not answer: %d uploads, %v", len(copies(t, d)), err)
	}
}

// TestOwners: a dataset is changed by who made it, and by admins; one that was dropped is
// anybody's to make.
func TestOwners(t *testing.T) {
	d := alone(t, &registertest.Memory{})
	ann, bob, admin := dataset.Writer{Name: "ann"}, dataset.Writer{Name: "bob"}, dataset.Writer{Name: "root", Admin: true}
	write := func(job string, by dataset.Writer, mode dataset.Mode) error {
		lease, err := d.Begin(t.Context(), "sales", job, by, mode)
		if err != nil {
			return err
		}
		_, err = d.Publish(t.Context(), Publication{Name: "sales", Job: job, Lease: lease, By: by, Mode: mode, Columns: columns})
		return err
	}
	early, err := d.Begin(t.Context(), "sales", "j0", bob, dataset.ModeAppend) // before it is anybody's
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		what string
		err  error
		want error
	}{
		{"made", write("j1", ann, dataset.ModeError), nil},
		{"begun before it was another's", func() error {
			_, err := d.Publish(t.Context(), Publication{Name: "sales", Job: "j0", Lease: early, By: bob, Mode: dataset.ModeAppend, Columns: columns})
			return err
		}(), dataset.ErrNotOwner},
		{"appended to", write("j2", ann, dataset.ModeAppend), nil},
		{"another's", write("j3", bob, dataset.ModeOverwrite), dataset.ErrNotOwner},
		{"dropped by another", d.Drop(t.Context(), "sales", bob), dataset.ErrNotOwner},
		{"an admin's change", write("j4", admin, dataset.ModeOverwrite), nil},
		{"still the owner's", write("j5", ann, dataset.ModeAppend), nil},
		{"dropped", d.Drop(t.Context(), "sales", ann), nil},
		{"made by another", write("j6", bob, dataset.ModeError), nil},
		{"dropped by its owner", d.Drop(t.Context(), "sales", bob), nil},
		{"made by an admin without a name", write("j8", dataset.Writer{Admin: true}, dataset.ModeError), nil},
		{"an admin's", d.Drop(t.Context(), "sales", ann), dataset.ErrNotOwner},
		{"dropped by an admin", d.Drop(t.Context(), "sales", admin), nil},
		{"bob's again", write("j9", bob, dataset.ModeError), nil},
		{"not the first's any more", write("j7", ann, dataset.ModeAppend), dataset.ErrNotOwner},
	} {
		if !errors.Is(step.err, step.want) || step.want == nil && step.err != nil {
			t.Errorf("%s: %v", step.what, step.err)
		}
	}
}

// silent are registers of which no majority answers.
type silent struct{}

func (silent) Get(context.Context, register.Key) ([]byte, uint64, error) {
	return nil, 0, register.ErrMinority
}

func (silent) CAS(context.Context, register.Key, register.ChangeID, uint64, []byte) (uint64, []byte, error) {
	return 0, nil, register.ErrMinority
}
