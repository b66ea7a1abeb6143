//go:build duckdb_arrow

package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/chaos"
)

// A node that was killed comes back with its data folder: as a new boot, with
// the segments that it had, which the running job takes up again.
func TestRestartWorker(t *testing.T) {
	long(t)
	ctx, c := newCluster(t, 3)
	var victim *chaos.Node
	var boot string
	var had []api.Held
	job := at(t, ctx, c, submit(t, ctx, groupBy(t, c.Nodes()[0].Session(), heavy)))
	r := follow(t, ctx, job, &chaos.Fault{Name: "kill -9 and restart", When: chaos.HalfDone(1), Do: func(ctx context.Context, s *pond.Status) (err error) {
		if victim, err = worker(ctx, c, s); err != nil {
			return err
		}
		if boot, err = victim.Boot(ctx); err != nil {
			return err
		}
		held, err := c.Held(ctx, victim, s.ID)
		if err != nil {
			return err
		}
		had = held[victim.ID()]
		return errors.Join(victim.Kill9(ctx), victim.Restart(ctx))
	}})
	compare(t, ctx, job, groupByOracle(t))
	if now, err := victim.Boot(ctx); err != nil || now == boot {
		t.Errorf("the restarted node is still boot %s (%v)", now, err)
	}
	held, err := c.Held(ctx, c.Node(r.Status.Coordinator), job.ID())
	must(t, err)
	for _, h := range had {
		if h.Index == 0 && !slices.ContainsFunc(held[victim.ID()], func(n api.Held) bool { return n.Segment == h.Segment }) {
			t.Errorf("segment %s of task %d was not found again", h.Segment, h.Partition)
		}
	}
	if again := r.Status.Stages[0].Retries; again >= len(had) {
		t.Errorf("%d tasks of the shuffle were run again, although the %d segments came back", again, len(had))
	}
	must(t, c.AwaitMembers(ctx, 3))
	noneRunning(t, ctx, c)
}

// Everybody dies and comes back: ended jobs are known, with their rows, and the
// same job reuses what is held. A job that ran is not forgotten.
func TestRestartEverybody(t *testing.T) {
	long(t)
	ctx, c := newCluster(t, 3)
	job := submit(t, ctx, groupBy(t, c.Nodes()[0].Session(), light))
	follow(t, ctx, job)
	compare(t, ctx, job, groupByOracle(t))
	cut := submit(t, ctx, groupBy(t, c.Nodes()[1].Session(), heavy))

	for _, n := range c.Nodes() {
		must(t, n.Kill9(ctx))
	}
	for _, n := range c.Nodes() {
		must(t, n.Restart(ctx))
	}
	must(t, c.AwaitMembers(ctx, 3))
	for _, n := range c.Nodes() {
		s, err := n.Session().Job(job.ID()).Status(ctx)
		if err != nil || s.State != "succeeded" || s.Rows != 997 {
			t.Fatalf("at node %s the ended job is %+v, %v", n.ID(), s, err)
		}
		e, err := chaos.Command(ctx, "", binary, "jobs", "--peer", n.Addr(), "-o", "csv")
		must(t, err)
		if e.Code != 0 || !strings.Contains(e.Stdout, job.ID()) || !strings.Contains(e.Stdout, cut.ID()) {
			t.Errorf("node %s does not list both jobs: %v", n.ID(), e)
		}
	}
	compare(t, ctx, c.Nodes()[2].Session().Job(job.ID()), groupByOracle(t))

	again := submit(t, ctx, groupBy(t, c.Nodes()[2].Session(), light))
	r := follow(t, ctx, again)
	compare(t, ctx, again, groupByOracle(t))
	last := r.Status.Stages[len(r.Status.Stages)-1]
	if last.Reused != last.Tasks || last.Tasks == 0 {
		t.Errorf("nothing was reused of what the nodes still hold: %v", r)
	}

	// The job that was cut short goes on by itself.
	if end := awaitDone(t, ctx, c.Nodes()[1], cut.ID()); end.State != "succeeded" || end.Term < 2 {
		t.Errorf("the job that was cut short is %+v, %+v", end, end.Error)
	}
	compare(t, ctx, c.Nodes()[0].Session().Job(cut.ID()), groupByOracle(t))
}

