//go:build duckdb_arrow

package actors_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// TestLeasedJob: a job lives as long as its client says that it waits, and not much
// longer.
func TestLeasedJob(t *testing.T) {
	ctx, n, _ := startNode(t)
	c := api.NewClient(n.APIAddr(), nil)
	defer c.Close()
	const held = 3 * time.Second // a busy machine renews late
	spec := &api.JobSpec{ID: api.NewJobID(), Options: api.JobOptions{LeaseMillis: held.Milliseconds()}, Plan: &plan.Plan{
		Nodes: []plan.Node{{ID: "sql", SQL: &plan.SQLOp{Query: "SELECT sum(a.range * b.range) AS s FROM range(3000000) a, range(3000000) b"}}},
		Sink:  plan.Sink{Input: "sql", Collect: &plan.CollectOp{}},
	}}
	if _, err := c.Submit(ctx, spec); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	tick := time.NewTicker(held / 30)
	defer tick.Stop()
	for time.Since(begun) < 3*held/2 {
		if err := c.Renew(ctx, spec.ID); err != nil {
			t.Fatal(err)
		}
		st, err := c.Job(ctx, spec.ID)
		if err != nil {
			t.Fatal(err)
		}
		if st.State.Ended() {
			t.Fatalf("%s while it is waited for: %+v", st.State, st.Error)
		}
		<-tick.C
	}
	for st, err := range c.Watch(ctx, spec.ID) { // who only watches does not hold it
		if err != nil {
			t.Fatal(err)
		}
		if st.State.Ended() && (st.State != api.Cancelled || !strings.Contains(st.Error.Text, "its client is gone")) {
			t.Errorf("%s: %+v", st.State, st.Error)
		}
	}
}

// TestBadOptions: times that cannot be are refused, not taken for others.
func TestBadOptions(t *testing.T) {
	ctx, n, _ := startNode(t)
	c := api.NewClient(n.APIAddr(), nil)
	defer c.Close()
	for _, o := range []api.JobOptions{{LeaseMillis: -1}, {DeadlineMillis: -5}, {DeadlineMillis: 1 << 62}} {
		spec := &api.JobSpec{ID: api.NewJobID(), Options: o, Plan: &plan.Plan{}}
		if _, err := c.Submit(ctx, spec); plan.KindOf(err) != plan.KindUser || !strings.Contains(err.Error(), "_ms") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
