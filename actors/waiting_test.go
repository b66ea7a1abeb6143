//go:build duckdb_arrow

package actors_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/setup"
)

const unending = "SELECT sum(a.range * b.range) AS s FROM range(3000000) a, range(3000000) b"

// waitingPond is nodes of which each drives one job, and one more for clients that wait.
func waitingPond(t *testing.T, nodes int) (context.Context, []*actors.Node, *api.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	var all []*actors.Node
	for range nodes {
		c := setup.Config{Dir: t.TempDir(), Memory: 512 << 20, Slots: 4, JobsMax: 1, QueueMax: 2}
		if len(all) > 0 {
			c.Peers = []string{all[0].Addr()}
		}
		n, err := actors.Start(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Close() })
		all = append(all, n)
	}
	for _, n := range all {
		for len(n.Members().Members) < nodes {
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
				t.Fatal("the nodes do not meet")
			}
		}
	}
	c := api.NewClient(all[0].APIAddr(), nil)
	t.Cleanup(c.Close)
	return ctx, all, c
}

// submitTo hands in a job that the node which is asked is to drive.
func submitTo(ctx context.Context, c *api.Client, user, sql string, o api.JobOptions) (*api.JobStatus, error) {
	id, err := c.NewJobID(ctx)
	if err != nil {
		return nil, err
	}
	return c.Submit(ctx, &api.JobSpec{ID: id, User: user, Query: api.Query{SQL: sql, Dir: "/"}, Options: o})
}

// until watches a job until ok holds.
func until(t *testing.T, ctx context.Context, c *api.Client, id plan.JobID, ok func(*api.JobStatus) bool) *api.JobStatus {
	t.Helper()
	for {
		st, err := c.Job(ctx, id)
		if err == nil && ok(st) {
			return st
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("%+v, %v", st, err)
		}
	}
}

func hasEnded(s *api.JobStatus) bool { return s.State.Ended() }

