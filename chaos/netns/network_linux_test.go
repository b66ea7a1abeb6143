package netns

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// newNetwork makes one, or skips the test with the reason.
func newNetwork(t *testing.T) *Network {
	t.Helper()
	n, err := New()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// listen opens a UDP socket of a host; nil: of this process.
func listen(t *testing.T, n *Network, h *Host) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	addr := n.Addr()
	open := func() (err error) {
		c, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(addr)})
		return err
	}
	do := open
	if h != nil {
		addr = h.Addr()
		do = func() error { return h.Do(open) }
	}
	if err := do(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// arrives sends until one packet arrives, or reports that ten did not.
func arrives(t *testing.T, from, to *net.UDPConn, within time.Duration) bool {
	t.Helper()
	for range 10 {
		if _, err := from.WriteTo([]byte("x"), to.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	if err := to.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 10)
	if _, err := to.Read(b); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return false
		}
		t.Fatal(err)
	}
	for { // the others
		if err := to.SetReadDeadline(time.Now().Add(quiet)); err != nil {
			t.Fatal(err)
		}
		if _, err := to.Read(b); err != nil {
			return true
		}
	}
}

const (
	soon  = 20 * time.Second       // for what must arrive
	quiet = 200 * time.Millisecond // for what must not
)

// Hosts reach one another and this process, until rules say otherwise, in one
// direction or both.
func TestNetwork(t *testing.T) {
	n := newNetwork(t)
	a, err := n.Add()
	if err != nil {
		t.Fatal(err)
	}
	b, err := n.Add()
	if err != nil {
		t.Fatal(err)
	}
	ua, ub, us := listen(t, n, a), listen(t, n, b), listen(t, n, nil)
	for _, pair := range [][2]*net.UDPConn{{ua, ub}, {ub, ua}, {ua, us}, {us, ub}} {
		if !arrives(t, pair[0], pair[1], soon) {
			t.Fatalf("nothing from %v reaches %v", pair[0].LocalAddr(), pair[1].LocalAddr())
		}
	}
	a.Set(&Rule{In: true, Loss: 100})
	if arrives(t, ub, ua, quiet) || !arrives(t, ua, ub, soon) {
		t.Error("a deaf host hears, or is dumb")
	}
	a.Set(&Rule{Out: true, Loss: 100})
	if arrives(t, ua, ub, quiet) || !arrives(t, ub, ua, soon) {
		t.Error("a dumb host speaks, or is deaf")
	}
	a.Set(&Rule{In: true, Out: true, Loss: 100, Ports: []uint16{1}})
	if !arrives(t, ua, ub, soon) {
		t.Error("a rule of other ports counts")
	}
	const late = 300 * time.Millisecond
	a.Set(&Rule{Out: true, Late: late})
	begun := time.Now()
	if !arrives(t, ua, ub, soon) || time.Since(begun) < late {
		t.Error("a packet is not late")
	}
	a.Set(nil)
	if !arrives(t, ua, ub, soon) || !arrives(t, ub, ua, soon) {
		t.Error("the network is not well again")
	}
	if sent, lost := a.Passed(); sent == 0 || lost == 0 {
		t.Errorf("%d packets passed, %d were lost", sent, lost)
	}
}
