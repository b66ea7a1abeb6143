//go:build duckdb_arrow

package chaos_test

import (
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos"
	"github.com/pondmesh/pond/chaos/scenario"
	"github.com/pondmesh/pond/fs/faults"
)

// Nodes fail at points of their own: each fault fires, the answer is DuckDB's, files
// are there once and whole, and so is the pond afterwards.
func TestPoints(t *testing.T) {
	long(t)
	ctx := testContext(t)
	var site *chaos.Site
	for i, fault := range []string{
		"point: publish-set-aside, what: crash, who: coordinator, for: 1s", // the folders are exchanged, and the old one is in the new one's place
		"point: keeper-write, what: torn, who: coordinator, for: 1s",
		"point: term-cas-done, what: drop, who: coordinator",
		"point: store-sync, what: eio, who: asked",
		"point: segment-create, what: enospc, who: all",
		"point: segment-read, what: corrupt, who: all",
		"point: blocks, what: corrupt, who: all",
		"point: report, what: drop, who: all",
		"point: report, what: double, who: all",
		"point: attempt, what: kill, who: all",
	} {
		s := small(t, "faults: [{do: inject, at: 0, "+fault+"}]\n")
		if site == nil {
			var err error
			site, err = chaos.NewSite(ctx, chaos.SiteOptions{Binary: binary, Version: "test", Dir: t.TempDir(), Setup: s.Setup})
			must(t, err)
			defer site.Close()
		}
		r := site.Run(ctx, s.Plan(uint64(i)))
		t.Logf("%s: %s after %d ms, %d ms without; %+v", fault, r.Verdict, r.Took, r.Plain, r.Fired)
		if r.Verdict != chaos.OK || len(r.Fired) != 1 || !strings.Contains(r.Fired[0].Kind(), " at ") {
			logs := filepath.Join(t.ArtifactDir(), "logs")
			t.Fatalf("%s: %s %s; logs: %s, %v", fault, r.Verdict, r.Error, logs, site.Logs(logs))
		}
	}
}

// Every point that package faults names is come by: none is there in name only. What
// happens at them is that they are late, all of them at once, and the files are whole.
func TestEveryPointFires(t *testing.T) {
	long(t)
	ctx, c := clusterOf(t, chaos.Options{Nodes: 3, ChaosKey: rand.Text()})
	for _, n := range c.Nodes() {
		for _, p := range faults.Places() {
			must(t, n.Arm(ctx, faults.Order{Point: p.Point, Do: faults.Delay, Late: 1, Times: 100}))
		}
	}
	out := filepath.Join(t.TempDir(), "rows")
	rows := "SELECT k, v, count(*) AS n, max(s) AS s FROM '" + dataGlob(t) + "' GROUP BY k, v"
	for i := range 2 { // the second time there are files already
		_, err := c.Nodes()[i].Session().SQL(ctx, "COPY ("+rows+") TO '"+out+"/' (FORMAT parquet, APPEND)", pond.Force(true), pond.Reuse(false))
		must(t, err)
	}
	must(t, newOracle(t).CompareQueries(ctx, "SELECT * FROM '"+out+"/*.parquet'", rows+" UNION ALL "+rows))
	for range 2 {
		_, err := c.Nodes()[0].Session().SQL(ctx, "COPY ("+rows+") TO 'pond://rows' (APPEND)", pond.Force(true), pond.Reuse(false))
		must(t, err)
	}
	must(t, c.AwaitIdle(ctx))
	fired := map[faults.Point]int64{}
	for _, n := range c.Nodes() {
		states, err := n.Disarm(ctx)
		must(t, err)
		for _, s := range states {
			fired[s.Point] += s.Fired
		}
	}
	for _, p := range faults.Places() {
		if fired[p.Point] == 0 {
			t.Errorf("nothing comes by %s: %s", p.Point, p.About)
		}
	}
	t.Log(fired)
}

// A node without a key has no faults.
func TestNoKeyNoFaults(t *testing.T) {
	ctx, c := newCluster(t, 1)
	n := c.Nodes()[0]
	if err := n.Arm(ctx, (&scenario.Fault{Injected: scenario.Injected{Point: "report", What: "drop"}}).Order(0)); err == nil || !strings.Contains(err.Error(), "no such endpoint") {
		t.Errorf("arming: %v", err)
	}
	if _, err := n.Armed(ctx); err == nil {
		t.Error("the node tells of faults")
	}
}
