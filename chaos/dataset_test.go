//go:build duckdb_arrow

package chaos_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pondmesh/pond/chaos"
	"github.com/pondmesh/pond/fs/faults"
)

// datasetFaults are the moments of a publication: its files are uploaded; its change is put to
// the registers; they have decided; nobody has heard of the end; the lease is given back. The
// first change of a job is its lease.
var datasetFaults = []faults.Order{
	{Point: faults.Publish, Do: faults.Crash}, {Point: faults.DatasetUploaded, Do: faults.Crash},
	{Point: faults.DatasetCAS, Do: faults.Crash, Skip: 1}, {Point: faults.DatasetCASDone, Do: faults.Crash, Skip: 1}, {Point: faults.DatasetCASDone, Do: faults.Drop, Skip: 1},
	{Point: faults.TermCASDone, Do: faults.Crash, Skip: 1}, {Point: faults.Published, Do: faults.Crash}, {Point: faults.DatasetForget, Do: faults.Crash}, {Point: faults.Ended, Do: faults.Crash},
}

// datasetPond is three nodes, and statements at any of them.
type datasetPond struct {
	t   *testing.T
	ctx context.Context
	c   *chaos.Cluster
}

func newDatasetPond(t *testing.T) *datasetPond {
	t.Helper()
	ctx, c := clusterOf(t, chaos.Options{Nodes: 3, ChaosKey: rand.Text()})
	p := &datasetPond{t, ctx, c}
	p.settle()
	if e := p.sql(0, "COPY (SELECT i, i % 2 AS k, 0 AS run FROM range(1000) t(i)) TO 'pond://once' (PARTITION_BY k)"); e.Code != 0 {
		t.Fatal(e)
	}
	return p
}

// settle waits until all nodes are there, and keep registers.
func (p *datasetPond) settle() {
	p.t.Helper()
	must(p.t, p.c.AwaitMembers(p.ctx, 3))
	must(p.t, p.c.AwaitKeepers(p.ctx, 3))
}

// sql asks one node first, and all others then.
func (p *datasetPond) sql(first int, statement string) chaos.Exit {
	p.t.Helper()
	args := []string{"sql", statement, "-o", "csv", "-q", "--peer", p.c.Nodes()[first%3].Addr()}
	for _, n := range p.c.Nodes() {
		args = append(args, "--peer", n.Addr())
	}
	e, err := chaos.Command(p.ctx, "", binary, args...)
	must(p.t, err)
	return e
}

// add is a statement that appends a run, and makes the version run+1.
func add(run int) string {
	return fmt.Sprintf("COPY (SELECT i, i %% 2 AS k, %d AS run FROM range(1000) t(i)) TO 'pond://once' (PARTITION_BY k, APPEND)", run)
}

// counts wants a version to have so many runs, whole; 0 is the newest.
func (p *datasetPond) counts(what string, first, version, runs int) {
	p.t.Helper()
	url, want := "pond://once", fmt.Sprintf("%d,%d,2", 1000*runs, runs)
	if version > 0 {
		url = fmt.Sprintf("pond://once/%d", version)
	}
	if e := p.sql(first, "SELECT count(*), count(DISTINCT run), count(DISTINCT k) FROM '"+url+"'"); e.Code != 0 || !strings.HasSuffix(strings.TrimSpace(e.Stdout), want) {
		p.t.Errorf("%s: %s: %v, want %s", what, url, e, want)
	}
}

// once wants a run to have made one version.
func (p *datasetPond) once(what string, first, run int) {
	p.t.Helper()
	p.counts(what, first, 0, run+1)
	p.counts(what, first+1, run, run)
	if e := p.sql(first+1, fmt.Sprintf("SELECT count(*) FROM 'pond://once/%d'", run+2)); e.Code == 0 || !strings.Contains(e.Stderr, fmt.Sprintf("the newest is %d", run+1)) {
		p.t.Errorf("%s: published more than once: %v", what, e)
	}
}

// The coordinator dies at a moment of a dataset's publication, or does not hear what the
// registers decided: it is published once, by whomever, and is the same to all. The version
// before it is what it was.
func TestDatasetPublishedOnce(t *testing.T) {
	long(t)
	p := newDatasetPond(t)
	for i, order := range datasetFaults {
		run, what := i+1, fmt.Sprintf("%s at %s", order.Do, order.Point)
		driver := p.c.Nodes()[i%3]
		must(t, driver.Arm(p.ctx, order))
		if e := p.sql(i, add(run)); e.Code != 0 {
			t.Fatalf("%s: %v", what, e)
		}
		if order.Do == faults.Crash {
			must(t, chaos.Await(p.ctx, func(context.Context) error { // a job may be told to have ended before its lease is given back
				if driver.Running() {
					return errors.New(what + ": the driver lives")
				}
				return nil
			}))
		} else if states, err := driver.Disarm(p.ctx); err != nil || len(states) != 1 || states[0].Fired != 1 {
			t.Errorf("%s: %+v, %v", what, states, err)
		}
		p.once(what, i+1, run)
		if order.Do == faults.Crash {
			must(t, driver.Restart(p.ctx))
		}
		p.settle()
	}
}

// The coordinator is paused at a moment of a dataset's publication, until another has done
// its work, and then goes on where it was: there is one version more, and no second one.
// While it stands still the dataset is what it was, or what it is to be.
func TestDatasetPausedPublisher(t *testing.T) {
	long(t)
	p := newDatasetPond(t)
	for i, order := range []faults.Order{{Point: faults.DatasetUploaded}, {Point: faults.DatasetCAS, Skip: 1}, {Point: faults.DatasetCASDone, Skip: 1}, {Point: faults.DatasetForget}} {
		run, what := i+1, fmt.Sprintf("paused at %s", order.Point)
		order.Do, order.Late = faults.Delay, 3000
		driver := p.c.Nodes()[i%3]
		must(t, driver.Arm(p.ctx, order))
		done := make(chan chaos.Exit, 1)
		go func() { done <- p.sql(i, add(run)) }()
		must(t, chaos.Await(p.ctx, func(ctx context.Context) error {
			states, err := driver.Armed(ctx)
			if err == nil && (len(states) != 1 || states[0].Fired == 0) {
				err = fmt.Errorf("%s: it is not there yet: %+v", what, states)
			}
			return err
		}))
		must(t, driver.Stop())
		p.counts(what, i+1, run, run)
		e := <-done
		must(t, driver.Cont())
		if e.Code != 0 {
			t.Fatalf("%s: %v", what, e)
		}
		_, err := driver.Disarm(p.ctx)
		must(t, err)
		must(t, p.c.AwaitIdle(p.ctx))
		p.settle()
		p.once(what, i, run)
	}
}
