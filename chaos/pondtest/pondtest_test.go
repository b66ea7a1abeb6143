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

// TestEnds: nodes end with the test that they were started for, and leave the next one
// alone.
func TestEnds(t *testing.T) {
	var first []*pond.Node
	t.Run("a test", func(t *testing.T) { first = pondtest.New(t, 1) })
	if _, err := first[0].Query("SELECT 1").Count(t.Context()); err == nil {
		t.Error("a node outlives its test")
	}
	again := pondtest.New(t, 1)
	if members, err := again[0].Members(t.Context()); err != nil || len(members) != 1 {
		t.Errorf("the next test's node sees %v, %v", members, err)
	}
}
