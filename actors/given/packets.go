package given

import (
	"context"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond/actors/access"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// Source is where the packets of a job's term come from.
type Source struct {
	// Fetch asks the coordinator for a stage's packet, of that version or a newer one,
	// and gives the answer to done, once. It does not wait for it.
	Fetch func(stage int, version uint64, done func(*api.Packet, error))
	// Schema is that of a segment at an API's address.
	Schema func(ctx context.Context, addr, segment string) (*arrow.Schema, error)
}

// Packets holds the data that a job's tasks of one term on this node share: each stage's
// packet, fetched once a version, and the schemas of the stages that are read. It is safe
// for concurrent use.
type Packets struct {
	job   plan.JobID
	from  Source
	rules *access.Rules

	mu      sync.Mutex
	packets map[int]*entry                 // by stage: the newest version asked for
	schemas map[plan.StageID]*arrow.Schema // of stages that tasks here read
}

// entry is a packet that is being fetched, or has been: packet or err is set once ready
// is closed, and not changed afterwards.
type entry struct {
	version uint64
	ready   chan struct{}
	packet  *api.Packet
	err     error
	judged  judgement // of packet
}

// New returns the packets of a job's term, none of them fetched yet. The rules are this
// node's.
func New(job plan.JobID, from Source, rules *access.Rules) *Packets {
	return &Packets{job: job, from: from, rules: rules, packets: map[int]*entry{}, schemas: map[plan.StageID]*arrow.Schema{}}
}

// Close forgets what was fetched.
func (p *Packets) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.packets)
	clear(p.schemas)
}

// get waits for the packet of a stage, of that version or a newer one.
func (p *Packets) get(ctx context.Context, stage int, version uint64) (*entry, error) {
	p.mu.Lock()
	e := p.packets[stage]
	asked := e != nil && e.version >= version
	if !asked {
		e = &entry{version: version, ready: make(chan struct{})}
		p.packets[stage] = e
	}
	p.mu.Unlock()
	if !asked {
		p.from.Fetch(stage, version, func(packet *api.Packet, err error) { p.fetched(e, stage, packet, err) })
	}
	select {
	case <-e.ready:
		return e, e.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (p *Packets) fetched(e *entry, stage int, packet *api.Packet, err error) {
	defer close(e.ready)
	if e.packet, e.err = packet, err; err == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.packets[stage] == e {
		delete(p.packets, stage) // the next attempt asks again
	}
}

// schema is the Arrow schema of a stage's output, read from one of its segments.
func (p *Packets) schema(ctx context.Context, stage plan.StageID, addr, segment string) (*arrow.Schema, error) {
	p.mu.Lock()
	s := p.schemas[stage]
	p.mu.Unlock()
	if s != nil {
		return s, nil
	}
	s, err := p.from.Schema(ctx, addr, segment)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.schemas[stage] = s
	return s, nil
}
