//go:build duckdb_arrow

package chaos_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/chaos"
)

// heavySQL is groupBy as a statement: of several seconds.
func heavySQL(t *testing.T) string {
	return "SELECT k, count(*) AS n, sum(v)::BIGINT AS v, min(s) AS s, sum(price) AS price FROM '" + dataGlob(t) + "' WHERE " + burn(5*heavy) + " GROUP BY k ORDER BY k"
}

// running waits until a job that was not there before runs, and returns its status.
func running(ctx context.Context, via *chaos.Node, before map[string]bool) (found *pond.Status, err error) {
	err = chaos.Await(ctx, func(ctx context.Context) error {
		jobs, err := via.Session().Jobs(ctx)
		if err != nil {
			return err
		}
		for _, j := range jobs {
			if j.State == "running" && !before[j.ID] && chaos.Started(0)(j) {
				found = j
				return nil
			}
		}
		return errors.New("no task of a new job runs")
	})
	return found, err
}

func known(t *testing.T, ctx context.Context, via *chaos.Node) map[string]bool {
	t.Helper()
	jobs, err := via.Session().Jobs(ctx)
	must(t, err)
	ids := map[string]bool{}
	for _, j := range jobs {
		ids[j.ID] = true
	}
	return ids
}

// clientCase is a command, and the node that dies while it waits for its job.
type clientCase struct {
	name        string
	args        func(id, out string) []string // id: of a job that was submitted; empty: it submits
	submitted   bool
	apart       bool // the node that is asked coordinates nothing
	coordinator bool // dies, whichever was asked; else the one that was asked
	freeze      bool
	soak        bool // only with -clients
}

// allClients runs those cases, too, that are like others.
var allClients = flag.Bool("clients", false, "run every case of TestClientGoesOn")

// The node that a command asks is killed, or frozen, or the one that coordinates its
// job, or both are one: the command goes on with the same job, by other nodes that it
// was told of, and its rows are those of one DuckDB.
func TestClientGoesOn(t *testing.T) {
	long(t)
	ctx, c := newCluster(t, 3)
	via, other := c.Nodes()[0], c.Nodes()[1]
	apart, err := c.Add(ctx, "--slots", "0")
	must(t, err)
	must(t, c.AwaitMembers(ctx, 4))
	rows := func(command string) func(id, out string) []string {
		return func(_, out string) []string {
			return []string{command, "--force", "--no-reuse", "--out", out, heavySQL(t)}
		}
	}
	for _, test := range []clientCase{
		{name: "sql, asked", args: rows("sql"), apart: true},
		{name: "submit, asked is frozen", args: rows("submit"), apart: true, freeze: true, soak: true},
		{name: "job result, asked", args: func(id, out string) []string { return []string{"job", "result", "--out", out, id} }, submitted: true, apart: true, soak: true},
		{name: "sql, asked and coordinator in one", args: rows("sql"), soak: true},
		{name: "submit, asked and coordinator in one, frozen", args: rows("submit"), freeze: true},
		{name: "COPY, asked and coordinator in one", args: func(_, out string) []string {
			return []string{"sql", "--force", "--no-reuse", "COPY (" + heavySQL(t) + ") TO '" + out + "'"}
		}},
		{name: "job result, the coordinator", args: func(id, out string) []string { return []string{"job", "result", "--out", out, id} }, submitted: true, apart: true, coordinator: true},
	} {
		if test.soak && !*allClients {
			continue
		}
		asked := other
		if test.apart {
			asked = apart
		}
		t.Run(test.name, func(t *testing.T) { test.run(t, ctx, c, via, asked) })
	}
	t.Run("sql, all that have the job's record", func(t *testing.T) { homesDie(t, ctx, c, apart) })
}

