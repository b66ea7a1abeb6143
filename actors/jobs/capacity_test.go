package jobs

import (
	"testing"

	"github.com/pondmesh/pond/mesh"
)

// Only nodes that stay take part in a job.
func TestCapacity(t *testing.T) {
	v := &mesh.View{Members: []mesh.Member{{Slots: 1, Memory: 8 << 30}, {Slots: 1, Memory: 70 << 20, State: mesh.Leaving}}}
	if c := Capacity(v); c.Slots != 1 || c.TargetBytes != 128<<20 {
		t.Errorf("%+v", c)
	}
}
