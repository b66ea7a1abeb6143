package datasets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/pondmesh/pond/actors/replicas"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/object"
	"github.com/pondmesh/pond/fs/register"
	"github.com/pondmesh/pond/fs/register/registertest"
	"github.com/pondmesh/pond/fs/replica"
	"github.com/pondmesh/pond/mesh"
)

func (d *Datasets) mustPublish(t *testing.T, p Publication, want uint64) {
	t.Helper()
	if v, err := d.Publish(t.Context(), p); err != nil || v != want {
		t.Fatalf("job %s: version %d, %v; want version %d", p.Job, v, err, want)
	}
}

// TestVersions: what one node publishes, another reads, each version as it was.
func TestVersions(t *testing.T) {
	p := open(t, 3)
	a, b, c := p.nodes[0], p.nodes[1], p.nodes[2]
	a.mustPublish(t, a.job(t, "sales", "j1", dataset.ModeError, a.made(t, "k=1/x.parquet")), 1)
	b.mustPublish(t, b.job(t, "sales", "j2", dataset.ModeAppend, b.made(t, "k=2/x.parquet")), 2)
	c.mustPublish(t, c.job(t, "sales", "j3", dataset.ModeReplace, c.made(t, "k=2/y.parquet")), 3)
	a.mustPublish(t, a.job(t, "sales", "j4", dataset.ModeOverwrite, a.made(t, "z.parquet")), 4)
	for pattern, want := range map[string]string{
		"pond://sales":              "4/z.parquet",
		"pond://sales/1":            "1/k=1/x.parquet",
		"pond://sales/2":            "2/k=1/x.parquet 2/k=2/x.parquet",
		"pond://sales/3/":           "3/k=1/x.parquet 3/k=2/y.parquet",
		"pond://sales/3/k=2":        "3/k=2/y.parquet",
		"pond://sales/2/**/x*":      "2/k=1/x.parquet 2/k=2/x.parquet",
		"pond://sales/2/k=[01]/*":   "2/k=1/x.parquet",
		"pond://sales/k=1/*":        "",
		"pond://sales/9":            "",
		"pond://sale":               "",
		"pond://sales/2/k=1/x.parq": "",
	} {
		if want != "" {
			if got := b.paths(t, pattern); got != want {
				t.Errorf("%s: %s", pattern, got)
			}
		} else if _, err := b.Find(t.Context(), pattern); !errors.Is(err, object.ErrNotFound) || !errors.Is(err, dataset.ErrNotFound) {
			t.Errorf("%s: %v", pattern, err)
		}
	}
	for job, want := range map[string]string{"j1": "[k=1/x.parquet] true", "j2": "[k=2/x.parquet] true", "j3": "[k=2/y.parquet] true", "j4": "[z.parquet] true", "j5": "[] false"} {
		if files, ok, err := c.Made(t.Context(), "sales", job); err != nil || fmt.Sprint(files, ok) != want {
			t.Errorf("job %s made %v, %t, %v", job, files, ok, err)
		}
	}
	if list, err := c.List(t.Context()); err != nil || fmt.Sprint(list) != "[{sales 4}]" {
		t.Errorf("listed %v, %v", list, err)
	}
	if m, err := c.Get(t.Context(), "sales", 3); err != nil || m.Job != "j3" || m.Version != 3 || m.Previous.String() == (dataset.Manifest{}).Previous.String() {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestReadRanges: bytes come from whichever node has them.
func TestReadRanges(t *testing.T) {
	p := open(t, 2)
	a, b := p.nodes[0], p.nodes[1]
	a.mustPublish(t, a.job(t, "sales", "j1", dataset.ModeError, a.made(t, "k=1/x.parquet")), 1)
	list, err := b.Find(t.Context(), "pond://sales")
	if err != nil || len(list) != 1 || list[0].Size != int64(len("k=1/x.parquet")) || list[0].ModTime.IsZero() {
		t.Fatalf("%+v, %v", list, err)
	}
	if _, holders, err := parseWhere(list[0].Version); err != nil || len(holders) != 2 {
		t.Errorf("holders %v, %v", holders, err)
	}
	for _, n := range p.nodes {
		for _, r := range []struct {
			off, n int64
			want   string
		}{{0, 13, "k=1/x.parquet"}, {4, 1, "x"}, {13, 0, ""}} {
			if got, err := object.ReadAll(t.Context(), n, list[0], r.off, r.n); err != nil || string(got) != r.want {
				t.Errorf("node %s, %d bytes from %d: %q, %v", n.id, r.n, r.off, got, err)
			}
		}
		if _, err := n.Open(t.Context(), list[0], 4, 10); !errors.Is(err, object.ErrRange) {
			t.Errorf("beyond the end: %v", err)
		}
	}
	if path, err := list[0].Path(); err != nil || !strings.HasSuffix(path, "pond/sales/1/k=1/x.parquet") {
		t.Errorf("as a file: %s, %v", path, err)
	}
	other := list[0]
	other.Version = "x"
	if _, err := b.Open(t.Context(), other, 0, 1); !errors.Is(err, object.ErrName) {
		t.Errorf("no upload: %v", err)
	}
}

var origin = collect.Origin{Dataset: "sales", Lease: "j.x"}

// TestOrigin: every copy of what is uploaded says which lease keeps it.
func TestOrigin(t *testing.T) {
	p := open(t, 2)
	a := p.nodes[0]
	if err := os.WriteFile(filepath.Join(a.dir, "f"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	at, err := a.PutDraft(t.Context(), origin, a.dir, Draft{Columns: columns, Files: []dataset.File{{Path: "f", Rows: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	draft, err := a.Drafts(t.Context(), []string{at})
	if err != nil {
		t.Fatal(err)
	}
	list, _, err := parseWhere(at)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range p.nodes {
		for _, id := range []fs.UploadID{list, fs.UploadID(draft.Files[0].Upload)} {
			var got collect.Origin
			info, err := n.store.Stat(id)
			if err = errors.Join(err, json.Unmarshal(info.Attrs, &got)); err != nil || got != origin {
				t.Errorf("node %s, upload %s: %+v, %v", n.id, id, got, err)
			}
		}
	}
}

// TestDrafts: what attempts on two nodes have made is published by a third; a draft of
// which all copies are gone is named.
func TestDrafts(t *testing.T) {
	p := open(t, 3)
	var where []string
	for i, n := range p.nodes[:2] {
		dir := t.TempDir()
		var draft Draft
		for j := range 2 * puttingMax {
			path := fmt.Sprintf("k=%d/f%d.parquet", j, i)
			if err := errors.Join(os.MkdirAll(filepath.Join(dir, filepath.Dir(path)), 0o700), os.WriteFile(filepath.Join(dir, path), []byte(path), 0o600)); err != nil {
				t.Fatal(err)
			}
			draft.Files = append(draft.Files, dataset.File{Path: path, Rows: 7, Bounds: map[string]dataset.Bounds{"a": {Nulls: 2}}})
		}
		draft.Columns = columns
		at, err := n.PutDraft(t.Context(), origin, dir, draft)
		if err != nil || len(at) > 200 {
			t.Fatal(at, err)
		}
		where = append(where, at)
		if left, err := filepath.Glob(filepath.Join(dir, "*", "*")); err != nil || len(left) > 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	}
	c := p.nodes[2]
	all, err := c.Drafts(t.Context(), where)
	if err != nil || len(all.Files) != 4*puttingMax || all.Files[0].Rows != 7 || all.Files[0].Bounds["a"].Nulls != 2 || len(all.Files[0].Holders) != 3 {
		t.Fatalf("%+v, %v", all, err)
	}
	c.mustPublish(t, c.job(t, "sales", "j", dataset.ModeError, all.Files), 1)
	list, err := c.Find(t.Context(), "pond://sales/k=3/f1*")
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if b, err := object.ReadAll(t.Context(), c, list[0], 0, list[0].Size); err != nil || string(b) != "k=3/f1.parquet" {
		t.Errorf("%q, %v", b, err)
	}

	lost := whereOf(fs.UploadID{1}, nil)
	var e *GoneError
	if _, err := c.Drafts(t.Context(), []string{where[0], lost, where[1]}); !errors.As(err, &e) || !slices.Equal(e.Where, []string{lost}) {
		t.Errorf("one is gone: %v", err)
	}
	other, err := c.PutDraft(t.Context(), origin, t.TempDir(), Draft{Columns: []dataset.Column{{Name: "b", Type: "DATE"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Drafts(t.Context(), append(where, other)); !errors.Is(err, dataset.ErrColumns) {
		t.Errorf("other columns: %v", err)
	}
	if _, err := c.Drafts(t.Context(), []string{"x"}); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("no draft: %v", err)
	}
	if _, err := c.PutDraft(t.Context(), origin, t.TempDir(), Draft{Files: []dataset.File{{Path: "f", Rows: 1}}}); !errors.Is(err, os.ErrNotExist) && !errors.Is(err, fs.ErrNotFound) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := c.PutDraft(t.Context(), origin, t.TempDir(), Draft{Files: []dataset.File{{Path: "../f", Rows: 1}}}); !errors.Is(err, dataset.ErrName) {
		t.Errorf("a file outside: %v", err)
	}
}

// TestTogether: publishers on all nodes at once. Of those that refuse what is there one
// wins; those that append all do.
func TestTogether(t *testing.T) {
	p := open(t, 3)
	const each = 3
	at := func(mode dataset.Mode, name string) (won, refused int) {
		var jobs []func() error
		for i := range each * len(p.nodes) {
			n := p.nodes[i%len(p.nodes)]
			job := n.job(t, name, fmt.Sprintf("%s%d", mode, i), mode, n.made(t, fmt.Sprintf("f%d.parquet", i)))
			jobs = append(jobs, func() error { _, err := n.Publish(t.Context(), job); return err })
		}
		errs := make([]error, len(jobs))
		var all sync.WaitGroup
		for i, job := range jobs {
			all.Go(func() { errs[i] = job() })
		}
		all.Wait()
		for _, err := range errs {
			switch {
			case err == nil:
				won++
			case errors.Is(err, dataset.ErrExists):
				refused++
			default:
				t.Error(err)
			}
		}
		return won, refused
	}
	if won, refused := at(dataset.ModeError, "one"); won != 1 || refused != 3*each-1 {
		t.Errorf("error: %d won, %d refused", won, refused)
	}
	if won, _ := at(dataset.ModeAppend, "all"); won != 3*each {
		t.Errorf("append: %d won", won)
	}
	m, err := p.nodes[2].Get(t.Context(), "all", 0)
	if err != nil || len(m.Files) != 3*each || m.Version != 3*each {
		t.Errorf("%+v, %v", m, err)
	}
}

// alone is a node whose uploads are in memory, over registers that a test breaks.
func alone(t *testing.T, r Registers) *Datasets {
	t.Helper()
	n := open(t, 1).nodes[0]
	return New(Config{Registers: r, Uploads: n.replicas, Dir: n.dir})
}

// TestOnce: a job publishes once, whoever drives it and whatever it hears.
func TestOnce(t *testing.T) {
	r := &unsure{Memory: &registertest.Memory{}}
	d := alone(t, r)
	job := d.job(t, "sales", "j1", dataset.ModeAppend, nil)
	if again := d.job(t, "sales", "j1", dataset.ModeAppend, nil); again.Lease != job.Lease {
		t.Errorf("another driver has lease %s beside %s", again.Lease, job.Lease)
	}
	for _, happens := range []bool{true, false} {
		r.doubt(happens)
		id := fmt.Sprintf("unsure-%t", happens)
		job := d.job(t, "sales", id, dataset.ModeAppend, nil)
		r.doubt(happens)
		v, err := d.Publish(t.Context(), job)
		if err != nil || r.doubts() != 2 {
			t.Fatalf("%v, of %d answers nothing was known", err, r.doubts())
		}
		d.mustPublish(t, job, v)
		if _, err := d.Begin(t.Context(), "sales", id, dataset.Writer{}, dataset.ModeError); !errors.Is(err, dataset.ErrPublished) {
			t.Errorf("begun by a successor: %v", err)
		}
	}
	d.mustPublish(t, job, 3)
	if s, err := d.state(t.Context(), "sales"); err != nil || s.Last != 3 || len(s.Leases) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

// unsure is registers of which some answers are lost.
type unsure struct {
	*registertest.Memory
	lose, happens bool
	lost          int
}

// doubt has the next change end without an answer, whether it happens or not.
func (u *unsure) doubt(happens bool) {
	if u.happens != happens {
		u.lost = 0
	}
	u.lose, u.happens = true, happens
}

func (u *unsure) doubts() int { return u.lost }

func (u *unsure) CAS(ctx context.Context, key register.Key, id register.ChangeID, expect uint64, data []byte) (uint64, []byte, error) {
	if !u.lose || !strings.HasPrefix(string(key), "dataset/") {
		return u.Memory.CAS(ctx, key, id, expect, data)
	}
	u.lose = false
	u.lost++
	if u.happens {
		if v, b, err := u.Memory.CAS(ctx, key, id, expect, data); err != nil {
			return v, b, err
		}
	}
	return 0, nil, register.ErrUnknown
}

// TestRefused: what cannot be published is told, and changes nothing.
func TestRefused(t *testing.T) {
	r := &registertest.Memory{}
	d := alone(t, r)
	for _, name := range []string{"", "Sales", "a/b", "7"} {
		if _, err := d.Begin(t.Context(), name, "j", dataset.Writer{}, dataset.ModeError); !errors.Is(err, dataset.ErrName) {
			t.Errorf("begun %q: %v", name, err)
		}
		if _, err := d.Get(t.Context(), name, 0); !errors.Is(err, dataset.ErrName) {
			t.Errorf("got %q: %v", name, err)
		}
	}
	slow := d.job(t, "sales", "slow", dataset.ModeError, nil)
	d.mustPublish(t, d.job(t, "sales", "j1", dataset.ModeError, nil), 1)
	if _, err := d.Begin(t.Context(), "sales", "j2", dataset.Writer{}, dataset.ModeError); !errors.Is(err, dataset.ErrExists) {
		t.Errorf("begun though it is there: %v", err)
	}
	if _, err := d.Publish(t.Context(), slow); !errors.Is(err, dataset.ErrExists) {
		t.Errorf("published though it is there now: %v", err)
	}
	if err := d.Renew(t.Context(), "sales", slow.Lease); err != nil {
		t.Error(err)
	}
	if err := errors.Join(d.Release(t.Context(), "sales", slow.Lease), d.Release(t.Context(), "sales", slow.Lease)); err != nil {
		t.Error(err)
	}
	if err := d.Renew(t.Context(), "sales", slow.Lease); !errors.Is(err, collect.ErrCondemned) {
		t.Errorf("renewed after its end: %v", err)
	}
	slow.Mode = dataset.ModeAppend
	if _, err := d.Publish(t.Context(), slow); !errors.Is(err, collect.ErrCondemned) {
		t.Errorf("published after its lease: %v", err)
	}
	other := d.job(t, "sales", "j3", dataset.ModeAppend, []dataset.File{{Path: "x", Rows: 1}})
	d.mustPublish(t, other, 2)
	other = d.job(t, "sales", "j4", dataset.ModeAppend, nil)
	other.Columns = nil
	if _, err := d.Publish(t.Context(), other); !errors.Is(err, dataset.ErrColumns) {
		t.Errorf("published with other columns: %v", err)
	}
	r.Before(func() error { return register.ErrMinority })
	if _, err := d.Find(t.Context(), "pond://sales"); !errors.Is(err, object.ErrUnavailable) || !errors.Is(err, register.ErrMinority) {
		t.Errorf("found without registers: %v", err)
	}
	r.Before(nil)
	if v, err := d.List(t.Context()); err != nil || fmt.Sprint(v) != "[{sales 2}]" {
		t.Errorf("listed %v, %v", v, err)
	}
}

// TestDrop: a dataset that is no more is not found, but its versions are for a while, and
// its numbers do not begin again.
func TestDrop(t *testing.T) {
	d := alone(t, &registertest.Memory{})
	d.mustPublish(t, d.job(t, "sales", "j1", dataset.ModeError, []dataset.File{{Path: "x", Rows: 1}}), 1)
	if err := d.Drop(t.Context(), "sales", dataset.Writer{}); err != nil {
		t.Fatal(err)
	}
	if err := d.Drop(t.Context(), "sales", dataset.Writer{}); !errors.Is(err, dataset.ErrNotFound) {
		t.Errorf("dropped twice: %v", err)
	}
	if _, err := d.Get(t.Context(), "sales", 0); !errors.Is(err, dataset.ErrNotFound) {
		t.Errorf("read: %v", err)
	}
	if got := d.paths(t, "pond://sales/1"); got != "1/x" {
		t.Errorf("its version: %s", got)
	}
	if list, err := d.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("listed %v, %v", list, err)
	}
	d.mustPublish(t, d.job(t, "sales", "j2", dataset.ModeError, nil), 2)
}

// TestBusy: others that come first are waited for, and a register that they change each
// time is given up.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rival{Memory: &registertest.Memory{}}
		d := New(Config{Registers: r})
		r.before = changesMax - 1
		if _, err := d.Begin(t.Context(), "sales", "j1", dataset.Writer{}, dataset.ModeError); err != nil {
			t.Error(err)
		}
		r.before = changesMax
		if _, err := d.Begin(t.Context(), "sales", "j2", dataset.Writer{}, dataset.ModeError); !errors.Is(err, ErrBusy) || r.before != 0 {
			t.Errorf("begun while others change it: %v", err)
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		r.before = changesMax
		if _, err := d.Begin(ctx, "sales", "j3", dataset.Writer{}, dataset.ModeError); !errors.Is(err, context.Canceled) {
			t.Errorf("begun when nobody waits any more: %v", err)
		}
	})
}

// rival comes before some changes of datasets.
type rival struct {
	*registertest.Memory
	before int
}

func (r *rival) CAS(ctx context.Context, key register.Key, id register.ChangeID, expect uint64, data []byte) (uint64, []byte, error) {
	if strings.HasPrefix(string(key), "dataset/") && r.before > 0 {
		r.before--
		now, _, err := r.Memory.Get(ctx, key)
		if err != nil {
			return 0, nil, err
		}
		if v, b, err := r.Memory.CAS(ctx, key, id, expect, now); err != nil {
			return v, b, err
		}
	}
	return r.Memory.CAS(ctx, key, id, expect, data)
}

// TestKept: manifests that were used lately are not fetched again, others go.
func TestKept(t *testing.T) {
	var d Datasets
	for i := range keptMax + 1 {
		d.keep([16]byte{byte(i)}, &dataset.Manifest{})
		if d.known([16]byte{0}) == nil {
			t.Fatal("the one that is used is gone")
		}
	}
	if d.known([16]byte{1}) != nil || d.known([16]byte{keptMax}) == nil || len(d.kept) != keptMax {
		t.Errorf("%d are kept", len(d.kept))
	}
	d.keep([16]byte{99}, &dataset.Manifest{Files: make([]dataset.File, weightMax+1)})
	if len(d.kept) != 1 || d.known([16]byte{99}) == nil {
		t.Errorf("%d are kept beside a large one", len(d.kept))
	}
}

// broken is uploads that cannot be made.
type broken struct{ Uploads }

func (broken) PutAs(context.Context, replica.Class, string, []byte) (replicas.Copy, error) {
	return replicas.Copy{}, replica.ErrTooFew
}

func (broken) Open(context.Context, fs.UploadID, []mesh.NodeID, int64, int64) (io.ReadCloser, error) {
	return nil, replica.ErrUnavailable
}

// TestTooFew: a manifest without enough copies is no version, and one that nobody can
// reach is no empty dataset.
func TestTooFew(t *testing.T) {
	r := &registertest.Memory{}
	d := alone(t, r)
	bad := New(Config{Registers: r, Uploads: broken{d.c.Uploads}, Dir: t.TempDir()})
	if _, err := bad.Publish(t.Context(), bad.job(t, "sales", "j1", dataset.ModeError, nil)); !errors.Is(err, replica.ErrTooFew) {
		t.Errorf("published: %v", err)
	}
	if _, err := d.Get(t.Context(), "sales", 0); !errors.Is(err, dataset.ErrNotFound) {
		t.Errorf("it is there: %v", err)
	}
	d.mustPublish(t, d.job(t, "sales", "j1", dataset.ModeError, nil), 1)
	if _, err := bad.Publish(t.Context(), bad.job(t, "sales", "j2", dataset.ModeAppend, nil)); !errors.Is(err, replica.ErrUnavailable) {
		t.Errorf("appended to what could not be read: %v", err)
	}
	if _, err := bad.Find(t.Context(), "pond://sales"); !errors.Is(err, object.ErrUnavailable) {
		t.Errorf("found: %v", err)
	}
}