// homesDie kills all nodes that have a job's record, while a command waits for it at
// another: it says what it waits for. When they come back, the job and the command go on.
func homesDie(t *testing.T, ctx context.Context, c *chaos.Cluster, asked *chaos.Node) {
	out, before := filepath.Join(t.TempDir(), "out.parquet"), known(t, ctx, asked)
	var p *chaos.Process
	for try := 1; ; try++ {
		var err error
		p, err = chaos.Spawn(ctx, "", binary, "sql", "--force", "--no-reuse", "--out", out, "--peer", asked.Addr(), heavySQL(t))
		must(t, err)
		s, err := running(ctx, asked, before)
		must(t, err)
		records, err := asked.API().Records(ctx)
		must(t, err)
		if !slices.ContainsFunc(records, func(r api.JobStatus) bool { return string(r.ID) == s.ID }) {
			break
		}
		if try == 50 { // three of four nodes have it
			t.Fatal("the node that is asked has the record of every job")
		}
		must(t, p.Signal(os.Interrupt))
		_, err = p.Wait(ctx)
		must(t, err)
		before[s.ID] = true
	}
	homes := c.Others(asked.ID())
	for _, n := range homes {
		must(t, n.Kill9(ctx))
	}
	_, err := p.Await(ctx, regexp.MustCompile("is known to no node that lives: .* waiting for nodes that are gone"))
	must(t, err)
	for _, n := range homes {
		must(t, n.Restart(ctx))
	}
	e, err := p.Wait(ctx)
	must(t, err)
	if e.Code != 0 {
		t.Fatal(e)
	}
	must(t, newOracle(t).CompareQueries(ctx, "SELECT * FROM '"+out+"'", groupByOracle(t)))
	must(t, c.AwaitMembers(ctx, len(homes)+1))
	t.Log(e.Stderr)
}

func (test *clientCase) run(t *testing.T, ctx context.Context, c *chaos.Cluster, via, asked *chaos.Node) {
	out, before := filepath.Join(t.TempDir(), "out.parquet"), known(t, ctx, via)
	id := ""
	if test.submitted {
		by := via
		if test.coordinator { // which must not be the one that this test asks
			by = c.Nodes()[1]
		}
		job, err := by.Session().Submit(ctx, heavySQL(t), pond.Force(true), pond.Reuse(false))
		must(t, err)
		id = job.ID()
	}
	var p *chaos.Process
	var s *pond.Status
	for try := 1; ; try++ {
		var err error
		p, err = chaos.Spawn(ctx, "", binary, append(test.args(id, out), "--peer", asked.Addr())...)
		must(t, err)
		s, err = running(ctx, via, before)
		must(t, err)
		if id != "" || test.apart == (s.Coordinator != asked.ID()) {
			break
		}
		if try == 20 { // it is one's own job with a chance of a third
			t.Fatal("the job is never coordinated by whom this test wants")
		}
		must(t, p.Signal(os.Interrupt))
		_, err = p.Wait(ctx)
		must(t, err)
		before[s.ID] = true
	}
	victim := asked
	if test.coordinator {
		victim = c.Node(s.Coordinator)
	}
	if test.freeze {
		must(t, victim.Stop())
	} else {
		must(t, victim.Kill9(ctx))
	}
	e, err := p.Wait(ctx)
	must(t, err)
	if test.freeze {
		must(t, victim.Cont())
	} else {
		must(t, victim.Restart(ctx))
	}
	if e.Code != 0 || !test.coordinator && !strings.Contains(e.Stderr, "node "+asked.Addr()+" does not answer") {
		t.Fatal(e)
	}
	must(t, newOracle(t).CompareQueries(ctx, "SELECT * FROM '"+out+"'", groupByOracle(t)))
	for id := range known(t, ctx, via) {
		if !before[id] && id != s.ID {
			t.Errorf("job %s is another than %s, which was asked for", id, s.ID)
		}
	}
	must(t, c.AwaitMembers(ctx, 4))
	t.Log(e.Stderr)
}

// Nodes die while their rows are read: the one that was asked first, in the middle of a
// part, later another. The reader has lost rows made anew, and every row comes once.
func TestHoldersDieWhileRead(t *testing.T) {
	long(t)
	ctx, c := newCluster(t, 3)
	nodes := c.Nodes()
	s, err := pond.Connect(nodes[0].Addr()+","+nodes[1].Addr(), pond.OnWarning(func(err error) { t.Log(err) }))
	must(t, err)
	defer s.Close()
	rows, err := s.ReadParquet(dataGlob(t)).Repartition(dataFiles, pond.ByFiles()).
		Repartition(6, pond.ByHash("id")).SQL("SELECT id, s FROM {0}").Collect(ctx)
	must(t, err)
	const all = dataFiles * fileRows
	seen, n := make([]bool, all), 0
	kill := map[int]*chaos.Node{1: nodes[0], all / 2: nodes[2]}
	for rec, err := range rows.All() {
		must(t, err)
		for _, id := range rec.Column(0).(*array.Int64).Int64Values() {
			if seen[id] {
				t.Fatalf("row %d came twice", id)
			}
			seen[id] = true
			n++
		}
		for at, node := range kill {
			if n >= at {
				delete(kill, at)
				must(t, node.Kill9(ctx))
			}
		}
	}
	if n != all || len(kill) > 0 {
		t.Errorf("%d rows of %d; %d nodes were to die", n, all, len(kill))
	}
}
