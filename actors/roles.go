package actors

import (
	"net/http"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/audit"
	"github.com/pondmesh/pond/actors/auth"
	"github.com/pondmesh/pond/actors/edge"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// ready is nil once this node has joined. Clients hear of other nodes.
func (n *Node) ready(reply http.Header, r *http.Request) error {
	if !n.up.Load() {
		return &plan.Error{Kind: plan.KindUnavailable, Op: api.OpStart, Text: "this node is starting: none of its peers has answered yet"}
	}
	if r.Header.Get(api.HopHeader) == "" {
		if others := n.peers.Others(); others != "" {
			reply.Set(api.NodesHeader, others)
		}
	}
	return nil
}

// submitRoute is where jobs are handed in: whoever may not is noted, as others are.
const submitRoute = "POST /v1/jobs"

func (n *Node) denied(r *http.Request, by auth.Identity, why error) {
	if r.Pattern == submitRoute {
		audit.New(r, by, nil).End(r.Context(), n.log, why)
	}
}

// owned runs f for a job's owner, and for admins.
func (s *server) owned(f jobHandler) jobHandler {
	return func(w http.ResponseWriter, r *http.Request, id plan.JobID) (any, error) {
		st, err := s.n.jobs.Status(id)
		if err != nil {
			return nil, err
		}
		if !edge.CallerOf(r).Owns(st.Owner) {
			return nil, api.Foreign(r.Method, string(id))
		}
		return f(w, r, id)
	}
}

// shown is as much of a job's status as the caller may see.
func shown(r *http.Request, st *api.JobStatus) *api.JobStatus {
	if edge.CallerOf(r).Owns(st.Owner) {
		return st
	}
	return st.Outline()
}

// readable is what a caller may read of the segments here: nodes all, whom it is to be
// quick for; others what their jobs have made, and admins of everybody's.
func (n *Node) readable(r *http.Request) transfer.Source {
	by := edge.CallerOf(r)
	if by.May(auth.Node) {
		return n.segments
	}
	return n.segments.For(by.Owns)
}
