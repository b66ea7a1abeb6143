package jobs

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// TestStatuses: a watcher sees the present status, the newer ones, the same again when
// nothing happens, and the end last.
func TestStatuses(t *testing.T) {
	bubble(t, 1, func(t *testing.T, p *pond) {
		n := p.nodes["a"]
		job := n.submit(t)
		spec := job.Spec
		synctest.Wait() // until it runs
		tell := func(rows int64) {
			s := spec.Status()
			s.State, s.Rows = api.Running, rows
			job.Tell(s)
		}
		tell(1)
		start, seen := time.Now(), []int64{}
		for s := range n.Statuses(t.Context(), spec.ID) {
			switch seen = append(seen, s.Rows); len(seen) {
			case 1:
				tell(2)
			case 3: // of a job in which nothing happens
				n.end(job, api.Succeeded, nil)
			}
		}
		if len(seen) != 4 || seen[0] != 1 || seen[1] != 2 || seen[2] != 2 || time.Since(start) != watchPoll {
			t.Errorf("seen: %v in %v", seen, time.Since(start))
		}
		if s, err := n.AwaitEnd(t.Context(), spec.ID); err != nil || s.State != api.Succeeded {
			t.Errorf("the end, once it has come: %v, %v", s, err)
		}
	})
}

// TestAwaitEnd: who waits for an end that does not come is told why.
func TestAwaitEnd(t *testing.T) {
	gone := errors.New("the client is gone")
	for name, c := range map[string]struct {
		do   func(n *node, id plan.JobID, leave context.CancelCauseFunc)
		want error
	}{
		"its client leaves":      {func(_ *node, _ plan.JobID, leave context.CancelCauseFunc) { leave(gone) }, gone},
		"another node has it":    {func(n *node, id plan.JobID, _ context.CancelCauseFunc) { n.Fence(id, 2) }, plan.ErrUnavailable},
		"the node stops":         {func(n *node, _ plan.JobID, _ context.CancelCauseFunc) { n.stop() }, plan.ErrUnavailable},
		"the node never knew it": {nil, plan.ErrUnavailable},
	} {
		bubble(t, 1, func(t *testing.T, p *pond) {
			n := p.nodes["a"]
			id := api.NewJobID()
			ctx, leave := context.WithCancelCause(t.Context())
			defer leave(nil)
			if c.do != nil {
				id = n.submit(t).Spec.ID
				time.AfterFunc(time.Minute, func() { c.do(n, id, leave) })
			}
			if s, err := n.AwaitEnd(ctx, id); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, %v", name, s, err)
			}
		})
	}
}
