// Package drafts runs attempts that write to a dataset, or to a store of objects, by a machine that writes to folders:
// each writes to a folder on the node's own disk, from which its files are uploaded. Of a
// job's packet the attempts get one folder, so that engine processes serve several of them.
//
// It refuses to choose winners and to publish: package publish does that. What attempts
// that lost have uploaded goes with the job's lease.
package drafts

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/datasets"
	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/object"
	"github.com/pondmesh/pond/fs/object/output"
)

// Runner runs attempts: see exec.Machine.
type Runner interface {
	Run(ctx context.Context, a exec.Attempt, packets exec.Packets) (*exec.Outcome, error)
}

// Footers are those of Parquet files: see prepare.DuckDB.
type Footers interface {
	Footers(ctx context.Context, paths, access []string, each func(from int, list []duck.Footer) error) error
}

// Uploads take what attempts have made: see datasets.Datasets.
type Uploads interface {
	PutDraft(ctx context.Context, of collect.Origin, dir string, draft datasets.Draft) (where string, err error)
}

// Stores are the places of objects: see remote.Cache.
type Stores interface {
	Store(name string) (object.Stager, error)
}

// Config is what drafts need of their node.
type Config struct {
	Folders Runner
	Footers Footers
	Uploads Uploads
	Stores  Stores
	Dir     string // for folders of attempts, on the disk of uploads best; what is in it goes
	Log     *slog.Logger
}

// Machine runs attempts, several at once.
type Machine struct {
	c Config

	mu   sync.Mutex
	last []*folder // the newest first; of those that are not in use at most foldersKept
}

// folder is where the attempts of one packet write.
type folder struct {
	from, to *api.Packet // to names the folder where from names the dataset
	users    int
}

const foldersKept = 8

// Open returns a Machine, its folder empty.
func Open(c Config) (*Machine, error) {
	if err := os.RemoveAll(c.Dir); err != nil { // of a process that was killed
		return nil, fmt.Errorf("drafts: clear %s: %w", c.Dir, err)
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("drafts: %w", err)
	}
	return &Machine{c: c}, nil
}

// Run runs an attempt: see exec.Machine.Run. Of one that writes to a dataset the outcome's
// manifest is where its draft is: see datasets.PutDraft.
func (m *Machine) Run(ctx context.Context, a exec.Attempt, packets exec.Packets) (*exec.Outcome, error) {
	packet, err := packets.Get(ctx, a.Stage, a.Version)
	if err != nil {
		return nil, err
	}
	if !dataset.Is(packet.Staging) && !plan.InStore(packet.Staging) || packet.Stage().Exchange.Write == nil {
		return m.c.Folders.Run(ctx, a, gotten{packets, packet})
	}
	f, err := m.take(packet)
	if err != nil {
		return nil, journal.StorageError(err)
	}
	defer m.release(f)
	defer func() {
		if err := os.RemoveAll(exec.AttemptDir(f.to.Staging, a)); err != nil {
			m.c.Log.Warn("the files of an attempt stay until the node starts again", "job", a.Job, "attempt", a.ID, "err", err)
		}
	}()
	out, err := m.c.Folders.Run(ctx, a, gotten{packets, f.to})
	if err != nil {
		return nil, err
	}
	if plan.InStore(packet.Staging) {
		out.Files.Manifest, err = m.store(ctx, packet, f.to.Staging, a, &out.Files)
	} else {
		out.Files.Manifest, err = m.upload(ctx, packet, f.to.Staging, exec.AttemptDir(f.to.Staging, a), &out.Files)
	}
	if err != nil {
		return nil, uploadError(err)
	}
	return out, nil
}

// gotten gives the attempt's packet, which has been asked for and judged.
type gotten struct {
	exec.Packets
	packet *api.Packet
}

func (p gotten) Get(context.Context, int, uint64) (*api.Packet, error) { return p.packet, nil }

// take is the folder of a packet, made if there is none. Each has a name that was never
// used: what a process was given is the folder that it was then.
func (m *Machine) take(p *api.Packet) (*folder, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.last, func(f *folder) bool { return f.from == p })
	if i < 0 {
		to := *p
		to.Staging = filepath.Join(m.c.Dir, rand.Text())
		if err := os.MkdirAll(to.Staging, 0o700); err != nil {
			return nil, err
		}
		m.last, i = slices.Insert(m.last, 0, &folder{from: p, to: &to}), 0
	}
	m.last[i].users++
	return m.last[i], nil
}

