package drafts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/datasets"
	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/collect"
)

// writer runs attempts: each leaves two files in two folders. It is also what takes them.
type writer struct {
	fails   error
	staging map[string]bool
	took    []string
}

func (w *writer) Run(ctx context.Context, a exec.Attempt, packets exec.Packets) (*exec.Outcome, error) {
	p, err := packets.Get(ctx, a.Stage, a.Version)
	if err != nil {
		return nil, err
	}
	w.staging[p.Staging] = true
	if strings.HasPrefix(p.Staging, "/other") {
		return &exec.Outcome{Files: exec.Files{Manifest: "as it is"}}, nil
	}
	dir := exec.AttemptDir(p.Staging, a)
	var names []string
	for k := range 2 {
		name := filepath.Join(dir, fmt.Sprintf("k=%d", k), "f.parquet")
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte("rows"), 0o600)); err != nil {
			return nil, err
		}
		below, _ := filepath.Rel(p.Staging, name)
		names = append(names, below)
	}
	if w.fails != nil {
		return nil, w.fails
	}
	attempt := filepath.Base(dir)
	return &exec.Outcome{Files: exec.Files{Manifest: attempt, Count: 2, Columns: []plan.Column{{Name: "A", Type: "BIGINT"}, {Name: "K", Type: "VARCHAR"}}}}, fs.WriteManifest(p.Staging, attempt, names)
}

func (w *writer) Footers(_ context.Context, paths, _ []string, each func(int, []duck.Footer) error) error {
	for i, path := range paths {
		if _, err := os.Stat(path); err != nil {
			return err
		}
		if err := each(i, []duck.Footer{{Rows: int64(i) + 5}}); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) PutDraft(_ context.Context, of collect.Origin, dir string, d datasets.Draft) (string, error) {
	for _, f := range d.Files {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(f.Path))); err != nil {
			return "", err
		}
	}
	w.took = append(w.took, fmt.Sprint(of, d.Columns, d.Files[0].Path, d.Files[0].Rows, d.Files[1].Path, d.Files[1].Rows))
	return "where", w.fails
}

// given is a packet as an attempt is given it.
type given struct {
	exec.Packets
	*api.Packet
}

func (g given) Get(context.Context, int, uint64) (*api.Packet, error) { return g.Packet, nil }

func packet(staging string) given {
	w := &plan.Write{Path: staging, PartitionBy: []string{"k"}}
	return given{Packet: &api.Packet{ID: "job", Staging: staging, Lease: "job.x", Job: &plan.Job{Stages: []*plan.Stage{{Exchange: plan.Exchange{Kind: plan.Files, Write: w}}}}}}
}

func attempt(n int) exec.Attempt {
	return exec.Attempt{Job: "job", ID: plan.AttemptID{Task: plan.TaskID{Stage: "s", Partition: n}, Attempt: 1}}
}

// Attempts of a packet share a folder, in which nothing of them stays; what they made is
// told under the job's lease. Folders of packets that are not in use go.
func TestDrafts(t *testing.T) {
	w := &writer{staging: map[string]bool{}}
	dir := filepath.Join(t.TempDir(), "drafts")
	m, err := Open(Config{Folders: w, Footers: w, Uploads: w, Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	p := packet("pond://sales")
	for n := range 2 {
		out, err := m.Run(t.Context(), attempt(n), p)
		if err != nil || out.Files.Manifest != "where" {
			t.Fatalf("%+v, %v", out, err)
		}
		if want := "{sales job.x} [{A BIGINT false} {K VARCHAR true}]k=0/f.parquet5k=1/f.parquet6"; w.took[n] != want {
			t.Errorf("took %s, want %s", w.took[n], want)
		}
	}
	if len(w.staging) != 1 {
		t.Errorf("attempts of a packet wrote to %v", w.staging)
	}
	for staging := range w.staging {
		if found, _ := filepath.Glob(staging + "/part-*/*"); len(found) > 0 || filepath.Dir(staging) != dir {
			t.Errorf("there is %q below %s", found, staging)
		}
	}
	w.fails = &plan.Error{Kind: plan.KindMemory, Text: "no memory"}
	for range foldersKept + 3 {
		if _, err := m.Run(t.Context(), attempt(0), packet("pond://sales")); !errors.Is(err, plan.ErrMemory) {
			t.Errorf("an attempt that fails: %v", err)
		}
	}
	if kept, _ := os.ReadDir(dir); len(kept) != foldersKept {
		t.Errorf("%d folders are kept", len(kept))
	}
	if out, err := m.Run(t.Context(), attempt(0), packet("/other/folder")); err != nil || out.Files.Manifest != "as it is" || !w.staging["/other/folder"] {
		t.Errorf("a folder: %+v, %v", out, err)
	}
}

// What cannot be uploaded is an error of the place, and of the kind that it has.
func TestUploadError(t *testing.T) {
	for _, c := range []struct {
		err  error
		want error
	}{
		{&plan.Error{Kind: plan.KindUnavailable, Text: "too few nodes"}, plan.ErrUnavailable},
		{fs.ErrNoSpace, plan.ErrResource},
		{context.Canceled, context.Canceled},
	} {
		if err := uploadError(c.err); !errors.Is(err, c.want) {
			t.Errorf("%v: %v", c.err, err)
		}
	}
}
