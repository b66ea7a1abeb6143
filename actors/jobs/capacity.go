package jobs

import (
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/mesh"
)

// Capacity returns the resources that the live nodes of a view offer a job.
func Capacity(v *mesh.View) api.Capacity {
	var nodes []prepare.NodeSize
	for _, m := range v.Members {
		if m.State == mesh.Alive {
			nodes = append(nodes, prepare.NodeSize{Slots: m.Slots, Memory: m.Memory})
		}
	}
	return prepare.CapacityOf(nodes...)
}
