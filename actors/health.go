package actors

import (
	"fmt"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/fair"
	"github.com/pondmesh/pond/actors/metrics"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/mesh"
)

// failed lists what only a restart of this node, or a hand on its machine, can mend.
func (n *Node) failed() (out []api.Problem) {
	if err := n.store.Err(); err != nil {
		out = append(out, api.Problem{Kind: api.StoreFailed, Text: err.Error()})
	}
	if err := n.keeper.Err(); err != nil {
		out = append(out, api.Problem{Kind: api.KeeperFailed, Text: err.Error()})
	}
	return out
}

// unready lists what keeps this node from taking jobs, or from running their tasks.
func (n *Node) unready() []api.Problem {
	out := n.failed()
	if err := n.store.Room(); err != nil {
		out = append(out, api.Problem{Kind: api.DiskFull, Text: err.Error()})
	}
	if !n.up.Load() {
		return append(out, api.Problem{Kind: api.NotJoined, Text: "none of its peers has answered yet"})
	}
	if n.mesh.Self().State == mesh.Leaving {
		out = append(out, api.Problem{Kind: api.IsLeaving, Text: "the node takes no more work, and ends when what needs it has ended"})
	}
	if err := n.jobs.Full(fair.Entrant{}); err != nil {
		out = append(out, api.Problem{Kind: api.QueueFull, Text: plan.AsError(err).Text})
	}
	if err := n.registers.Health(); err != nil {
		out = append(out, api.Problem{Kind: api.NoRegisters, Text: err.Error()})
	} else if all, missing := n.keepers(n.mesh.View()); 2*len(missing) >= len(all) {
		out = append(out, api.Problem{Kind: api.NoMajority, Text: fmt.Sprintf("%d of %d nodes that keep registers are seen here", len(all)-len(missing), len(all))})
	}
	return out
}

// keepers are the nodes that keep registers, and those of them that are not in a view.
func (n *Node) keepers(v *mesh.View) (all, missing []string) {
	all = n.registers.Keepers()
	for _, k := range all {
		if _, alive := v.Find(mesh.NodeID(k)); !alive {
			missing = append(missing, k)
		}
	}
	return all, missing
}

// gauges is how the node stands, for its metrics.
func (n *Node) gauges() metrics.Gauges {
	g := metrics.Gauges{
		Slots: n.cfg.Slots, Running: int(n.running.Load()), MemoryLimit: n.cfg.Memory, Ready: len(n.unready()) == 0, Engines: metrics.Engines(n.runner.Processes()),
		Coordinated: map[string]int{string(api.Queued): 0, string(api.Running): 0},
		Members:     map[string]int{mesh.Alive.String(): 0, mesh.Leaving.String(): 0},
		Stored:      map[string]int64{},
		DiskOK:      map[string]int64{}, DiskFree: map[string]int64{},
	}
	g.Connections, g.Refused = n.edge.Connections()
	g.Waiting, g.JobsMax = n.jobs.Waiting(), n.cfg.JobsMax
	for _, r := range n.jobs.Running() {
		s, _ := r.Status()
		g.Coordinated[string(s.State)]++
	}
	for _, k := range n.usage().Kinds {
		g.Stored[k.Kind] = k.Bytes
	}
	_, g.StoredUploads = n.disks.Usage()
	for _, s := range n.disks.States() {
		if g.DiskOK[s.Dir] = 0; s.Err == nil {
			g.DiskOK[s.Dir], g.DiskFree[s.Dir] = 1, s.Free
		}
	}
	if !n.up.Load() {
		return g
	}
	g.Actors, g.Copies = n.grains.Active(), metrics.Copies(n.replicas.Figures())
	view := n.mesh.View()
	for _, m := range view.Members {
		g.Members[m.State.String()]++
	}
	all, missing := n.keepers(view)
	g.Keepers, g.KeepersAlive = len(all), len(all)-len(missing)
	g.RegistersOK = n.registers.Health() == nil
	return g
}
