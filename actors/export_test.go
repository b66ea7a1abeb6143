package actors

import (
	"context"

	"github.com/pondmesh/pond/actors/api"
)

// Forget has the node's worker drop every job, as it does when it has lost sight
// of their coordinators.
func (n *Node) Forget() { n.wire.System().Root.Send(n.worker, &abandonMsg{}) }

// CloseStore has whatever this node would store fail.
func (n *Node) CloseStore() error { return n.store.Close() }

// Jobs lists the jobs that any node knows, newest first.
func (n *Node) Jobs(ctx context.Context) ([]api.JobStatus, error) { return n.peers.All(ctx) }
