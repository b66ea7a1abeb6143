package actors

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/edge"
	"github.com/pondmesh/pond/actors/grains"
	"github.com/pondmesh/pond/actors/kinds"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/mesh"
	"github.com/pondmesh/pond/mesh/offers"
)

// openGrains starts the actors of users.
func (n *Node) openGrains() {
	n.grains = grains.Open(grains.Config{
		Self: string(n.id), System: n.wire.System(), Kinds: n.cfg.Kinds, Registers: n.registers, Idle: n.cfg.ActorIdle, Log: n.log,
		View: func() ([]grains.Member, <-chan struct{}) {
			v := n.mesh.View()
			out := make([]grains.Member, 0, len(v.Members))
			for _, m := range v.Members {
				out = append(out, grains.Member{Node: string(m.ID), Addr: m.APIAddr(), Zone: m.Zone, Leaving: m.State == mesh.Leaving, Offers: m.Offers})
			}
			return out, v.Superseded()
		},
		Call: n.callActor,
	})
}

// hasElsewhere reports whether some node has a Go function of that name.
func (n *Node) hasElsewhere(name string) bool {
	return slices.ContainsFunc(n.mesh.View().Members, func(m mesh.Member) bool { return m.Offers.Has(offers.Func(name)) })
}

// callActor has another node deliver a message.
func (n *Node) callActor(ctx context.Context, addr, kind, key string, msg []byte) ([]byte, error) {
	reply, err := n.api.At(addr).Hop().Actor(ctx, kind, key, msg)
	if err == nil {
		return reply, nil
	}
	if pe := plan.AsError(err); api.Broken(err) || pe.Op == api.OpStart {
		return nil, &plan.Error{Kind: plan.KindUnavailable, Op: kinds.OpActivate, Subject: kind + "/" + key, Text: pe.Text}
	}
	return nil, err
}

// postActor has an actor receive the body, wherever it lives; from another node, here.
func (s *server) postActor(w http.ResponseWriter, r *http.Request) (any, error) {
	msg, err := edge.Body(r) // the actor's bounds count it from here on
	if err != nil {
		return nil, err
	}
	ctx := r.Context()
	if d, err := time.ParseDuration(r.URL.Query().Get(api.WaitQuery)); err == nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	call := s.n.grains.Call
	if r.Header.Get(api.HopHeader) != "" {
		call = s.n.grains.Deliver
	}
	reply, err := call(ctx, r.PathValue("kind"), r.PathValue("key"), msg)
	if err != nil {
		return nil, err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(reply)
	return nil, nil
}
