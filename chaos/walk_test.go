//go:build duckdb_arrow

package chaos_test

import (
	"testing"
)

func TestWalk(t *testing.T) {
	ctx, c := newCluster(t, 3)
	job := submit(t, ctx, groupBy(t, c.Nodes()[0].Session(), 20_000_000))
	follow(t, ctx, job)
	compare(t, ctx, job, groupByOracle(t))
}
