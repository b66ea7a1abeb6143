package actors

import (
	"cmp"
	"context"
	"path/filepath"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/setup"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/mesh/delay"
)

// usage is what this node holds on disk.
func (n *Node) usage() *api.Usage {
	u := &api.Usage{Node: string(n.id)}
	add := func(kind string, bytes, count int64) {
		u.Kinds = append(u.Kinds, api.KindUsage{Kind: kind, Bytes: bytes, Count: count})
	}
	live, kept, copies := n.segments.Usage()
	add(api.UsageLive, live.Bytes, live.Count)
	add(api.UsageKept, kept.Bytes, kept.Count)
	n.bound(u, n.cfg.CacheMax)
	add(api.UsageCopies, copies.Bytes, copies.Count)
	bytes, count := n.store.Usage() // segments and records
	add(api.UsageRecords, max(bytes-live.Bytes-kept.Bytes-copies.Bytes, 0), max(count-live.Count-kept.Count-copies.Count, 0))
	n.bound(u, n.cfg.RecordsMax)
	bytes, count = n.outputs.Usage()
	drafts, files := n.dirUsage(setup.DraftsDir)
	puts, begun := n.dirUsage(setup.PutsDir)
	add(api.UsageStaged, bytes+drafts+puts, count+files+begun)
	bytes, count = n.dirUsage(setup.SpillDir)
	add(api.UsageSpill, bytes, count)
	for _, s := range n.disks.States() {
		d := api.DiskUsage{Dir: s.Dir, ID: s.ID, Bytes: s.Bytes, Count: s.Count, Free: s.Free, Total: s.Total, Aside: s.Aside}
		if s.Err != nil {
			d.Error = "out of use: " + s.Err.Error()
		}
		u.Disks = append(u.Disks, d)
	}
	return u
}

// dirUsage is what files in a folder of the node's take.
func (n *Node) dirUsage(name string) (bytes, count int64) {
	bytes, count, err := fs.DirUsage(filepath.Join(n.cfg.Dir, name))
	if err != nil {
		n.log.Debug("looking at what a folder takes", "folder", name, "err", err)
	}
	return bytes, count
}

// bound adds the limits of what ended jobs leave to the kind that was added last.
func (n *Node) bound(u *api.Usage, most int64) {
	k := &u.Kinds[len(u.Kinds)-1]
	k.Max, k.KeepMillis = most, max(n.cfg.KeepFor.Milliseconds(), 0)
}

// reclaimEvery is how often a node looks for what ended jobs have left for too long.
const reclaimEvery = time.Minute

// reclaim deletes what ended jobs have left for too long, or too much of it.
func (n *Node) reclaim() {
	for delay.For(n.ctx, min(reclaimEvery, cmp.Or(max(n.cfg.KeepFor, 0), reclaimEvery))) == nil {
		before := time.Unix(0, 0)
		if n.cfg.KeepFor > 0 {
			before = time.Now().Add(-n.cfg.KeepFor)
		}
		segments, records := n.segments.Reclaim(before), n.records.Reclaim(before)
		n.jobs.Forget(before)
		if segments+records > 0 {
			n.log.Info("what ended jobs left is deleted", "segments", segments, "records", records)
		}
	}
}

// allUsage is what each node of the view holds. One that does not answer says so.
func (n *Node) allUsage(ctx context.Context) []api.Usage {
	ctx, cancel := context.WithTimeout(ctx, heldTimeout)
	defer cancel()
	answers := peers.Ask(ctx, n.peers, n.mesh.View().Members, "what it stores", func() []api.Usage { return []api.Usage{*n.usage()} },
		func(ctx context.Context, p *api.Peer) ([]api.Usage, error) { return p.Hop().Usage(ctx) })
	out := make([]api.Usage, len(answers))
	for i, a := range answers {
		if out[i] = (api.Usage{Node: string(a.Node.ID), Error: a.Why()}); a.Err == nil && len(a.Said) == 1 {
			out[i] = a.Said[0]
		}
	}
	return out
}
