package peers

import (
	"log/slog"
	"sync/atomic"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/mesh"
	"github.com/pondmesh/pond/mesh/ring"
)

// Peers are the other nodes, as one node sees them. It is safe for concurrent use;
// its fields are set before that and never changed.
type Peers struct {
	Self mesh.NodeID
	View func() *mesh.View // the latest
	API  *api.Peer
	Here func() []api.JobStatus // the jobs that this node knows
	Log  *slog.Logger

	trust  trust
	others atomic.Pointer[others]
}

// homeReplicas is how many nodes keep a job's record.
const homeReplicas = 3

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

// Homes are a job's home replicas, by rank, and all other nodes.
func (p *Peers) Homes(id plan.JobID) (homes, others []mesh.Member) {
	v := p.View()
	isHome := map[mesh.NodeID]bool{}
	for _, r := range ring.Rank(ringNodes(v), string(id), homeReplicas) {
		m, _ := v.Find(mesh.NodeID(r.ID))
		isHome[m.ID] = true
		homes = append(homes, m)
	}
	for _, m := range v.Members {
		if !isHome[m.ID] {
			others = append(others, m)
		}
	}
	return homes, others
}

// ownJobHashesMax bounds the work of finding an id: a millisecond.
const ownJobHashesMax = 10_000

// OwnJobID makes up the id of a job whose first home is this node. In a pond so
// large that such an id is hard to find it may be another.
func (p *Peers) OwnJobID() plan.JobID {
	id, nodes := api.NewJobID(), ringNodes(p.View())
	for range ownJobHashesMax / max(len(nodes), 1) {
		if first := ring.Rank(nodes, string(id), 1); len(first) > 0 && first[0].ID == string(p.Self) {
			break
		}
		id = api.NewJobID()
	}
	return id
}
