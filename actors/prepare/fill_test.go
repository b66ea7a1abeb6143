package prepare

import (
	"testing"

	"github.com/pondmesh/pond/actors/plan"
)

// A query's steps take the place of the step that it is.
func TestGraft(t *testing.T) {
	part := &plan.Plan{Nodes: []plan.Node{{ID: "a"}, {ID: "b", Inputs: []plan.NodeID{"a"}}}, Sink: plan.Sink{Input: "b"}}
	got := graft(part, "step2")
	if got[0].ID != "step2/a" || got[1].ID != "step2" || got[1].Inputs[0] != "step2/a" {
		t.Errorf("%+v", got)
	}
}