func (m *Machine) release(f *folder) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f.users--
	idle := 0
	m.last = slices.DeleteFunc(m.last, func(f *folder) bool {
		if f.users > 0 {
			return false
		}
		if idle++; idle <= foldersKept {
			return false
		}
		if err := os.RemoveAll(f.to.Staging); err != nil {
			m.c.Log.Warn("a folder of attempts stays until the node starts again", "folder", f.to.Staging, "err", err)
		}
		return true
	})
}

// upload uploads what an attempt has written to dir, and tells where the draft is.
func (m *Machine) upload(ctx context.Context, p *api.Packet, staging, dir string, made *exec.Files) (string, error) {
	ref, err := dataset.Parse(p.Staging)
	if err != nil {
		return "", err
	}
	names, err := fs.ReadManifest(staging, made.Manifest)
	if err != nil {
		return "", err
	}
	draft := datasets.Draft{Columns: columnsOf(made.Columns, p.Stage().Exchange.Write)}
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = filepath.Join(staging, name)
		name, err := filepath.Rel(dir, paths[i])
		if err != nil {
			return "", err
		}
		draft.Files = append(draft.Files, dataset.File{Path: filepath.ToSlash(name)})
	}
	if err := m.c.Footers.Footers(ctx, paths, paths, func(from int, list []duck.Footer) error {
		for i := range list {
			draft.Files[from+i].Rows, draft.Files[from+i].Bounds = list[i].Rows, boundsOf(&list[i])
		}
		return nil
	}); err != nil {
		return "", err
	}
	return m.c.Uploads.PutDraft(ctx, collect.Origin{Dataset: ref.Name, Lease: p.Lease}, dir, draft)
}

// store uploads what an attempt has written to a store, and tells where the list of it is.
func (m *Machine) store(ctx context.Context, p *api.Packet, staging string, a exec.Attempt, made *exec.Files) (string, error) {
	place, err := m.c.Stores.Store(p.Staging)
	if err != nil {
		return "", err
	}
	names, err := fs.ReadManifest(staging, made.Manifest)
	if err != nil {
		return "", err
	}
	files := make([]output.File, len(names))
	for i, name := range names {
		below, err := filepath.Rel(exec.AttemptDir(staging, a), filepath.Join(staging, name))
		if err != nil {
			return "", err
		}
		files[i] = output.File{Name: filepath.ToSlash(below), Path: filepath.Join(staging, name)}
	}
	to := output.Output{Place: place, Target: p.Staging, Single: p.Stage().Exchange.Write.Single, Job: string(a.Job)}
	return to.Draft(ctx, made.Manifest, files)
}

// boundsOf are those of a file that is one row group.
func boundsOf(f *duck.Footer) map[string]dataset.Bounds {
	if len(f.Groups) != 1 {
		return nil
	}
	out := make(map[string]dataset.Bounds, len(f.Groups[0].Stats))
	for _, c := range f.Groups[0].Stats {
		b := dataset.Bounds{Nulls: c.Nulls, Distinct: c.Distinct, Bytes: c.Bytes}
		if lo, hi := dataset.BoundText(c.Min), dataset.BoundText(c.Max); c.HasStats && lo != nil && hi != nil {
			b.Min, b.Max = lo, hi
		}
		out[strings.ToLower(c.Name)] = b
	}
	return out
}

// columnsOf are a dataset's columns, which are those of the query that was written.
func columnsOf(list []plan.Column, w *plan.Write) []dataset.Column {
	out := make([]dataset.Column, len(list))
	for i, c := range list {
		in := func(name string) bool { return strings.EqualFold(name, c.Name) }
		out[i] = dataset.Column{Name: c.Name, Type: c.Type, Folder: slices.ContainsFunc(w.PartitionBy, in)}
	}
	return out
}

// uploadError gives an error its kind. What has one keeps it.
func uploadError(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if oe, ok := errors.AsType[*object.Error](err); ok {
		return &plan.Error{Kind: plan.KindResource, Op: "write", Subject: oe.Name, Text: oe.Why(), Hint: cmp.Or(oe.Hint, "look whether that node reaches the place")}
	}
	te := *plan.AsError(journal.StorageError(err))
	if te.Op == "" {
		te.Op = "upload"
	}
	return &te
}
