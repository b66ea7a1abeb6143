//go:build duckdb_arrow

package actors_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors"
	"github.com/pondmesh/pond/actors/setup"
	"github.com/pondmesh/pond/mesh"
)

// On a pond of real nodes a file has three copies, any node reads it and opens it as a
// file, and the nodes come to agree on a layout of all of them.
func TestCopies(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	var nodes []*actors.Node
	for range 4 {
		c := setup.Config{Dir: t.TempDir(), Memory: 256 << 20, Slots: 1}
		if len(nodes) > 0 {
			c.Peers = []string{nodes[0].Addr()}
		}
		n, err := actors.Start(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Close() })
		nodes = append(nodes, n)
	}
	await(t, "four nodes that see one another", func() bool {
		for _, n := range nodes {
			if len(n.Members().Members) != len(nodes) {
				return false
			}
		}
		return true
	})
	b := make([]byte, 11_000_000)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	first := nodes[0].Replicas()
	c, err := first.Put(ctx, first.Published(), path)
	if err != nil || len(c.Holders) != 3 || c.Short || c.Size != int64(len(b)) {
		t.Fatalf("%+v, %v", c, err)
	}
	for _, n := range nodes {
		in, err := n.Replicas().Open(ctx, c.ID, c.Holders[:1], 5_000_000, 1_000_000)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(in)
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		if err != nil || !bytes.Equal(got, b[5_000_000:6_000_000]) {
			t.Errorf("node %s reads %d bytes, %v", n.ID(), len(got), err)
		}
		local, release, err := n.Replicas().Local(ctx, c.ID, []mesh.NodeID{c.Holders[0]})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(local); err != nil || !bytes.Equal(got, b) {
			t.Errorf("node %s opens %d bytes, %v", n.ID(), len(got), err)
		}
		release()
	}
	await(t, "a layout of all nodes, which all know", func() bool {
		l := first.Layout()
		return l.Current() != nil && len(l.Current().Members) == len(nodes) && l.AllSeen()
	})
}
