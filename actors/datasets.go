package actors

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"time"

	"github.com/pondmesh/pond/actors/copies"
	"github.com/pondmesh/pond/actors/datasets"
	"github.com/pondmesh/pond/actors/drafts"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/distribute"
	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/actors/setup"
	"github.com/pondmesh/pond/actors/storage"
	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/object"
	"github.com/pondmesh/pond/fs/register"
	"github.com/pondmesh/pond/mesh"
	"github.com/pondmesh/pond/mesh/delay"
	"github.com/pondmesh/pond/mesh/ring"
)

// openDatasets has statements find datasets by their names, read them and write them.
func (n *Node) openDatasets() (err error) {
	dir := filepath.Join(n.cfg.Dir, setup.DraftsDir)
	times := collect.Kept()
	times.Retention = n.cfg.Retention
	n.datasets = datasets.New(datasets.Config{Registers: n.registers, Uploads: n.replicas, Dir: dir, Times: times})
	n.collector = n.datasets.NewCollector(n.collects)
	n.objects.Serve("pond", n.datasets)
	n.planner.Tables, n.planner.Manifests, n.outputs.Datasets = tables{n.datasets}, tables{n.datasets}, n.datasets
	n.machine, err = drafts.Open(drafts.Config{Folders: n.machine, Footers: n.runner.DuckDB, Uploads: n.datasets, Dir: dir, Log: n.log})
	n.machine = &copies.Machine{Runner: n.machine, Sharing: n.replicas, Log: n.log}
	return err
}

// openStorage has clients put, read and remove files of datasets.
func (n *Node) openStorage() (err error) {
	n.storage, err = storage.New(storage.Config{
		Datasets: func() *datasets.Datasets { return n.datasets }, Copies: n.replicas, Footers: n.runner.DuckDB, Rules: n.rules, Peers: n.peers,
		View: func() *mesh.View { return n.mesh.View() }, Dir: filepath.Join(n.cfg.Dir, setup.PutsDir), Log: n.log,
	})
	return err
}

// collectEvery is how often a node looks for uploads that nothing refers to, give or take
// half of it: nodes that start together do not look together. Where versions are kept for
// less, it is as often as those end.
const collectEvery = 10 * time.Minute

// collect deletes what nothing refers to, again and again.
func (n *Node) collect() {
	every := min(collectEvery, n.cfg.Retention)
	for delay.For(n.ctx, every/2+rand.N(every)) == nil {
		if err := n.collector.Sweep(n.ctx); err != nil && n.ctx.Err() == nil {
			n.log.Warn("what nothing refers to is not deleted everywhere yet", "err", err)
		}
		n.objects.Shed()
	}
}

// collects reports whether this node is the first for a dataset among those that live.
func (n *Node) collects(name string) bool {
	var nodes []ring.Node
	for _, m := range n.mesh.View().Members {
		nodes = append(nodes, ring.Node{ID: string(m.ID), Weight: 1})
	}
	first := ring.Rank(nodes, string(dataset.Key(name)), 1)
	return len(first) > 0 && first[0].ID == string(n.id)
}

// tables are datasets as a planner asks for them.
type tables struct{ d *datasets.Datasets }

// Table implements prepare.Tables.
func (t tables) Table(ctx context.Context, name string, version uint64) (*prepare.Table, error) {
	if dataset.CheckName(name) != nil { // DuckDB says what it is
		return nil, nil
	}
	m, err := t.d.Get(ctx, name, version)
	if errors.Is(err, dataset.ErrNotFound) && version == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, datasetError("read", dataset.Ref{Name: name, Version: version}.String(), err)
	}
	out := &prepare.Table{Path: dataset.Ref{Name: name, Version: m.Version}.String(), Empty: len(m.Files) == 0}
	for _, c := range m.Columns {
		out.Columns = append(out.Columns, plan.Column{Name: c.Name, Type: c.Type})
		if c.Folder {
			out.Folders = append(out.Folders, c.Name)
		}
	}
	return out, nil
}

// Known implements prepare.Manifests. What cannot be told now is read in the files.
func (t tables) Known(ctx context.Context, paths []string) []*prepare.Known {
	out := make([]*prepare.Known, len(paths))
	known := map[dataset.Ref]*dataset.Manifest{}
	for i, path := range paths {
		o, _ := object.FromPath(path)
		ref, err := dataset.Parse(o.Name)
		if err != nil {
			continue
		}
		of := dataset.Ref{Name: ref.Name, Version: ref.Version}
		m, ok := known[of]
		if !ok {
			m, _ = t.d.Get(ctx, of.Name, of.Version)
			known[of] = m
		}
		if m != nil {
			out[i] = knownOf(m, ref.Path)
		}
	}
	return out
}

// knownOf is what a manifest knows of a file; nil: too little.
func knownOf(m *dataset.Manifest, path string) *prepare.Known {
	f := m.File(path)
	if f == nil || f.Rows < 0 || len(f.Bounds) == 0 {
		return nil
	}
	out := &prepare.Known{Group: plan.RowGroup{Rows: f.Rows}, Stats: map[string]distribute.Range{}}
	for _, c := range m.Columns {
		name := strings.ToLower(c.Name)
		b, ok := f.Bounds[name]
		typ, _, err := plan.Stored(c.Type)
		if !ok || err != nil { // what stands in folders may be in no file
			continue
		}
		r := distribute.Range{Type: typ, Nulls: b.Nulls, Distinct: b.Distinct, Bytes: b.Bytes}
		if b.Min != nil && b.Max != nil {
			r.Known, r.Min, r.Max = true, *b.Min, *b.Max
		}
		out.Group.Bytes += b.Bytes
		out.Stats[name] = r
	}
	return out
}

// datasetError gives an error about a dataset its kind.
func datasetError(op, name string, err error) error {
	if err == nil || errors.As(err, new(*plan.Error)) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	e := &plan.Error{Kind: plan.KindInternal, Op: op, Subject: name, Text: datasets.Why(err)}
	switch {
	case errors.Is(err, dataset.ErrNotFound):
		e.Kind = plan.KindNotFound
	case errors.Is(err, dataset.ErrName):
		e.Kind = plan.KindUser
	case errors.Is(err, register.ErrMinority), errors.Is(err, register.ErrUnknown):
		e.Kind, e.Hint = plan.KindUnavailable, "bring back nodes that keep the registers: pondnode members shows them"
	case errors.Is(err, datasets.ErrBusy):
		e.Kind, e.Hint = plan.KindBusy, "try again"
	}
	return e
}
