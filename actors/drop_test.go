//go:build duckdb_arrow

package actors_test

import (
	"errors"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// A segment is not dropped for a driver whose term has passed: the next one may count
// on it.
func TestDropOfAnOldTerm(t *testing.T) {
	ctx, n, _ := startNode(t)
	peer := api.NewPeer(nil, nil, nil).At(n.APIAddr())
	defer peer.Close()
	var end *api.JobStatus
	for st, err := range peer.Run(ctx, &api.JobSpec{Query: api.Query{SQL: "SELECT 1", Dir: "/"}}) {
		if err != nil {
			t.Fatal(err)
		}
		end = st
	}
	segment := end.Result.Parts[0].Segment
	stage, err := n.LastStage(ctx, end.ID)
	if err != nil {
		t.Fatal(err)
	}
	held := func() int {
		all, err := peer.Held(ctx, []plan.StageID{stage})
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	if err := peer.DropSegment(ctx, end.ID, end.Term-1, stage, segment); !errors.Is(err, plan.ErrFenced) || held() != 1 {
		t.Errorf("of an old term: %v, %d are held", err, held())
	}
	if err := peer.DropSegment(ctx, end.ID, end.Term, stage, segment); err != nil || held() != 0 {
		t.Errorf("of its term: %v, %d are held", err, held())
	}
	if err := peer.DropSegment(ctx, "x", 1, stage, segment); !errors.Is(err, plan.ErrQuery) {
		t.Errorf("of no job: %v", err)
	}
}
