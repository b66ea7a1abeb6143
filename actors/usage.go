package actors

import (
	"context"
	"path/filepath"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/setup"
	"github.com/pondmesh/pond/fs"
)

// usage is what this node holds on disk.
func (n *Node) usage() *api.Usage {
	u := &api.Usage{Node: string(n.id)}
	add := func(kind string, bytes, count int64) {
		u.Kinds = append(u.Kinds, api.KindUsage{Kind: kind, Bytes: bytes, Count: count})
	}
	live, kept := n.segments.Usage()
	add(api.UsageLive, live.Bytes, live.Count)
	add(api.UsageKept, kept.Bytes, kept.Count)
	bytes, count := n.store.Usage() // segments and records
	add(api.UsageRecords, max(bytes-live.Bytes-kept.Bytes, 0), max(count-live.Count-kept.Count, 0))
	bytes, count = n.outputs.Usage()
	add(api.UsageStaged, bytes, count)
	bytes, count, err := fs.DirUsage(filepath.Join(n.cfg.Dir, setup.SpillDir))
	if err != nil {
		n.log.Debug("looking at spilled files", "err", err)
	}
	add(api.UsageSpill, bytes, count)
	return u
}

// allUsage is what each node of the view holds. One that does not answer says so.
func (n *Node) allUsage(ctx context.Context) []api.Usage {
	ctx, cancel := context.WithTimeout(ctx, heldTimeout)
	defer cancel()
	members := n.mesh.View().Members
	out := make([]api.Usage, len(members))
	_ = peers.Each(ctx, len(members), func(ctx context.Context, i int) error {
		m := members[i]
		if m.ID == n.id {
			out[i] = *n.usage()
			return nil
		}
		u, err := n.api.At(m.APIAddr()).Hop().Usage(ctx)
		if err != nil || len(u) != 1 {
			out[i] = api.Usage{Node: string(m.ID), Error: "it does not answer"}
			return nil
		}
		out[i] = u[0]
		return nil
	})
	return out
}
