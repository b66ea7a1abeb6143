//go:build duckdb_arrow

package actors_test

import (
	"context"
	"testing"
	"time"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors"
	"github.com/pondmesh/pond/actors/setup"
)

// startNode starts a node that is a pond of its own, and a session on it. Both end
// with the test, and so does the context.
func startNode(t *testing.T) (context.Context, *actors.Node, *pond.Session) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	n, err := actors.Start(ctx, setup.Config{Dir: t.TempDir(), Memory: 256 << 20, Slots: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	s, err := pond.Connect(n.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return ctx, n, s
}
