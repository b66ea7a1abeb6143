package actors

import (
	"context"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/given"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/report"
	"github.com/pondmesh/pond/actors/sched"
	"github.com/pondmesh/pond/actors/wire"
	"github.com/pondmesh/pond/mesh"
	"github.com/pondmesh/pond/shuffle"
)

// onNode answers a worker. Every answer is a Grant: a report frees a slot, so
// it may pull one task as well.
func (c *coordinator) onNode(ctx actor.Context, m *nodeMsg) {
	if c.d == nil || c.finished {
		m.reply <- grantReply{grant: &wire.Grant{Header: c.header()}}
		return
	}
	if m.header.GetTerm() != c.term {
		m.reply <- grantReply{err: &plan.Error{Kind: plan.KindFenced, Op: "report", Subject: string(c.hosted.Spec.ID), Text: fmt.Sprintf("term %d is not %d", m.header.GetTerm(), c.term)}}
		return
	}
	node, ok := c.crew.Find(mesh.NodeID(m.from.Node))
	if !ok {
		m.reply <- grantReply{err: &plan.Error{Kind: plan.KindUnavailable, Op: "report", Subject: m.from.Node, Text: "the coordinator does not see this node yet"}}
		return
	}
	c.crew.Heard(node.ID, time.Now())
	c.step(ctx, sched.Tick{Now: c.now()})
	slots := 0
	switch msg := m.msg.(type) {
	case *wire.Pull:
		if slots = min(int(msg.GetSlots()), wire.RunsMax); msg.GetSmall() && !c.small() {
			slots = 0
		}
		c.step(ctx, sched.Alive{Node: sched.NodeID(node.ID), Boot: sched.Boot(node.Boot), Running: runningOf(msg.GetRunning())})
	case *wire.Failed:
		te := wire.FromProto(msg.GetError())
		slots = int(msg.GetSlots())
		c.log.Debug("attempt failed", "attempt", msg.GetTask().AttemptID(), "node", node.ID, "err", te)
		if given, up := c.timeUp(clockSlack); up && te.Kind == plan.KindDeadline { // which its node has noticed first
			c.step(ctx, sched.Deadline{Millis: given})
		} else {
			c.step(ctx, sched.Failed{Attempt: msg.GetTask().AttemptID(), Node: sched.NodeID(node.ID), Boot: sched.Boot(node.Boot), Err: te})
		}
	case *wire.Copied:
		c.onCopied(ctx, node, msg)
	case *wire.Done:
		if s := msg.GetSegment(); s != nil && !s.GetStatsInline() {
			c.askParts(ctx, m, node)
			return
		}
		slots = int(msg.GetSlots())
		c.onDone(ctx, node, msg, nil)
	}
	c.answer(ctx, m, node, slots)
}

// answer grants up to that many tasks.
func (c *coordinator) answer(ctx actor.Context, m *nodeMsg, node mesh.Member, slots int) {
	g := &wire.Grant{Header: c.header()}
	if slots > 0 {
		g.Runs = c.step(ctx, sched.Pull{Node: sched.NodeID(node.ID), Boot: sched.Boot(node.Boot), Slots: slots})
	}
	m.reply <- grantReply{grant: g}
	c.publishStatus(false)
}

// askParts fetches the parts that a Done had no room for, beside the actor.
func (c *coordinator) askParts(ctx actor.Context, m *nodeMsg, node mesh.Member) {
	root, self := ctx.ActorSystem().Root, ctx.Self()
	id := shuffle.SegmentID(m.msg.(*wire.Done).GetSegment().GetId())
	c.n.goes.Go(func() {
		call, cancel := context.WithTimeout(c.n.ctx, heldTimeout)
		defer cancel()
		parts, err := c.n.api.At(node.APIAddr()).Parts(call, id.String())
		root.Send(self, &partsMsg{m: m, parts: parts, err: err})
	})
}

func (c *coordinator) onParts(ctx actor.Context, p *partsMsg) {
	node, ok := c.crew.Find(mesh.NodeID(p.m.from.Node))
	if c.finished || !ok {
		p.m.reply <- grantReply{grant: &wire.Grant{Header: c.header()}}
		return
	}
	msg := p.m.msg.(*wire.Done)
	if p.err != nil {
		c.step(ctx, sched.Failed{Attempt: msg.GetTask().AttemptID(), Node: sched.NodeID(node.ID), Boot: sched.Boot(node.Boot), Err: plan.AsError(p.err)})
	} else {
		c.onDone(ctx, node, msg, p.parts)
	}
	c.answer(ctx, p.m, node, int(msg.GetSlots()))
}

// onDone tells the Decider of one task's output.
func (c *coordinator) onDone(ctx actor.Context, node mesh.Member, msg *wire.Done, parts *plan.SegmentInfo) {
	c.tally.Ended(int(msg.GetTask().GetStage()), c.now())
	c.step(ctx, sched.Done{Attempt: msg.GetTask().AttemptID(), Node: sched.NodeID(node.ID), Boot: sched.Boot(node.Boot), Lineage: msg.GetTask().GetLineage(), Output: report.Output(msg, parts), Copies: report.Copies(msg)})
	c.acquaint(report.Copies(msg))
	c.adapt(ctx)
}

// onCopied tells the Decider what became of a copy that it asked for.
func (c *coordinator) onCopied(ctx actor.Context, node mesh.Member, msg *wire.Copied) {
	copied := report.Copied(msg, sched.NodeID(node.ID))
	c.step(ctx, copied)
	c.acquaint(copied.Nodes)
}

// acquaint tells nodes that hold copies of the job, so that they keep them until it ends.
// Those that have said something lately know of it.
func (c *coordinator) acquaint(holders []sched.NodeID) {
	for _, id := range holders {
		if c.crew.Quiet(mesh.NodeID(id), time.Now(), silenceMax) {
			c.send(mesh.NodeID(id), c.offer())
		}
	}
}

func runningOf(tasks []*wire.Task) []sched.Running {
	out := make([]sched.Running, len(tasks))
	for i, t := range tasks {
		out[i] = sched.Running{Attempt: t.AttemptID(), Lineage: t.GetLineage()}
	}
	return out
}

// grant is a Run for the wire.
func (c *coordinator) grant(r sched.Run) *wire.Run {
	c.tally.Began(r.Stage, c.now())
	return &wire.Run{Task: wire.NewTask(r.Attempt, r.Stage, r.Lineage), Memory: r.Memory, SpecVersion: r.Version, Threads: int32(r.Threads)}
}

// packet returns the packet that nodes need to run tasks of a stage.
func (c *coordinator) packet(m *packetMsg) (*api.Packet, error) {
	if m.term != c.term {
		return nil, &plan.Error{Kind: plan.KindFenced, Op: "run", Subject: string(c.hosted.Spec.ID), Text: fmt.Sprintf("term %d is not %d", m.term, c.term)}
	}
	if c.d == nil || c.finished || m.stage < 0 || m.stage >= len(c.job.Stages) {
		return nil, peers.NoJob(c.hosted.Spec.ID)
	}
	p := &api.Packet{ID: c.hosted.Spec.ID, Owner: c.hosted.Spec.Owner, Codec: c.hosted.Spec.Options.Codec, Access: c.hosted.Compiled().Access, Staging: c.output.Dir(), Lease: c.output.Lease(), Copies: c.hosted.Spec.Options.Copies.Before()}
	return p, given.Fill(p, c.job, m.stage, c.d, c.crew.Holders)
}
