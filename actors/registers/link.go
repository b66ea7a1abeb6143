package registers

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/fs/register"
)

// Bounds of what goes between nodes.
const (
	repliesMax   = 64      // of one operation, not yet looked at
	waitingMax   = 4096    // requests for one node: more are lost, as on a network, and sent again
	batchMax     = 64      // requests of one call
	batchDataMax = 1 << 20 // bytes of their values
	sendersMax   = 2       // calls to one node at once
	askMax       = 2 * time.Second
)

// link carries requests to one node, those that wait together in one call.
type link struct {
	mu      sync.Mutex
	waiting []parcel
	senders int
}

// parcel is a request of an operation, which waits for the reply until ctx ends.
type parcel struct {
	ctx     context.Context
	request register.Request
	replies chan<- register.Reply
}

// send hands requests to the links of their keepers. Those of a keeper whose node has
// never been seen are lost.
func (r *Registers) send(ctx context.Context, out []register.Request, replies chan<- register.Reply) {
	for _, q := range out {
		node := NodeOf(q.To)
		r.mu.Lock()
		l := r.links[node]
		if l == nil {
			l = &link{}
			r.links[node] = l
		}
		r.mu.Unlock()
		l.put(parcel{ctx, q, replies}, func() bool {
			return r.spawn(func() { l.work(func(ps []parcel) { r.deliver(node, ps) }) })
		})
	}
}

// put adds a parcel, and has another sender work if there are too few.
func (l *link) put(p parcel, start func() bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) < waitingMax {
		l.waiting = append(l.waiting, p)
	}
	if l.senders < sendersMax && start() {
		l.senders++
	}
}

// work delivers what waits until nothing does.
func (l *link) work(deliver func([]parcel)) {
	for {
		batch := l.take()
		if batch == nil {
			return
		}
		deliver(batch)
	}
}

// take is what goes with the next call; nil ends the sender.
func (l *link) take() []parcel {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = slices.DeleteFunc(l.waiting, func(p parcel) bool { return p.ctx.Err() != nil })
	n, size := 0, 0
	for n < len(l.waiting) && n < batchMax && size < batchDataMax {
		size += len(l.waiting[n].request.Value.Data)
		n++
	}
	if n == 0 {
		l.senders--
		l.waiting = nil
		return nil
	}
	batch := slices.Clone(l.waiting[:n])
	l.waiting = slices.Delete(l.waiting, 0, n)
	return batch
}

// deliver asks the node, and gives its replies to those who wait for them. What is lost
// is sent again by its operation.
func (r *Registers) deliver(node string, batch []parcel) {
	call := &api.RegisterCall{}
	for _, p := range batch {
		call.Requests = append(call.Requests, p.request)
	}
	reply, err := r.ask(r.ctx, node, call)
	if err != nil || len(reply.Replies) != len(batch) {
		r.cfg.Log.Debug("registers: a node does not answer", "node", node, "requests", len(batch), "err", err)
		return
	}
	for i, p := range batch {
		select {
		case p.replies <- reply.Replies[i]:
		default:
		}
	}
}

// ask calls a node, itself without a network.
func (r *Registers) ask(ctx context.Context, node string, call *api.RegisterCall) (*api.RegisterReply, error) {
	ctx, cancel := context.WithTimeout(ctx, askMax)
	defer cancel()
	if node == r.cfg.Node {
		return r.Answer(ctx, call)
	}
	r.mu.Lock()
	addr := r.addrs[node]
	r.mu.Unlock()
	if addr == "" {
		return nil, fmt.Errorf("registers: the address of node %s is not known", node)
	}
	return r.askAt(ctx, addr, call)
}

// askAt calls whoever is at an address. Both sides tell one another of the roster.
func (r *Registers) askAt(ctx context.Context, addr string, call *api.RegisterCall) (*api.RegisterReply, error) {
	call.Node, call.Roster = r.cfg.Node, r.Roster()
	reply, err := r.cfg.Ask(ctx, addr, call)
	if err != nil {
		return nil, fmt.Errorf("registers: %w", err)
	}
	r.hear(reply.Node, reply.Roster)
	return reply, nil
}

// Answer is what the node answers to another's call.
func (r *Registers) Answer(ctx context.Context, call *api.RegisterCall) (*api.RegisterReply, error) {
	if len(call.Requests) > batchMax {
		return nil, fmt.Errorf("registers: %d requests in one call: %d are possible", len(call.Requests), batchMax)
	}
	for _, q := range call.Requests {
		if err := q.Check(); err != nil {
			return nil, fmt.Errorf("registers: asked by node %s: %w", call.Node, err)
		}
	}
	r.hear(call.Node, call.Roster)
	reply := &api.RegisterReply{Node: r.cfg.Node, Keeper: r.self}
	if err := r.cfg.Keeper.Err(); err != nil {
		reply.Keeper = ""
	} else if len(call.Requests) > 0 {
		if reply.Replies, err = r.cfg.Keeper.Answer(ctx, call.Requests); err != nil {
			return nil, fmt.Errorf("registers: %w", err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if reply.Roster = r.p.Roster(); reply.Roster.Version == 0 {
		reply.Asked, reply.Peers, reply.Named, reply.Missing = r.asked, r.peers, r.named, r.missing
	}
	return reply, nil
}

// hear takes notice of another node's roster.
func (r *Registers) hear(node string, other register.Roster) {
	r.mu.Lock()
	defer r.mu.Unlock()
	own := r.p.Roster()
	switch {
	case node == r.cfg.Node || other.Version == 0:
	case own.Version > 0 && own.Pond != other.Pond:
		if !r.strays[node] {
			r.strays[node] = true
			r.cfg.Log.Error("two ponds have met: this node and another keep different registers, and neither uses the other's; stop one of the ponds, and start its nodes with empty data folders to join",
				"node", node, "its pond", other.Pond, "this pond", own.Pond)
		}
	case other.Newer(own):
		r.p.Learn(other)
		delete(r.strays, node)
		if own.Version == 0 {
			close(r.known)
		}
		r.nudge()
	}
}
