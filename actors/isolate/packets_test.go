package isolate

import (
	"bytes"
	"context"
	"os"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
)

// packetNode is a node that has one packet, and counts the calls.
type packetNode struct {
	packet []byte
	calls  int
}

func (a *packetNode) Call(context.Context, string, []byte, ...*os.File) ([]byte, []*os.File, error) {
	a.calls++
	return a.packet, nil, nil
}

// A packet comes with an attempt, was there already, or is asked for, once.
func TestPackets(t *testing.T) {
	encoded := func(id string) []byte {
		packet := cut()
		packet.ID = plan.JobID(id)
		b, err := packet.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	node := &packetNode{packet: encoded("asked")}
	p := &remotePackets{node: node}
	for i, c := range []struct {
		token, comes, want string
		calls              int
	}{
		{"1", "first", "first", 0},
		{"1", "first", "first", 0},
		{"1", "", "first", 0},
		{"2", "", "asked", 1},
		{"2", "", "asked", 1},
		{"3", "third", "third", 1},
		{"1", "", "asked", 2},
	} {
		r := &runRequest{Token: c.token}
		if c.comes != "" {
			r.Packet = encoded(c.comes)
		}
		if err := p.begin(r); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			got, err := p.Get(t.Context(), 0, 0)
			if err != nil || string(got.ID) != c.want || node.calls != c.calls {
				t.Errorf("attempt %d: packet %v after %d calls, %v", i, got, node.calls, err)
			}
		}
	}
	if err := rehearse(); err != nil {
		t.Error(err)
	}
	if err := p.begin(&runRequest{Token: "4", Packet: []byte("no packet")}); err == nil {
		t.Error("what is no packet is taken for one")
	}
	node.packet = []byte("no packet")
	if _, err := p.Get(t.Context(), 0, 0); err == nil {
		t.Error("what is no packet is taken for one")
	}
}

// Small packets are encoded once, and large ones are not sent.
func TestSmallPackets(t *testing.T) {
	names, packet := new(packetNames), cut()
	token, small, err := names.small(packet)
	if err != nil || len(small) == 0 {
		t.Fatalf("%d bytes, %v", len(small), err)
	}
	if again, same, err := names.small(packet); err != nil || again != token || !bytes.Equal(same, small) || &same[0] != &small[0] {
		t.Errorf("again: %s for %s, %v", again, token, err)
	}
	large := cut()
	for range packetSent / 8 {
		large.Access = append(large.Access, "/a/file/with/its/path/"+string(plan.Files))
	}
	if other, none, err := names.small(large); err != nil || other == token || len(none) > 0 {
		t.Errorf("large: %s after %s, %d bytes, %v", other, token, len(none), err)
	}
}