// A node drives so many jobs at once. The next ones wait, are seen to, and can be
// cancelled; beyond the queue's bound it refuses. A client that waits is served at once.
func TestJobsWait(t *testing.T) {
	ctx, nodes, c := waitingPond(t, 1)
	submit := func(user, sql string, o api.JobOptions) *api.JobStatus {
		t.Helper()
		st, err := submitTo(ctx, c, user, sql, o)
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	long := submit("ann", unending, api.JobOptions{})
	second := submit("ann", "SELECT 2 AS x", api.JobOptions{})
	missing := submit("bob", "FROM 'no/such/*.parquet'", api.JobOptions{DeadlineMillis: (time.Minute).Milliseconds()})
	if long.State == api.Queued || second.Waiting == nil || second.Waiting.Place != 1 || missing.Waiting == nil || missing.Waiting.Place != 2 || missing.Waiting.Of != 2 {
		t.Fatalf("%+v, %+v, %+v", long, second.Waiting, missing.Waiting)
	}
	_, err := submitTo(ctx, c, "eve", "SELECT 3", api.JobOptions{})
	if !errors.Is(err, plan.ErrBusy) || !strings.Contains(err.Error(), "2 jobs wait for this node, which drives 1 at once") || !strings.Contains(plan.AsError(err).Hint, "--queue-max") {
		t.Errorf("beyond the bound: %v", err)
	}
	if code, text := call(t, ctx, nodes[0], http.MethodPost, "/v1/jobs", `{"sql": "SELECT 4", "dir": "/"}`); code != http.StatusTooManyRequests {
		t.Errorf("HTTP %d: %s", code, text)
	}
	if code, text := call(t, ctx, nodes[0], http.MethodGet, "/readyz", ""); code != http.StatusServiceUnavailable || !strings.Contains(text, api.QueueFull) {
		t.Errorf("HTTP %d: %s", code, text)
	}
	if _, text := call(t, ctx, nodes[0], http.MethodGet, "/metrics", ""); !strings.Contains(text, "\npond_jobs_waiting 2\n") || !strings.Contains(text, "\npond_jobs_max 1\n") {
		t.Error(text)
	}
	quick := submit("eve", "SELECT 5 AS x", api.JobOptions{LeaseMillis: time.Minute.Milliseconds()})
	if st := until(t, ctx, c, quick.ID, hasEnded); st.State != api.Succeeded {
		t.Errorf("%+v", st)
	}
	all, err := c.Jobs(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range all {
		if want := st.ID == second.ID || st.ID == missing.ID; (st.Waiting != nil) != want {
			t.Errorf("in the list: %+v", st)
		}
	}
	if len(all) != 4 {
		t.Errorf("%d jobs: those that were refused are none", len(all))
	}
	if st, err := c.Cancel(ctx, second.ID); err != nil || st.State != api.Cancelled {
		t.Errorf("%+v, %v", st, err)
	}
	late := submit("ann", "SELECT 6 AS x", api.JobOptions{DeadlineMillis: 1})
	if st := until(t, ctx, c, late.ID, hasEnded); !errors.Is(st.Error.Err(), plan.ErrDeadline) {
		t.Errorf("%+v", st.Error)
	}
	last := submit("ann", "SELECT 7 AS x", api.JobOptions{})
	if _, err := c.Cancel(ctx, long.ID); err != nil {
		t.Fatal(err)
	}
	if st := until(t, ctx, c, missing.ID, hasEnded); st.State != api.Failed || !strings.Contains(st.Error.Text, "no/such") {
		t.Errorf("%+v", st)
	}
	if st := until(t, ctx, c, last.ID, hasEnded); st.State != api.Succeeded || st.Waiting != nil {
		t.Errorf("%+v", st)
	}
}

// A client that goes away takes along its job, though that waits.
func TestWaitingLease(t *testing.T) {
	ctx, _, c := waitingPond(t, 1)
	lease := api.JobOptions{LeaseMillis: 1500}
	var jobs []*api.JobStatus
	for i, sql := range []string{unending, unending, "SELECT 1"} {
		o := api.JobOptions{}
		if i > 0 {
			o = lease
		}
		if i == 1 {
			o.LeaseMillis = time.Minute.Milliseconds()
		}
		st, err := submitTo(ctx, c, "ann", sql, o)
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, st)
	}
	if jobs[2].Waiting == nil {
		t.Fatalf("%+v", jobs[2])
	}
	if st := until(t, ctx, c, jobs[2].ID, hasEnded); st.State != api.Cancelled || !strings.Contains(st.Error.Text, "its client is gone") {
		t.Errorf("%+v, %v", st, st.Error)
	}
}

// Jobs that wait outlive the node that would drive them, as those that run do.
func TestWaitingTakenOver(t *testing.T) {
	ctx, nodes, c := waitingPond(t, 3)
	var jobs []plan.JobID
	for _, sql := range []string{unending, "SELECT 1 AS x", "SELECT 2 AS x"} {
		st, err := submitTo(ctx, c, "ann", sql, api.JobOptions{})
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, st.ID)
	}
	left := api.NewClient(nodes[1].APIAddr(), nil)
	defer left.Close()
	for _, id := range jobs[1:] {
		until(t, ctx, left, id, func(s *api.JobStatus) bool { return s.Waiting != nil })
		for nodes[1].RecordedWait(id)+nodes[2].RecordedWait(id) == 0 { // pond of three: both are homes
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
				t.Fatal("it is not recorded that the job waits")
			}
		}
	}
	nodes[0].Close()
	until(t, ctx, left, jobs[0], func(s *api.JobStatus) bool { return s.State == api.Running && s.Term >= 2 })
	for _, id := range jobs[1:] { // one may wait behind the first, which never ends
		until(t, ctx, left, id, func(s *api.JobStatus) bool { return s.Term >= 2 && (s.Waiting != nil || hasEnded(s)) })
	}
	if st, err := left.Cancel(ctx, jobs[0]); err != nil || st.State != api.Cancelled {
		t.Errorf("%+v, %v", st, err)
	}
	for _, id := range jobs[1:] {
		if st := until(t, ctx, left, id, hasEnded); st.State != api.Succeeded || st.Term < 2 {
			t.Errorf("%+v", st)
		}
	}
}
