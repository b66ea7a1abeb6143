//go:build duckdb_arrow

package chaos_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/pondmesh/pond/chaos"
	"github.com/pondmesh/pond/chaos/scenario"
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
