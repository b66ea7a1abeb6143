package dist

import "github.com/pondmesh/pond/actors/plan"

func distribute(q *Query, facts Facts, o Options) (*plan.Job, error) {
	return nil, &errWhole{"it is run whole"}
}
