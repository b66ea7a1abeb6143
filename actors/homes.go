package actors

import (
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/mesh"
	"github.com/pondmesh/pond/mesh/ring"
)

// ownJobHashesMax bounds the work of finding an id: a millisecond.
const ownJobHashesMax = 10_000

// ownJobID makes up the id of a job that this node would coordinate. Any id will
// do when it coordinates as many jobs as it has slots, and when the pond is so
// large that such an id is hard to find.
func (n *Node) ownJobID() plan.JobID {
	id := api.NewJobID()
	if len(n.jobs.running()) >= n.cfg.Slots {
		return id
	}
	nodes := ringNodes(n.mesh.View())
	for range ownJobHashesMax / max(len(nodes), 1) {
		if first := ring.Rank(nodes, string(id), 1); len(first) > 0 && first[0].ID == string(n.id) {
			break
		}
		id = api.NewJobID()
	}
	return id
}

// capacity is what the nodes of a view offer a job.
func capacity(v *mesh.View) prepare.Capacity {
	var nodes []prepare.NodeSize
	for _, m := range v.Members {
		if m.State == mesh.Alive {
			nodes = append(nodes, prepare.NodeSize{Slots: m.Slots, Memory: m.Memory})
		}
	}
	return prepare.CapacityOf(nodes...)
}

// ringNodes are those that may be home replicas.
func ringNodes(v *mesh.View) []ring.Node {
	nodes := make([]ring.Node, 0, len(v.Members))
	for _, m := range v.Members {
		if m.State == mesh.Alive {
			nodes = append(nodes, ring.Node{ID: string(m.ID), Zone: m.Zone, Weight: 1})
		}
	}
	return nodes
}

// homes are the API addresses of a job's home replicas, by rank, and those of
// all other nodes.
func (n *Node) homes(id plan.JobID) (homes, others []string) {
	v := n.mesh.View()
	isHome := map[mesh.NodeID]bool{}
	for _, r := range ring.Rank(ringNodes(v), string(id), homeReplicas) {
		m, _ := v.Find(mesh.NodeID(r.ID))
		isHome[m.ID] = true
		homes = append(homes, m.APIAddr())
	}
	for _, m := range v.Members {
		if !isHome[m.ID] {
			others = append(others, m.APIAddr())
		}
	}
	return homes, others
}
