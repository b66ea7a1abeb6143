package storage

import (
	"context"
	"net/http"
	"strings"

	"github.com/pondmesh/pond/actors/api"
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
	if err != nil {
		return nil, told("forget", subject, err)
	}
	return s.everywhere(r, func(ctx context.Context, p *api.Peer) (*api.Storage, error) { return p.Storage(ctx) }), nil
}
