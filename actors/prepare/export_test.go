package prepare

import (
	"context"

	"github.com/pondmesh/pond/actors/plan"
)

// Locate is locate.
func (p *Planner) Locate(ctx context.Context, in *plan.Plan) (*plan.Plan, error) {
	return p.locate(ctx, in)
}
