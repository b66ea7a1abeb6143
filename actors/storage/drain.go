package storage

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/syserr"
	"github.com/pondmesh/pond/mesh"
)

// drain has a node be no place of copies any more, or be one again.
func (s *Server) drain(_ http.ResponseWriter, r *http.Request) (any, error) {
	node, off := r.URL.Query().Get("node"), r.URL.Query().Get("off") == "true"
	if r.Header.Get(api.HopHeader) != "" {
		return s.drainHere(r.Context(), node, off)
	}
	what := map[bool]string{false: "drain", true: "drain off"}[off]
	out, err := s.drainAt(r, node, off)
	s.note(r, what, node, err)
	return out, err
}

func (s *Server) drainHere(ctx context.Context, node string, off bool) (*api.Storage, error) {
	if self := string(s.c.Peers.Self); node != self {
		return nil, &plan.Error{Kind: plan.KindUser, Op: "drain", Subject: node, Text: fmt.Sprintf("this is node %s", self)}
	}
	if err := s.c.Copies.SetDrained(!off); err != nil {
		return nil, syserr.Own("drain", node, err)
	}
	return &api.Storage{Nodes: []api.StorageNode{s.here(ctx)}}, nil
}

func (s *Server) drainAt(r *http.Request, node string, off bool) (*api.Storage, error) {
	members := s.c.View().Members
	i := slices.IndexFunc(members, func(m mesh.Member) bool { return string(m.ID) == node })
	if i < 0 {
		return nil, &plan.Error{Kind: plan.KindNotFound, Op: "drain", Subject: clipped(node), Text: "no node of this id is there", Hint: "pondnode members lists them"}
	}
	if !off && !s.othersTake(r, node) {
		return nil, &plan.Error{Kind: plan.KindUser, Op: "drain", Subject: node, Text: "no other node is there that takes copies", Hint: "end the drain of another with --off, or have a node join: pondnode fs status shows all"}
	}
	ctx, cancel := context.WithTimeout(r.Context(), statusTimeout)
	defer cancel()
	var failed error
	a := peers.Ask(ctx, s.c.Peers, members[i:i+1], "to drain", func() *api.Storage {
		out, err := s.drainHere(ctx, node, off)
		failed = err
		return out
	}, func(ctx context.Context, p *api.Peer) (*api.Storage, error) { return p.Hop().Drain(ctx, node, off) })[0]
	if failed == nil {
		failed = a.Err
	}
	if failed != nil {
		return nil, failed
	}
	return s.everywhere(r, func(ctx context.Context, p *api.Peer) (*api.Storage, error) { return p.Storage(ctx) }), nil
}

// othersTake reports whether a node but this one answers, stays, and is not drained.
func (s *Server) othersTake(r *http.Request, node string) bool {
	leaves := map[string]bool{}
	for _, m := range s.c.View().Members {
		leaves[string(m.ID)] = m.State != mesh.Alive
	}
	all := s.everywhere(r, func(ctx context.Context, p *api.Peer) (*api.Storage, error) { return p.Storage(ctx) })
	return slices.ContainsFunc(all.Nodes, func(n api.StorageNode) bool {
		return n.Node != node && n.Error == "" && !n.Drained && !leaves[n.Node]
	})
}
