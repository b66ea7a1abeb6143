package netns

import (
	"testing"
	"time"
)

// udpPacket is one of IPv4.
func udpPacket(from, to byte, source, dest uint16) []byte {
	b := make([]byte, headerMin+8)
	b[0], b[9] = 4<<4|5, udp
	a, z := address(7, from), address(7, to)
	copy(b[12:], a[:])
	copy(b[16:], z[:])
	b[20], b[21], b[22], b[23] = byte(source>>8), byte(source), byte(dest>>8), byte(dest)
	return b
}

func TestRead(t *testing.T) {
	p := read(udpPacket(10, 11, 7946, 5000))
	if want := (packet{address(7, 10), address(7, 11), 7946, 5000, true, true}); p != want {
		t.Errorf("read %+v, not %+v", p, want)
	}
	fragment := udpPacket(10, 11, 1, 2)
	fragment[7] = 5
	if p := read(fragment); p.hasPorts || !p.hasOne {
		t.Errorf("a later fragment: %+v", p)
	}
	long := udpPacket(10, 11, 1, 2)
	long[0] = 4<<4 | 15
	if p := read(long); p.hasPorts {
		t.Errorf("a header that is longer than the packet: %+v", p)
	}
	for n := range headerMin {
		if p := read(udpPacket(10, 11, 1, 2)[:n]); p.hasOne {
			t.Errorf("%d bytes are read as %+v", n, p)
		}
	}
	six := udpPacket(10, 11, 1, 2)
	six[0] = 6 << 4
	if p := read(six); p.hasOne {
		t.Errorf("IPv6 is read as %+v", p)
	}
}

func TestFate(t *testing.T) {
	const gossip = 7946
	cut := &Rule{In: true, Out: true, Loss: 100}
	for _, c := range []struct {
		name             string
		sender, receiver *Rule
		ports            [2]uint16
		dice             int
		lost             bool
		late             time.Duration
	}{
		{name: "no rule"},
		{name: "cut off sends", sender: cut, lost: true},
		{name: "cut off receives", receiver: cut, lost: true},
		{name: "deaf sends", sender: &Rule{In: true, Loss: 100}},
		{name: "deaf receives", receiver: &Rule{In: true, Loss: 100}, lost: true},
		{name: "dumb sends", sender: &Rule{Out: true, Loss: 100}, lost: true},
		{name: "dumb receives", receiver: &Rule{Out: true, Loss: 100}},
		{name: "lucky", receiver: &Rule{In: true, Loss: 30}, dice: 30},
		{name: "unlucky", receiver: &Rule{In: true, Loss: 30}, dice: 29, lost: true},
		{name: "gossip to", sender: &Rule{Out: true, Loss: 100, Ports: []uint16{gossip}}, ports: [2]uint16{9, gossip}, lost: true},
		{name: "gossip from", receiver: &Rule{In: true, Loss: 100, Ports: []uint16{gossip}}, ports: [2]uint16{gossip, 9}, lost: true},
		{name: "no gossip", receiver: &Rule{In: true, Loss: 100, Ports: []uint16{gossip}}, ports: [2]uint16{9, 9}},
		{name: "late twice", sender: &Rule{Out: true, Late: time.Second}, receiver: &Rule{In: true, Late: 2 * time.Second}, late: 3 * time.Second},
	} {
		p := read(udpPacket(10, 11, c.ports[0], c.ports[1]))
		lost, late := fate(p, c.sender, c.receiver, func(int) int { return c.dice })
		if lost != c.lost || late != c.late {
			t.Errorf("%s: lost %t, late %v", c.name, lost, late)
		}
	}
}
