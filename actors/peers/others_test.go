package peers

import (
	"slices"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/mesh"
)

// TestOtherAPIs: a client hears of nodes that take work, a bounded number, and not of
// the same ones from each.
func TestOtherAPIs(t *testing.T) {
	v := &mesh.View{}
	for i := range 20 {
		v.Members = append(v.Members, mesh.Member{ID: mesh.NodeID(rune('a' + i)), Host: "h", API: i + 1, State: mesh.Alive})
	}
	v.Members[1].State = mesh.Leaving
	if got := otherAPIs(v, "a"); len(got) != api.NodesMax || got[0] != "h:3" || slices.Contains(got, "h:1") {
		t.Errorf("a names %v", got)
	}
	if got := otherAPIs(v, "s"); got[0] != "h:20" || got[1] != "h:1" || slices.Contains(got, "h:2") {
		t.Errorf("s names %v", got)
	}
	if got := otherAPIs(&mesh.View{Members: v.Members[:1]}, "a"); len(got) != 0 {
		t.Errorf("alone: %v", got)
	}
}
