package storage

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/replicas"
	"github.com/pondmesh/pond/fs/replica"
)

// forgetNodes has nodes be no places of copies any more that are gone for good.
func (s *Server) forgetNodes(_ http.ResponseWriter, r *http.Request) (any, error) {
	var nodes []replica.Node
	for _, n := range r.URL.Query()["node"] {
		nodes = append(nodes, replica.Node(n))
	}
	subject := clipped(strings.Join(r.URL.Query()["node"], ", "))
	err := s.c.Copies.Forget(r.Context(), nodes)
	s.note(r, "forget", subject, err)
	switch {
	case errors.Is(err, replicas.ErrThere):
		return nil, &plan.Error{Kind: plan.KindExists, Op: "forget", Subject: subject, Text: err.Error(), Hint: "one that is to hold no copies is drained: pondnode fs drain NODE; one that died just now is seen to be gone within seconds"}
	case errors.Is(err, replicas.ErrNoPlace):
		return nil, &plan.Error{Kind: plan.KindNotFound, Op: "forget", Subject: subject, Text: err.Error(), Hint: "pondnode fs status names those that do not answer"}
	case errors.Is(err, replicas.ErrMoving):
		return nil, &plan.Error{Kind: plan.KindUnavailable, Op: "forget", Subject: subject, Text: err.Error(), Hint: "try again when they are carried out: pondnode fs status"}
	case err != nil:
		return nil, told("forget", subject, err)
	}
	return s.everywhere(r, func(ctx context.Context, p *api.Peer) (*api.Storage, error) { return p.Storage(ctx) }), nil
}
