//go:build duckdb_arrow

package chaos_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos"
)

// light is work that is over in a moment, heavy is a fifth of a second of one core and more a task.
const (
	light = 1_000
	heavy = 30_000_000
)

// A job file and a statement, submitted to each of three nodes by hand.
func TestSubmitToEach(t *testing.T) {
	ctx, c := newCluster(t, 3)
	dir := t.TempDir()
	file := filepath.Join(dir, "job.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, `name: by key
steps:
  - read: %s
  - repartition: {by: hash, keys: k, n: 6}
  - sql: SELECT k, count(*) AS n, sum(v)::BIGINT AS v, min(s) AS s, sum(price) AS price FROM {0} GROUP BY k
`, dataGlob(t)), 0o644))
	o := newOracle(t)
	for i, n := range c.Nodes() {
		for name, job := range map[string]string{"yaml": file, "sql": groupByOracle(t)} {
			out := filepath.Join(dir, fmt.Sprintf("%s-%d.parquet", name, i))
			e, err := chaos.Command(ctx, dir, binary, "submit", "--peer", n.Addr(), "--no-reuse", "--out", out, job)
			must(t, err)
			if e.Code != 0 || e.Stdout != "" {
				t.Fatalf("%s at node %d: %v", name, i, e)
			}
			must(t, o.CompareQueries(ctx, "SELECT * FROM '"+out+"'", groupByOracle(t)))
		}
	}
	noneRunning(t, ctx, c)
}

// A fourth node joins while a job runs, and takes its share of it.
func TestJoinDuringJob(t *testing.T) {
	long(t)
	ctx, c := newCluster(t, 3)
	var fourth *chaos.Node
	job := submit(t, ctx, groupBy(t, c.Nodes()[0].Session(), heavy))
	r := follow(t, ctx, job, &chaos.Fault{Name: "join", When: chaos.Done(0, 1), Do: func(ctx context.Context, _ *pond.Status) (err error) {
		fourth, err = c.Add(ctx)
		return err
	}})
	compare(t, ctx, job, groupByOracle(t))
	if held, err := c.Held(ctx, c.Nodes()[0], job.ID()); err != nil || len(held[fourth.ID()]) == 0 {
		t.Errorf("the fourth node made nothing: %d nodes hold segments, %v", len(held), err)
	}
	for _, s := range r.Status.Stages {
		if s.Retries > 0 {
			t.Errorf("stage %d: %d tasks were run twice because a node joined", s.Index, s.Retries)
		}
	}
	must(t, c.AwaitMembers(ctx, 4))
}

// A node without slots submits and coordinates, and runs nothing.
func TestNodeWithoutSlots(t *testing.T) {
	ctx, c := newCluster(t, 1)
	idle, err := c.Add(ctx, "--slots", "0")
	must(t, err)
	must(t, c.AwaitMembers(ctx, 2))
	for range 4 { // whose coordinator is drawn by id
		job := submit(t, ctx, groupBy(t, idle.Session(), light))
		follow(t, ctx, job)
		compare(t, ctx, job, groupByOracle(t))
		if held, err := c.Held(ctx, c.Nodes()[0], job.ID()); err != nil || len(held[idle.ID()]) > 0 {
			t.Errorf("the node without slots made %d segments, %v", len(held[idle.ID()]), err)
		}
	}
	must(t, idle.Term())
	e, err := idle.Exit(ctx)
	must(t, err)
	if e.Code != 0 {
		t.Errorf("leaving: %v", e)
	}
}

// noneRunning wants every job to have ended, and nothing to be left of any.
func noneRunning(t *testing.T, ctx context.Context, c *chaos.Cluster) {
	t.Helper()
	must(t, c.AwaitIdle(ctx))
}
