//go:build duckdb_arrow

package chaos_test

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"github.com/pondmesh/pond/chaos"
	"github.com/pondmesh/pond/fs/faults"
)

// The coordinator dies right before a dataset is published, right after, and where the
// registers have decided what nobody has heard: another publishes it, once. The dataset is
// read while a node is gone, and is the same to all.
func TestDatasetPublishedOnce(t *testing.T) {
	long(t)
	ctx, c := clusterOf(t, chaos.Options{Nodes: 3, ChaosKey: rand.Text()})
	var peers []string
	for _, n := range c.Nodes() {
		peers = append(peers, "--peer", n.Addr())
	}
	sql := func(first int, statement string) chaos.Exit {
		args := append([]string{"sql", statement, "-o", "csv", "-q", "--peer", c.Nodes()[first].Addr()}, peers...)
		e, err := chaos.Command(ctx, "", binary, args...)
		must(t, err)
		return e
	}
	awaitKeepers(t, ctx, c.Nodes()[0].Addr(), 3)
	for i, point := range []faults.Point{faults.Publish, faults.TermCASDone, faults.Published, faults.Ended} {
		driver := c.Nodes()[i%3]
		must(t, driver.Arm(ctx, faults.Order{Point: point, Do: faults.Crash, Skip: map[faults.Point]int{faults.TermCASDone: 1}[point]}))
		if e := sql(i%3, fmt.Sprintf("COPY (SELECT i, i %% 2 AS k, %d AS run FROM range(1000) t(i)) TO 'pond://once' (PARTITION_BY k, APPEND)", i)); e.Code != 0 {
			t.Fatalf("%s: %v", point, e)
		}
		if driver.Running() {
			t.Errorf("%s: the driver lives", point)
		}
		want := fmt.Sprintf("%d,%d,2", 1000*(i+1), i+1)
		if e := sql((i+1)%3, "SELECT count(*), count(DISTINCT run), count(DISTINCT k) FROM once"); e.Code != 0 || !strings.HasSuffix(strings.TrimSpace(e.Stdout), want) {
			t.Errorf("%s: %v, want %s", point, e, want)
		}
		if e := sql((i+2)%3, fmt.Sprintf("SELECT count(*) FROM 'pond://once/%d'", i+2)); e.Code == 0 || !strings.Contains(e.Stderr, fmt.Sprintf("the newest is %d", i+1)) {
			t.Errorf("%s: published more than once: %v", point, e)
		}
		must(t, driver.Restart(ctx))
		must(t, c.AwaitMembers(ctx, 3))
		awaitKeepers(t, ctx, c.Nodes()[(i+1)%3].Addr(), 3)
	}
}