// Every node is told to leave while a job runs, as when a rolling restart does not wait:
// none runs tasks any more, they leave soon, and the job goes on when they are back.
func TestEverybodyLeaves(t *testing.T) {
	long(t)
	ctx, c := newCluster(t, 3)
	job := submit(t, ctx, groupBy(t, c.Nodes()[0].Session(), heavy))
	s := awaitRunning(t, ctx, c.Nodes()[0], job.ID())
	for _, n := range c.Nodes() {
		must(t, n.Term())
	}
	for _, n := range c.Nodes() {
		e, err := n.Exit(ctx)
		must(t, err)
		if e.Code != 0 {
			t.Errorf("node %s left so: %v", n.ID(), e)
		}
	}
	for _, n := range c.Nodes() {
		must(t, n.Restart(ctx))
	}
	must(t, c.AwaitMembers(ctx, 3))
	end := awaitDone(t, ctx, c.Nodes()[1], job.ID())
	if end.State != "succeeded" || end.Term <= s.Term {
		t.Fatalf("the job that all nodes left is %+v, %+v", end, end.Error)
	}
	compare(t, ctx, c.Nodes()[2].Session().Job(job.ID()), groupByOracle(t))
}

// awaitRunning waits until a task of a job has begun.
func awaitRunning(t *testing.T, ctx context.Context, n *chaos.Node, id string) *pond.Status {
	t.Helper()
	for s, err := range n.Session().Job(id).Watch(ctx) {
		if must(t, err); s.Done() || chaos.Started(0)(s) {
			return s
		}
	}
	t.Fatal("the job's status ended")
	return nil
}

// A worker dies while files are written: readers see the old files or the new
// ones, and nothing else is ever left.
func TestKillWriter(t *testing.T) {
	long(t)
	ctx, c := newCluster(t, 3)
	root := t.TempDir()
	out := filepath.Join(root, "out")
	o := newOracle(t)
	session := c.Nodes()[0].Session()
	must(t, session.FromRows([]string{"k", "INTEGER"}, []any{1}, []any{2}).WriteParquet(ctx, out))
	before, err := chaos.Files(out)
	must(t, err)

	watch := chaos.WatchFolder(out)
	job := at(t, ctx, c, submitWrite(t, ctx, c.Nodes()[0], heavy, out))
	follow(t, ctx, job, &chaos.Fault{Name: "kill -9", When: chaos.Done(1, 1), Do: func(ctx context.Context, s *pond.Status) error {
		victim, err := worker(ctx, c, s)
		if err != nil {
			return err
		}
		return victim.Kill9(ctx)
	}})
	seen, err := watch.Seen()
	must(t, err)
	after, err := chaos.Files(out)
	must(t, err)
	if want := []string{strings.Join(before, " "), strings.Join(after, " ")}; !slices.Equal(seen, want) {
		t.Errorf("readers saw\n%s\nwant\n%s", strings.Join(seen, "\n"), strings.Join(want, "\n"))
	}
	must(t, o.CompareQueries(ctx, "SELECT * FROM '"+out+"/*.parquet'", groupByOracle(t)))
	noneRunning(t, ctx, c)
	onlyIn(t, ctx, root, "out")
}

// jobFile is groupBy as a job file that replaces a folder.
func jobFile(t *testing.T, work int, dir string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "job.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, `name: write
steps:
  - read: %s
  - repartition: {by: files, n: %d}
  - sql: "SELECT k, v, s, price FROM {0} WHERE %s"
  - repartition: {by: hash, keys: k, n: 8}
  - sql: "SELECT k, count(*) AS n, sum(v)::BIGINT AS v, min(s) AS s, sum(price) AS price FROM {0} WHERE %s GROUP BY k"
result:
  write: {path: %s, format: parquet, mode: overwrite}
`, dataGlob(t), dataFiles, burn(work), burn(work), dir), 0o644))
	return file
}

// submitWrite hands in jobFile.
func submitWrite(t *testing.T, ctx context.Context, n *chaos.Node, work int, dir string) *pond.Job {
	t.Helper()
	return submitFile(t, ctx, n, jobFile(t, work, dir))
}

func submitFile(t *testing.T, ctx context.Context, n *chaos.Node, file string) *pond.Job {
	t.Helper()
	e, err := chaos.Command(ctx, "", binary, "submit", "--peer", n.Addr(), "--detach", file)
	must(t, err)
	if e.Code != 0 {
		t.Fatal(e)
	}
	return n.Session().Job(strings.TrimSpace(e.Stdout))
}

// onlyIn wants a folder to hold just these, hidden ones counted, and the lists of what
// outputs left there.
func onlyIn(t *testing.T, ctx context.Context, dir string, names ...string) {
	t.Helper()
	must(t, chaos.Await(ctx, func(context.Context) error {
		var have []string
		list, err := os.ReadDir(dir)
		for _, d := range list {
			if !strings.HasSuffix(d.Name(), ".pond_files") {
				have = append(have, d.Name())
			}
		}
		if err != nil || !slices.Equal(have, names) {
			return fmt.Errorf("%s holds %q, not %q (%v)", dir, have, names, err)
		}
		return nil
	}))
}
