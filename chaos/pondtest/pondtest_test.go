//go:build duckdb_arrow

package pondtest_test

import (
	"testing"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
)

func TestPond(t *testing.T) {
	nodes := pondtest.New(t, 2, pond.WithSlots(1))
	nodes = append(nodes, pondtest.Join(t, nodes, pond.WithZone("z")))
	for _, n := range nodes {
		members, err := n.Members(t.Context())
		if err != nil || len(members) != 3 {
			t.Fatalf("node %s sees %v, %v", n.ID(), members, err)
		}
		if count, err := n.Query("SELECT * FROM range(10)").Count(t.Context(), pond.Force(true)); err != nil || count != 10 {
			t.Errorf("%d rows, %v", count, err)
		}
	}
}
