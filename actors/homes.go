package actors

import (
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/mesh"
	"github.com/pondmesh/pond/mesh/ring"
)

// capacity returns the resources that the live nodes of a view offer a job.
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
