package actors

import (
	"context"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// packetCache holds the data that a job's tasks of one term on this node share: each stage's
// packet, fetched once a version, and the schemas of the stages that are read.
type packetCache struct {
	n    *Node
	job  plan.JobID
	term uint64 // whose versions the packets have
	addr string // API of the coordinator's node; "": not in the view

	mu      sync.Mutex
	packets map[int]*packetEntry           // by stage: the newest version asked for
	schemas map[plan.StageID]*arrow.Schema // of stages that tasks here read
}

// packetEntry is a packet that is being fetched, or has been: packet or err is set
// once ready is closed, and not changed afterwards.
type packetEntry struct {
	version uint64
	ready   chan struct{}
	packet  *api.Packet
	err     error
	judged  judgement // of packet
}

// newPacketCache asks the coordinator of a term, whose router has that address.
func newPacketCache(n *Node, job plan.JobID, term uint64, router string) *packetCache {
	p := &packetCache{n: n, job: job, term: term, packets: map[int]*packetEntry{}, schemas: map[plan.StageID]*arrow.Schema{}}
	for _, m := range n.mesh.View().Members {
		if m.ActorsAddr() == router {
			p.addr = m.APIAddr()
		}
	}
	return p
}

// get is the packet of a stage, of that version or a newer one.
func (p *packetCache) get(ctx context.Context, stage int, version uint64) (*packetEntry, error) {
	p.mu.Lock()
	e := p.packets[stage]
	if e == nil || e.version < version {
		e = &packetEntry{version: version, ready: make(chan struct{})}
		p.packets[stage] = e
		p.n.goes.Go(func() { p.fetch(e, stage) })
	}
	p.mu.Unlock()
	select {
	case <-e.ready:
		return e, e.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (p *packetCache) fetch(e *packetEntry, stage int) {
	defer close(e.ready)
	switch p.addr {
	case "":
		e.err = &plan.Error{Kind: plan.KindUnavailable, Op: "fetch the stage of", Subject: string(p.job), Text: "its coordinator is not in this node's view"}
	case p.n.APIAddr():
		e.packet, e.err = p.n.jobs.packet(p.n.ctx, p.job, p.term, stage, e.version)
	default:
		e.packet, e.err = p.n.api.At(p.addr).Packet(p.n.ctx, p.job, p.term, stage, e.version)
	}
	if e.err != nil {
		p.mu.Lock()
		if p.packets[stage] == e {
			delete(p.packets, stage) // the next attempt asks again
		}
		p.mu.Unlock()
	}
}

// Schema is the Arrow schema of a stage's output, read from one of its segments.
func (p *packetCache) Schema(ctx context.Context, stage plan.StageID, addr, segment string) (*arrow.Schema, error) {
	p.mu.Lock()
	s := p.schemas[stage]
	p.mu.Unlock()
	if s != nil {
		return s, nil
	}
	s, err := p.n.api.At(addr).Schema(ctx, segment)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.schemas[stage] = s
	return s, nil
}

func (p *packetCache) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.packets)
	clear(p.schemas)
}
