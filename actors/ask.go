package actors

import (
	"context"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/jobs"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/wire"
)

// coordinatorReply bounds the waiting for a coordinator's answer.
const coordinatorReply = 30 * time.Second

// driver is a coordinator as others here reach it: see jobs.Driver.
type driver struct {
	root *actor.RootContext
	pid  *actor.PID
}

func (d driver) Send(msg any) { d.root.Send(d.pid, msg) }
func (d driver) Stop()        { d.root.Stop(d.pid) }
func (d driver) Close()       { _ = d.root.StopFuture(d.pid).Wait() }

// newDriver spawns the coordinator of a job's term.
func (n *Node) newDriver(r *jobs.Job) (jobs.Driver, error) {
	root, term := n.wire.System().Root, r.Term.Number()
	props := actor.PropsFromProducer(func() actor.Actor { return &coordinator{n: n, hosted: r, term: term} })
	pid, err := root.SpawnNamed(props, fmt.Sprintf("coordinator-%s-%d", r.Spec.ID, term))
	return driver{root, pid}, err
}

// packet asks a job's coordinator for a stage.
func (n *Node) packet(ctx context.Context, id plan.JobID, term uint64, stage int, version uint64) (*api.Packet, error) {
	r := n.jobs.Get(id)
	if r == nil {
		return nil, n.elsewhere(id)
	}
	reply := make(chan packetReply, 1)
	r.Send(&packetMsg{term: term, stage: stage, version: version, reply: reply})
	return wait(ctx, n, reply, func(p packetReply) (*api.Packet, error) { return p.packet, p.err })
}

// handOver hands a worker's message to the job's coordinator and waits for its
// answer. That the wire bounds how many handlers wait bounds its mailbox.
func (n *Node) handOver(ctx context.Context, h *wire.Header, from wire.Peer, msg proto.Message) (proto.Message, error) {
	id := plan.JobID(h.GetJob())
	r := n.jobs.Get(id)
	if r == nil {
		return nil, n.elsewhere(id)
	}
	if s, _ := r.Status(); s.State.Ended() {
		return nil, peers.NoJob(id)
	}
	reply := make(chan grantReply, 1)
	r.Send(&nodeMsg{from: from, header: h, msg: msg, reply: reply})
	return wait(ctx, n, reply, func(g grantReply) (proto.Message, error) { return g.grant, g.err })
}

// elsewhere is the error of a job that this node does not drive. Unless it is known to
// have ended, another node drives it or is about to: what was made for it is to be kept.
func (n *Node) elsewhere(id plan.JobID) error {
	if rec := n.records.Get(id); rec != nil && rec.Status != nil {
		return peers.NoJob(id)
	}
	return &plan.Error{Kind: plan.KindFenced, Op: "job", Subject: string(id), Text: "this node does not coordinate the job any more"}
}

// latestTerm is the highest term of a job that this node has heard of: as one that runs
// its tasks, keeps its record, or drives it.
func (n *Node) latestTerm(ctx context.Context, id plan.JobID) (uint64, error) {
	reply := make(chan uint64, 1)
	n.wire.System().Root.Send(n.worker, &termMsg{job: id, reply: reply})
	latest, err := wait(ctx, n, reply, func(term uint64) (uint64, error) { return term, nil })
	if rec := n.records.Get(id); rec != nil {
		latest = max(latest, rec.Term)
	}
	if r := n.jobs.Get(id); r != nil {
		latest = max(latest, r.Term.Number())
	}
	return latest, err
}

// wait waits for an actor's answer, but not for ever.
func wait[R, T any](ctx context.Context, n *Node, reply <-chan R, f func(R) (T, error)) (T, error) {
	var zero T
	t := time.NewTimer(coordinatorReply)
	defer t.Stop()
	select {
	case r := <-reply:
		return f(r)
	case <-ctx.Done():
		return zero, context.Cause(ctx)
	case <-t.C:
		return zero, &plan.Error{Kind: plan.KindUnavailable, Op: "ask the coordinator", Text: "no answer in time"}
	case <-n.ctx.Done():
		return zero, &plan.Error{Kind: plan.KindUnavailable, Op: "ask the coordinator", Text: "the node is stopping"}
	}
}
