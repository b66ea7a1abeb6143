//go:build duckdb_arrow

package chaos_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"

	"github.com/pondmesh/pond/chaos"
	"github.com/pondmesh/pond/fs/faults"
)

// The coordinator is paused when it is decided that it publishes, and before it does. While
// its successor runs again what was lost with it, it goes on, and publishes: what the
// successor needs to write is gone with that. The job has succeeded, and its rows are there
// once, whether they are files or one file.
func TestPausedPublisher(t *testing.T) {
	long(t)
	ctx, c := clusterOf(t, chaos.Options{Nodes: 3, ChaosKey: rand.Text()})
	sql := groupByOracle(t)
	for i, target := range []struct{ to, files string }{{"rows/", "rows/*.parquet"}, {"rows.parquet", "rows.parquet"}} {
		dir := t.TempDir() + "/"
		out := dir + target.to
		driver, others := c.Nodes()[i], c.Others(c.Nodes()[i].ID())
		must(t, driver.Arm(ctx, faults.Order{Point: faults.PublishSeal, Do: faults.Delay, Late: 3000}))
		args := []string{"sql", "--force", "--no-reuse", "-q", "--peer", driver.Addr(), "--peer", others[0].Addr(), "COPY (" + sql + ") TO '" + out + "' (FORMAT parquet)"}
		done := make(chan chaos.Exit, 1)
		go func() {
			e, err := chaos.Command(ctx, "", binary, args...)
			if err != nil {
				t.Error(err)
			}
			done <- e
		}()
		fired := func(n *chaos.Node) error {
			return chaos.Await(ctx, func(ctx context.Context) error {
				states, err := n.Armed(ctx)
				if err == nil && (len(states) != 1 || states[0].Fired == 0) {
					err = fmt.Errorf("%s: it is not there yet: %+v", out, states)
				}
				return err
			})
		}
		must(t, fired(driver))
		must(t, driver.Stop())
		for _, n := range others {
			must(t, n.Arm(ctx, faults.Order{Point: faults.Attempt, Do: faults.Delay, Late: 4000, Times: 100}))
		}
		must(t, chaos.Await(ctx, func(ctx context.Context) error {
			for _, n := range others {
				if states, err := n.Armed(ctx); err != nil || len(states) == 1 && states[0].Fired > 0 {
					return err
				}
			}
			return fmt.Errorf("%s: no successor runs a task", out)
		}))
		must(t, driver.Cont())
		if e := <-done; e.Code != 0 {
			t.Errorf("%s: %v", out, e)
		}
		must(t, newOracle(t).CompareQueries(ctx, "SELECT * FROM '"+dir+target.files+"'", sql))
		for _, n := range c.Nodes() {
			_, err := n.Disarm(ctx)
			must(t, err)
		}
		must(t, c.AwaitIdle(ctx))
		must(t, c.AwaitMembers(ctx, 3))
		must(t, c.AwaitKeepers(ctx, 3))
	}
}
