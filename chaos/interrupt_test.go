//go:build duckdb_arrow

package chaos_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos"
)

// moments are when Ctrl-C comes: after a while, or once standard error shows
// something.
type moment struct {
	after time.Duration
	shows *regexp.Regexp
}

func (m moment) String() string {
	if m.shows != nil {
		return "at " + m.shows.String()
	}
	return "after " + m.after.String()
}

// interrupt presses Ctrl-C at that moment and wants the process to end soon. It
// reports false when the process had ended before.
func (m moment) interrupt(t *testing.T, ctx context.Context, p *chaos.Process) (chaos.Exit, bool) {
	t.Helper()
	if m.shows != nil {
		_, err := p.Await(ctx, m.shows)
		must(t, err)
	} else {
		timer := time.NewTimer(m.after)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-p.Done():
		}
	}
	if err := p.Signal(os.Interrupt); err != nil {
		e, err := p.Wait(ctx)
		must(t, err)
		return e, false
	}
	e, err := p.Wait(ctx)
	must(t, err)
	return e, true
}

// wasInterrupted: by the program itself, or before it could look at signals.
func wasInterrupted(e chaos.Exit) bool { return e.Code == interrupted || e.Signal == syscall.SIGINT }

func TestInterruptSubmit(t *testing.T) {
	long(t)
	ctx, c := newCluster(t, 2)
	root := t.TempDir()
	file := jobFile(t, heavy, filepath.Join(root, "out"))
	for _, m := range []moment{{}, {after: 10 * time.Millisecond}, {after: 30 * time.Millisecond}, {after: 80 * time.Millisecond}, {after: 200 * time.Millisecond},
		{shows: regexp.MustCompile(`running`)}, {shows: regexp.MustCompile(`stage 1 of 2`)}, {shows: regexp.MustCompile(`stage 2 of 2`)}} {
		t.Run(m.String(), func(t *testing.T) {
			p, err := chaos.Spawn(ctx, "", binary, "submit", "--no-reuse", "--peer", c.Nodes()[0].Addr(), file)
			must(t, err)
			e, _ := m.interrupt(t, ctx, p)
			if !wasInterrupted(e) {
				t.Errorf("want exit code %d: %v", interrupted, e)
			}
			noneRunning(t, ctx, c)
			onlyIn(t, ctx, root)
		})
	}
	if t.Failed() {
		return
	}
	jobs, err := c.Nodes()[1].Session().Jobs(ctx)
	must(t, err)
	for _, j := range jobs {
		if j.State != "cancelled" {
			t.Errorf("job %s is %s after Ctrl-C", j.ID, j.State)
		}
	}
	if len(jobs) == 0 {
		t.Error("no job was ever submitted: nothing was tried")
	}
}

// Ctrl-C is heard while a node does not answer.
func TestInterruptSubmitToSilence(t *testing.T) {
	ctx := testContext(t)
	host, port, err := net.SplitHostPort(silence(t))
	must(t, err)
	for _, args := range [][]string{{"submit", "SELECT 1"}, {"members"}, {"jobs"}, {"job", "watch", "00"}, {"leave"}} {
		var n int
		fmt.Sscan(port, &n)
		p, err := chaos.Spawn(ctx, "", binary, append(args, "--peer", net.JoinHostPort(host, fmt.Sprint(n-2)))...)
		must(t, err)
		if e, _ := (moment{after: 300 * time.Millisecond}).interrupt(t, ctx, p); !wasInterrupted(e) {
			t.Errorf("%q: want exit code %d: %v", args, interrupted, e)
		}
	}
}

func TestInterruptJoin(t *testing.T) {
	ctx, c := newCluster(t, 1)
	for _, peer := range []string{c.Nodes()[0].Addr(), silence(t)} {
		moments := []moment{{}, {after: 10 * time.Millisecond}, {after: 40 * time.Millisecond}, {after: 100 * time.Millisecond}, {after: 300 * time.Millisecond}}
		if peer == c.Nodes()[0].Addr() {
			moments = append(moments, moment{shows: regexp.MustCompile(`ready`)}, moment{after: 1500 * time.Millisecond})
		}
		dir := t.TempDir()
		for _, m := range moments {
			p, err := chaos.Spawn(ctx, "", binary, "join", "--port", "0", "--data", dir, "--memory", "512MiB", "--peer", peer)
			must(t, err)
			// A node that is up leaves in order, which is no failure.
			if e, _ := m.interrupt(t, ctx, p); !wasInterrupted(e) && (e.Code != 0 || peer != c.Nodes()[0].Addr()) {
				t.Errorf("%v, peer %s: %v", m, peer, e)
			}
		}
	}
	must(t, c.AwaitMembers(ctx, 1))
}

// The first Ctrl-C has a node leave when its work is done, the second at once;
// the job goes on elsewhere.
func TestInterruptNodeTwice(t *testing.T) {
	long(t)
	ctx, c := newCluster(t, 3)
	var victim *chaos.Node
	var e chaos.Exit
	job := at(t, ctx, c, submit(t, ctx, groupBy(t, c.Nodes()[0].Session(), heavy)))
	follow(t, ctx, job, &chaos.Fault{Name: "Ctrl-C twice", When: chaos.HalfDone(0), Do: func(ctx context.Context, s *pond.Status) (err error) {
		if victim, err = worker(ctx, c, s); err != nil {
			return err
		}
		if err := victim.Interrupt(); err != nil {
			return err
		}
		if err := victim.Await(ctx, regexp.MustCompile(`leaving`)); err != nil {
			return err
		}
		if err := victim.Interrupt(); err != nil {
			return err
		}
		e, err = victim.Exit(ctx)
		return err
	}})
	if e.Code != interrupted {
		t.Errorf("want exit code %d: %v", interrupted, e)
	}
	compare(t, ctx, job, groupByOracle(t))
	noneRunning(t, ctx, c)
}
