package actors

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/pondmesh/pond/actors/copies"
	"github.com/pondmesh/pond/actors/datasets"
	"github.com/pondmesh/pond/actors/drafts"
	"github.com/pondmesh/pond/actors/faulty"
	"github.com/pondmesh/pond/actors/setup"
	"github.com/pondmesh/pond/actors/storage"
	"github.com/pondmesh/pond/actors/tables"
	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/faults"
	"github.com/pondmesh/pond/mesh/delay"
	"github.com/pondmesh/pond/mesh/ring"
)

// openDatasets has statements find datasets by their names, read them and write them.
func (n *Node) openDatasets(context.Context) (err error) {
	dir := filepath.Join(n.cfg.Dir, setup.DraftsDir)
	times := collect.Kept()
	times.Retention = n.cfg.Retention
	n.datasets = datasets.New(datasets.Config{Registers: faulty.Registers(n.registers, n.cfg.Faults, faults.DatasetCAS, faults.DatasetCASDone), Uploads: n.replicas, Dir: dir, Times: times})
	n.collector = n.datasets.NewCollector(n.collects)
	n.objects.Serve("pond", n.datasets)
	named := tables.Tables{Datasets: n.datasets}
	n.planner.Tables, n.planner.Manifests, n.outputs.Datasets = named, named, n.datasets
	n.outputs.Stores = n.objects
	n.machine, err = drafts.Open(drafts.Config{Folders: n.machine, Footers: n.runner.DuckDB, Uploads: n.datasets, Stores: n.objects, Dir: dir, Log: n.log})
	n.copier = copies.NewCopier(n.replicas, n.segments, n.metrics.SegmentCopied, n.log)
	n.machine = &copies.Machine{Runner: n.machine, Copier: n.copier}
	return err
}

// openStorage has clients put, read and remove files of datasets.
func (n *Node) openStorage(context.Context) (err error) {
	n.storage, err = storage.New(storage.Config{
		Datasets: func() *datasets.Datasets { return n.datasets }, Copies: n.replicas, Footers: n.runner.DuckDB, Rules: n.rules, Peers: n.peers,
		View: n.view, Dir: filepath.Join(n.cfg.Dir, setup.PutsDir), Room: n.store.Room, Log: n.log,
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
