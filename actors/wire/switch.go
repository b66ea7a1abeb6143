package wire

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
)

// Switch joins the Wires of one process, for programs that hold several nodes:
// tests above all. Messages are encoded, checked and answered as they are over
// the network; only the network is missing. Several remotes in one process
// would do too, but each that starts sets gRPC's global logger, which the race
// detector reports. The zero value is ready.
type Switch struct {
	mu    sync.Mutex
	wires map[string]*Wire
	port  int // the last one given away
}

// join opens a Wire. A port of 0 becomes one that no other Wire has.
func (s *Switch) join(c Config) (*Wire, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	port := c.Port
	for port == 0 || c.Port == 0 && s.wires[address(c, port)] != nil {
		s.port++
		port = s.port
	}
	if s.wires[address(c, port)] != nil {
		return nil, fmt.Errorf("wire: join as %s: %w", address(c, port), ErrPortInUse)
	}
	if s.wires == nil {
		s.wires = map[string]*Wire{}
	}
	w := newWire(c, port)
	w.net = &socket{s, w}
	s.wires[w.addr] = w
	return w, nil
}

func address(c Config, port int) string { return net.JoinHostPort(c.Advertise, strconv.Itoa(port)) }

func (s *Switch) find(addr string) *Wire {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wires[addr]
}

// leave takes w out and returns those that stay.
func (s *Switch) leave(w *Wire) []*Wire {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.wires, w.addr)
	others := make([]*Wire, 0, len(s.wires))
	for _, o := range s.wires {
		others = append(others, o)
	}
	return others
}

// socket is one Wire's carrier.
type socket struct {
	sw   *Switch
	wire *Wire
}

func (k *socket) carry(addr string, env *Envelope) error {
	to := k.sw.find(addr)
	if to == nil {
		k.wire.links.forget(addr)
		return errors.New("no connection: no node of this process has that address")
	}
	if err := to.receive(env); err != nil {
		to.refuse(env, err)
	}
	return nil
}

func (k *socket) lost(addr string, reason error) {
	k.wire.links.lost(addr, reason)
	k.wire.links.forget(addr)
}

func (k *socket) close(bool) {
	for _, o := range k.sw.leave(k.wire) {
		o.net.lost(k.wire.addr, errGone)
	}
}
