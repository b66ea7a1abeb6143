package actors

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/access"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/fair"
	"github.com/pondmesh/pond/actors/jobs"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/publish"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/register/registertest"
	"github.com/pondmesh/pond/mesh"
)

// undriven is a job that a node has taken, and that nothing drives.
func undriven(t *testing.T, id plan.JobID) (*jobs.Jobs, *jobs.Job) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	view := &mesh.View{Members: []mesh.Member{{ID: "n", State: mesh.Alive}}}
	records, err := journal.OpenRecords(new(journal.Memory), 1, log)
	if err != nil {
		t.Fatal(err)
	}
	var job *jobs.Job
	all := jobs.New(jobs.Host{
		Context: t.Context(), Me: func() mesh.Member { return view.Members[0] }, Records: records, Registers: new(registertest.Memory), Log: log,
		Peers: &peers.Peers{Self: "n", View: func() *mesh.View { return view }}, Limits: fair.Limits{Jobs: 1},
		Go: func(f func()) { f() }, NewDriver: func(j *jobs.Job) (jobs.Driver, error) { job = j; return nil, io.EOF },
	})
	rec := &api.Record{Spec: &api.JobSpec{ID: id}}
	if _, err := all.Coordinate(t.Context(), rec); !errors.Is(err, io.EOF) || job == nil {
		t.Fatal(err)
	}
	return all, job
}

// TestStopUndecided: what was staged by a coordinator that is stopped while its job's end is
// being voted on is cleared once the job has ended, by whomever.
func TestStopUndecided(t *testing.T) {
	const id plan.JobID = "0000000000000000000000000000000e"
	all, job := undriven(t, id)
	rules, err := access.New(access.Config{})
	if err != nil {
		t.Fatal(err)
	}
	outputs := &publish.Outputs{Dir: filepath.Join(t.TempDir(), "staged"), Rules: rules, Log: slog.New(slog.DiscardHandler),
		Live: func(context.Context) (map[plan.JobID]bool, error) { return nil, nil }}
	out, err := outputs.Open(t.Context(), id, dataset.Writer{}, &plan.Write{Path: filepath.Join(t.TempDir(), "out"), Format: plan.Parquet})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Release()
	c := &coordinator{n: &Node{jobs: all}, hosted: job, output: out, finished: true}
	c.stop()
	ctx, quit := context.WithTimeout(t.Context(), time.Minute)
	var clearing sync.WaitGroup
	clearing.Go(func() { outputs.ClearNoted(ctx) })
	for poll := time.NewTicker(time.Millisecond); ctx.Err() == nil; <-poll.C {
		if _, err := os.Stat(out.Dir()); errors.Is(err, os.ErrNotExist) {
			break
		}
	}
	if ctx.Err() != nil {
		t.Error("what was staged stays")
	}
	quit()
	clearing.Wait()
}
