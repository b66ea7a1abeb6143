package api

import (
	"context"
	"net/http"

	"github.com/pondmesh/pond/fs/faults"
)

// ChaosKeyHeader carries the key with which the node's process was started. Without it
// the node's routes for faults do not exist.
const ChaosKeyHeader = "Pond-Chaos-Key"

// chaosKey is of the key in a call's context.
type chaosKey struct{}

const faultsPath = "/v1/faults"

// ArmFault arms a fault at the node, whose key it takes. What cannot be armed is of
// plan.KindUser; without the right key it is plan.KindNotFound.
func (p *Peer) ArmFault(ctx context.Context, key string, o faults.Order) error {
	_, err := call[struct{}](context.WithValue(ctx, chaosKey{}, key), &p.Client, http.MethodPost, faultsPath, &o)
	return err
}

// Faults are those that are armed, and what came of them.
func (p *Peer) Faults(ctx context.Context, key string) ([]faults.State, error) {
	return p.faults(ctx, key, http.MethodGet)
}

// DisarmFaults is Faults, and none is armed any more.
func (p *Peer) DisarmFaults(ctx context.Context, key string) ([]faults.State, error) {
	return p.faults(ctx, key, http.MethodDelete)
}

func (p *Peer) faults(ctx context.Context, key, method string) ([]faults.State, error) {
	s, err := call[[]faults.State](context.WithValue(ctx, chaosKey{}, key), &p.Client, method, faultsPath, nil)
	if err != nil {
		return nil, err
	}
	return *s, nil
}
