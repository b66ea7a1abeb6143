package wire

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// links are the connections to peers and the calls that wait on them, under one
// lock, so that a call is either refused because its peer is down or failed
// when its peer goes down, never forgotten between the two.
//
// A peer's life follows that of remote's endpoint for its address:
//
//	enqueue ──▶ coming up ──attach──▶ up ──┐
//	                │                      ├─ down: its calls fail, sends are refused
//	                └──────────────────────┘      │
//	          (gone) ◀── forget: EndpointTerminatedEvent, remote has let go of it
//
// Invariant: an address has at most one endpoint in remote. It holds because
// nothing is sent between down and forget, and because remote publishes that
// event exactly once an endpoint (as long as nobody else publishes any, and no
// server says anything after its first answer: outStream sees to it).
type links struct {
	mu     sync.Mutex
	peers  map[string]*peer
	calls  map[uint64]*call
	lastID uint64
	ended  error         // set by end: nothing begins any more
	wake   chan struct{} // capacity 1: something has ended
}

type peer struct {
	addr   string
	pid    *actor.PID // of its router
	err    error      // why it is down; nil: up, or coming up
	queued int        // bytes given to remote and not yet to the stream
	stream *outStream // nil until attach
	cancel context.CancelFunc
}

// call is a request that waits. Exactly one answer is put into done.
type call struct {
	id   uint64
	peer *peer // nil: this node itself
	done chan answer
}

type answer struct {
	env *Envelope
	err error
}

func newLinks() *links {
	var seed [8]byte
	rand.Read(seed[:]) // never fails
	return &links{
		peers: map[string]*peer{},
		calls: map[uint64]*call{},
		// Ids start anywhere, so that no answer to an earlier boot fits.
		lastID: binary.LittleEndian.Uint64(seed[:]),
		wake:   make(chan struct{}, 1),
	}
}

var (
	errBusy = errors.New("busy")
	errGone = errors.New("connection lost")
)

// poke tells Close to look again.
func (l *links) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// begin opens a call to addr, or to this node itself when addr is empty.
func (l *links) begin(addr string) (*call, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		return nil, l.ended
	}
	if len(l.calls) >= callsMax {
		return nil, fmt.Errorf("%w: %d calls wait for an answer", errBusy, len(l.calls))
	}
	c := &call{done: make(chan answer, 1)}
	if addr != "" {
		p, err := l.peer(addr)
		if err != nil {
			return nil, err
		}
		c.peer = p
	}
	l.lastID++
	c.id = l.lastID
	l.calls[c.id] = c
	return c, nil
}

// enqueue accounts for a message of size bytes that is about to be given to
// remote, and returns its peer.
func (l *links) enqueue(addr string, size int) (*peer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, err := l.peer(addr)
	if err != nil {
		return nil, err
	}
	if p.queued+size > outboundBytesMax {
		return nil, fmt.Errorf("%w: %d bytes wait to be sent", errBusy, p.queued)
	}
	p.queued += size
	return p, nil
}

// peer finds or makes a peer that is not down. The lock is held.
func (l *links) peer(addr string) (*peer, error) {
	if l.ended != nil {
		return nil, l.ended
	}
	p := l.peers[addr]
	if p == nil {
		if len(l.peers) >= peersMax {
			return nil, fmt.Errorf("%w: connected to %d peers", errBusy, len(l.peers))
		}
		p = &peer{addr: addr, pid: actor.NewPID(addr, routerName)}
		l.peers[addr] = p
	}
	return p, p.err
}

// sent: the stream has taken so many bytes of messages.
func (l *links) sent(p *peer, size int) {
	l.mu.Lock()
	p.queued -= size
	l.mu.Unlock()
	l.poke()
}

// finish gives the waiting caller its answer; false: nobody waits (any more).
func (l *links) finish(id uint64, a answer) bool {
	l.mu.Lock()
	c := l.calls[id]
	delete(l.calls, id)
	l.mu.Unlock()
	if c == nil {
		return false
	}
	c.done <- a // capacity 1, and only whoever took c out of the map sends
	l.poke()
	return true
}

// attach hands over the means to end the stream that is being opened to addr.
func (l *links) attach(addr string, cancel context.CancelFunc) (*peer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.peers[addr]
	if p == nil {
		return nil, errGone
	}
	p.cancel = cancel
	return p, p.err
}

func (l *links) opened(p *peer, s *outStream) {
	l.mu.Lock()
	p.stream = s
	l.mu.Unlock()
}

// down ends a peer: its calls fail now and its stream is cut. The first reason
// is kept.
func (l *links) down(p *peer, reason error) {
	l.mu.Lock()
	cancel := l.fail(p, reason)
	l.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	l.poke()
}

// lost is down for an address, if there is anything to it.
func (l *links) lost(addr string, reason error) {
	l.mu.Lock()
	p := l.peers[addr]
	l.mu.Unlock()
	if p != nil {
		l.down(p, reason)
	}
}

// forget: remote has let go of the address; the next message connects anew.
func (l *links) forget(addr string) {
	l.mu.Lock()
	p := l.peers[addr]
	delete(l.peers, addr)
	var cancel context.CancelFunc
	if p != nil {
		cancel = l.fail(p, errGone)
	}
	l.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	l.poke()
}

// fail marks p and answers its calls. The lock is held.
func (l *links) fail(p *peer, reason error) context.CancelFunc {
	if p.err == nil {
		p.err = reason
	}
	for id, c := range l.calls {
		if c.peer == p {
			delete(l.calls, id)
			c.done <- answer{err: p.err}
		}
	}
	return p.cancel
}

// end fails every call and refuses all that would begin.
func (l *links) end(reason error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = reason
	for id, c := range l.calls {
		delete(l.calls, id)
		c.done <- answer{err: reason}
	}
}

// all returns the peers there are.
func (l *links) all() []*peer {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]*peer, 0, len(l.peers))
	for _, p := range l.peers {
		out = append(out, p)
	}
	return out
}

// waiting: how many calls are unanswered, and bytes unsent to peers that are up.
func (l *links) waiting() (calls, bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.peers {
		if p.err == nil {
			bytes += p.queued
		}
	}
	return len(l.calls), bytes
}

// closed: no peer has a stream any more.
func (l *links) closed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.peers {
		if p.stream != nil {
			return false
		}
	}
	return true
}

// hangUp ends a peer's stream in order, if it has one.
func (l *links) hangUp(p *peer) {
	l.mu.Lock()
	s := p.stream
	l.mu.Unlock()
	if s != nil {
		_ = s.CloseSend() // its end, or failure, shows in RecvMsg
	}
}

// settle waits until done holds; it looks whenever something has ended. One
// goroutine at a time may wait.
func (l *links) settle(ctx context.Context, done func() bool) error {
	for !done() {
		select {
		case <-l.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (l *links) settleShortly(done func() bool) {
	ctx, stop := context.WithTimeout(context.Background(), hangUpTimeout)
	defer stop()
	_ = l.settle(ctx, done)
}
