//go:build duckdb_arrow

package actors_test

import (
	"context"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/setup"
)

// What an ended job leaves goes after the time that the operator sets, and what is
// held is told with its limits.
func TestKeep(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	const keep = 2 * time.Second
	n, err := actors.Start(ctx, setup.Config{Dir: t.TempDir(), Memory: 256 << 20, Slots: 2, KeepFor: keep, RecordsMax: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	c := api.NewClient(n.APIAddr(), nil)
	defer c.Close()
	ended := false
	for st, err := range c.Run(ctx, &api.JobSpec{Query: api.Query{SQL: "SELECT 1", Dir: "/"}}) {
		if err != nil {
			t.Fatal(err)
		}
		ended = st.State == api.Succeeded
	}
	if !ended {
		t.Fatal("the job has not succeeded")
	}
	records := func() (u api.KindUsage) {
		all, err := c.Usage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range all[0].Kinds {
			if k.Kind == api.UsageRecords {
				u = k
			}
		}
		return u
	}
	for {
		jobs, err := n.Jobs(ctx)
		if err != nil {
			t.Fatal(err)
		}
		u := records()
		if u.Max != 1<<20 || u.KeepMillis != keep.Milliseconds() {
			t.Fatalf("%+v", u)
		}
		if len(jobs) == 0 && u.Count == 0 {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("%d jobs are known, %d records held", len(jobs), u.Count)
		}
	}
}
