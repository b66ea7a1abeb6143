package faulty

import (
	"encoding/json"
	"net/http"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs/faults"
)

// Orders answers requests about what is armed at a node: each method is the answer of a
// route.
type Orders struct{ Faults *faults.Injector }

// List tells the faults that are armed, and how often each has fired.
func (o Orders) List(http.ResponseWriter, *http.Request) (any, error) { return o.Faults.States(), nil }

// Arm arms the fault that the body describes.
func (o Orders) Arm(_ http.ResponseWriter, r *http.Request) (any, error) {
	var order faults.Order
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(&order)
	if err == nil {
		err = o.Faults.Arm(order)
	}
	if err != nil {
		return nil, &plan.Error{Kind: plan.KindUser, Op: "arm a fault", Subject: string(order.Point), Text: err.Error(), Hint: "pondnode chaos list shows the points"}
	}
	return struct{}{}, nil
}

// Disarm disarms all, and tells what they were.
func (o Orders) Disarm(http.ResponseWriter, *http.Request) (any, error) {
	return o.Faults.Disarm(), nil
}
