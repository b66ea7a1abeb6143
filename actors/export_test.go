package actors

import (
	"context"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/auth"
	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/given"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/actors/registers"
	"github.com/pondmesh/pond/actors/replicas"
	"github.com/pondmesh/pond/actors/token"
)

// Forget has the node's worker drop every job, as it does when it has lost sight
// of their coordinators.
func (n *Node) Forget() { n.wire.System().Root.Send(n.worker, &abandonMsg{}) }

// WireAddr is where the node takes messages of other nodes.
func (n *Node) WireAddr() string { return n.wire.Addr() }

// Authorization is what another node calls this one's API with.
func (n *Node) Authorization() string { return n.authorizationAt(n.APIAddr()) }

// WireAuthorization is Authorization for its actor port.
func (n *Node) WireAuthorization() string { return n.authorizationAt(n.WireAddr()) }

// TokenOf is a token for a user.
func (n *Node) TokenOf(id auth.Identity) string { return n.cfg.Secret.Token(token.Claim{Identity: id}) }

func (n *Node) authorizationAt(addr string) string {
	text, err := n.api.Authorization(addr)
	if err != nil {
		panic(err)
	}
	return text
}

// CloseStore has whatever this node would store fail.
func (n *Node) CloseStore() error { return n.store.Close() }

// Jobs lists the jobs that any node knows, newest first.
func (n *Node) Jobs(ctx context.Context) ([]api.JobStatus, error) { return n.peers.All(ctx) }

// SetDuckDB has what wrap makes of the node's DuckDB plan.
func (n *Node) SetDuckDB(wrap func(prepare.DuckDB) prepare.DuckDB) {
	n.planner = prepare.New(wrap(n.runner.DuckDB), n.runner.Tasks, n.rules, n.log)
	n.jobs.Planner = n.planner
}

// Registers are the node's.
func (n *Node) Registers() *registers.Registers { return n.registers }

// Replicas are the node's part in the pond's copies.
func (n *Node) Replicas() *replicas.Replicas { return n.replicas }

// OwnJobID is an id for a job that this node is to coordinate.
func (n *Node) OwnJobID() plan.JobID { return n.jobs.NewID() }

// RecordedWait is what is recorded here of a job's wait.
func (n *Node) RecordedWait(id plan.JobID) api.Wait {
	if rec := n.records.Get(id); rec != nil {
		return rec.Wait
	}
	return 0
}

// LastStage is the stage of a job that makes its result.
func (n *Node) LastStage(ctx context.Context, id plan.JobID) (plan.StageID, error) {
	job, err := n.jobs.Plan(ctx, id)
	if err != nil {
		return "", err
	}
	return job.Stages[len(job.Stages)-1].ID, nil
}

// RunGiven runs the first task of the packet's stage, as if its coordinator, a node of
// this pond, had granted it.
func (n *Node) RunGiven(ctx context.Context, p *api.Packet) error {
	packets := given.New(p.ID, given.Source{Fetch: func(_ int, _ uint64, done func(*api.Packet, error)) { done(p, nil) }}, n.rules)
	id := plan.AttemptID{Task: plan.TaskID{Stage: p.Stage().ID}, Attempt: 1}
	_, err := n.machine.Run(ctx, exec.Attempt{Job: p.ID, ID: id, Stage: p.Index, Memory: 256 << 20, Threads: 1}, packets.For(0, p.Lineage))
	return err
}
