package netns

import (
	"encoding/binary"
	"slices"
	"time"
)

// Rule is how packets from or to a host fare.
type Rule struct {
	In, Out bool          // of those that it is sent, and that it sends
	Loss    int           // percent of them are lost
	Late    time.Duration // the others are late by so much
	Ports   []uint16      // only those from or to these ports; none: all
}

// packet is what a rule looks at.
type packet struct {
	from, to         [4]byte
	source, dest     uint16 // ports, of TCP and UDP
	hasPorts, hasOne bool   // hasOne: it is one of IPv4
}

// Lengths and numbers of IPv4.
const (
	headerMin = 20
	tcp, udp  = 6, 17
)

// read takes a packet apart. One that is cut short, or a later fragment, has no ports.
func read(b []byte) (p packet) {
	if len(b) < headerMin || b[0]>>4 != 4 {
		return p
	}
	p.hasOne = true
	copy(p.from[:], b[12:16])
	copy(p.to[:], b[16:20])
	header := int(b[0]&15) * 4
	first := binary.BigEndian.Uint16(b[6:8])&0x1fff == 0
	if first && (b[9] == tcp || b[9] == udp) && header >= headerMin && len(b) >= header+4 {
		p.hasPorts = true
		p.source, p.dest = binary.BigEndian.Uint16(b[header:]), binary.BigEndian.Uint16(b[header+2:])
	}
	return p
}

// fate is what becomes of a packet under the rules of its sender and its receiver: it
// is lost, or late by so much. dice gives numbers below n.
func fate(p packet, sender, receiver *Rule, dice func(n int) int) (lost bool, late time.Duration) {
	for _, r := range []*Rule{sender, receiver} {
		if r == nil || !r.about(p) || r == sender && !r.Out || r == receiver && !r.In {
			continue
		}
		lost = lost || dice(100) < r.Loss
		late += r.Late
	}
	return lost, late
}

func (r *Rule) about(p packet) bool {
	return len(r.Ports) == 0 || p.hasPorts && (slices.Contains(r.Ports, p.source) || slices.Contains(r.Ports, p.dest))
}
