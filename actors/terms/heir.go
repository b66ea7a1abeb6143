package terms

import (
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/mesh"
)

// DriverOf is a member as the driver of jobs.
func DriverOf(m mesh.Member) api.Driver { return api.Driver{Node: string(m.ID), Boot: string(m.Boot)} }

// Gone reports whether a driver does not drive any more: its node is not in the
// view, was started again, or is on its way out.
func Gone(v *mesh.View, d api.Driver) bool {
	m, ok := v.Find(mesh.NodeID(d.Node))
	return !ok || m.State != mesh.Alive || DriverOf(m) != d
}

// Turn is how many living nodes are to take the recorded job over before self does:
// those that stand before it among the job's homes. A node that is none of them
// comes after all. ok is false when self is not to take it over at all: it is
// leaving.
func Turn(v *mesh.View, rec *api.Record, self mesh.NodeID) (turn int, ok bool) {
	if m, here := v.Find(self); !here || m.State != mesh.Alive {
		return 0, false
	}
	for _, home := range rec.Homes {
		if home == string(self) {
			return turn, true
		}
		if m, here := v.Find(mesh.NodeID(home)); here && m.State == mesh.Alive {
			turn++
		}
	}
	return turn + 1, true // a home may be about to come back
}
