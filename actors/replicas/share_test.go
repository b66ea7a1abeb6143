package replicas

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/mesh"
)

// segment commits a segment of a node, as its journal does.
func segment(t *testing.T, n *node, b []byte) fs.UploadID {
	t.Helper()
	u, err := n.store.Create(kindSegment)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write(b); err != nil {
		t.Fatal(err)
	}
	info, err := u.Commit([]byte("made here"), false)
	if err != nil {
		t.Fatal(err)
	}
	return info.ID
}

// TestShare: a segment's copies are durable, say what they were given to say, are handed on
// once each, and are on nodes that take them: those that do not keep nothing.
func TestShare(t *testing.T) {
	bubble(t, 4, func(t *testing.T, p *pond) {
		adopted := map[mesh.NodeID][]string{}
		for id, n := range p.nodes {
			n.adopts = func(info fs.Info) error {
				adopted[id] = append(adopted[id], string(info.Attrs))
				return nil
			}
		}
		p.nodes["b"].adopts = func(fs.Info) error { return errors.New("not here") }
		a := p.nodes["a"]
		b := content(1, 3*fs.FrameSize+17)
		id := segment(t, a, b)
		if err := a.Secure(id); err != nil {
			t.Fatal(err)
		}
		others, err := a.Share(t.Context(), id, 3, []byte("copied"), false)
		if err != nil || len(others) != 2 || slices.Contains(others, "b") || slices.Contains(others, "a") {
			t.Fatalf("held by %v too: %v", others, err)
		}
		if again, err := a.Share(t.Context(), id, 3, []byte("copied"), false); err != nil || len(again) != 2 {
			t.Errorf("again: %v, %v", again, err)
		}
		for _, o := range others {
			if !slices.Equal(adopted[o], []string{"copied"}) {
				t.Errorf("%s was handed %q", o, adopted[o])
			}
		}
		if _, err := p.nodes["b"].store.Stat(id); !errors.Is(err, fs.ErrNotFound) {
			t.Errorf("what a node did not take: %v", err)
		}
		for _, o := range append(others, "a") {
			p.nodes[o].powerLoss()
			n := p.nodes[o].again()
			r, err := n.store.Reader(id)
			if err != nil {
				t.Fatalf("%s after a power loss: %v", o, err)
			}
			got, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
			if err != nil || !bytes.Equal(got, b) || r.Info().Kind != kindSegment {
				t.Errorf("%s after a power loss: %d bytes, %v, %v", o, len(got), r.Info().Kind, err)
			}
			r.Close()
		}
		if all, err := a.Share(t.Context(), segment(t, p.nodes["a"], nil), 9, nil, true); len(all) > 3 || err == nil && len(all) < 1 {
			t.Errorf("more than there are: %v, %v", all, err)
		}
	})
}
