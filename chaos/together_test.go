//go:build duckdb_arrow

package chaos_test

import (
	"context"
	"flag"
	"testing"
	"time"

	"github.com/pondmesh/pond/chaos"
)

// together is how often TestStartTogether starts a pond: 100 is the soak.
var together = flag.Int("together", 2, "times that nodes are started together")

// Nodes that start at the same moment, each with the others as peers, form one pond.
func TestStartTogether(t *testing.T) {
	var slowest time.Duration
	for i := range *together {
		ctx, cancel := context.WithTimeout(testContext(t), turnTimeout)
		begun := time.Now()
		c, err := chaos.StartTogether(ctx, chaos.Options{Binary: binary, Dir: t.TempDir(), Nodes: 3, Flags: nodeFlags})
		if err != nil {
			t.Fatalf("pond %d: %v", i+1, err)
		}
		slowest = max(slowest, time.Since(begun))
		must(t, c.Close())
		cancel()
	}
	t.Logf("%d of %d form one pond, the slowest after %v", *together, *together, slowest.Round(time.Millisecond))
}
