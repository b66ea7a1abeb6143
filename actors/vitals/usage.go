package vitals

import (
	"context"
	"path/filepath"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/setup"
	"github.com/pondmesh/pond/fs"
)

// usageTimeout bounds the asking of the other nodes.
const usageTimeout = 5 * time.Second

// Usage is what the node holds on disk.
func (v *Vitals) Usage() *api.Usage {
	u := &api.Usage{Node: string(v.Peers.Self)}
	add := func(kind string, bytes, count int64) {
		u.Kinds = append(u.Kinds, api.KindUsage{Kind: kind, Bytes: bytes, Count: count})
	}
	live, kept, copies := v.Segments()
	add(api.UsageLive, live.Bytes, live.Count)
	add(api.UsageKept, kept.Bytes, kept.Count)
	v.bound(u, v.Config.CacheMax)
	add(api.UsageCopies, copies.Bytes, copies.Count)
	bytes, count := v.Store.Usage() // segments and records
	add(api.UsageRecords, max(bytes-live.Bytes-kept.Bytes-copies.Bytes, 0), max(count-live.Count-kept.Count-copies.Count, 0))
	v.bound(u, v.Config.RecordsMax)
	bytes, count = v.Staged()
	drafts, files := v.folder(setup.DraftsDir)
	puts, begun := v.folder(setup.PutsDir)
	add(api.UsageStaged, bytes+drafts+puts, count+files+begun)
	bytes, count = v.folder(setup.SpillDir)
	add(api.UsageSpill, bytes, count)
	for _, s := range v.Disks.States() {
		d := api.DiskUsage{Dir: s.Dir, ID: s.ID, Bytes: s.Bytes, Count: s.Count, Free: s.Free, Total: s.Total, Aside: s.Aside}
		if s.Err != nil {
			d.Error = "out of use: " + s.Err.Error()
		}
		u.Disks = append(u.Disks, d)
	}
	return u
}

// folder is what files in a folder of the node's take.
func (v *Vitals) folder(name string) (bytes, count int64) {
	bytes, count, err := fs.DirUsage(filepath.Join(v.Config.Dir, name))
	if err != nil {
		v.Log.Debug("looking at what a folder takes", "folder", name, "err", err)
	}
	return bytes, count
}

// bound adds the limits of what ended jobs leave to the kind that was added last.
func (v *Vitals) bound(u *api.Usage, most int64) {
	k := &u.Kinds[len(u.Kinds)-1]
	k.Max, k.KeepMillis = most, max(v.Config.KeepFor.Milliseconds(), 0)
}

// AllUsage is what each node of the view holds. One that does not answer says so.
func (v *Vitals) AllUsage(ctx context.Context) []api.Usage {
	ctx, cancel := context.WithTimeout(ctx, usageTimeout)
	defer cancel()
	answers := peers.Ask(ctx, v.Peers, v.Peers.View().Members, "what it stores", func() []api.Usage { return []api.Usage{*v.Usage()} },
		func(ctx context.Context, p *api.Peer) ([]api.Usage, error) { return p.Hop().Usage(ctx) })
	out := make([]api.Usage, len(answers))
	for i, a := range answers {
		if out[i] = (api.Usage{Node: string(a.Node.ID), Error: a.Why()}); a.Err == nil && len(a.Said) == 1 {
			out[i] = a.Said[0]
		}
	}
	return out
}
