package sim

import (
	"errors"
	"fmt"
	"slices"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/mesh"
)

// Times of a client, in milliseconds.
const (
	submitTime = 20_000
	askTime    = 2000
	askPause   = 700
)

// client hands a job in, asks on until it has ended, and reads its rows.
type client struct {
	w    *world
	job  *job
	done bool
	runs int
}

// live is one of the nodes that run, at random; "" if none does.
func (w *world) live() mesh.NodeID {
	var up []mesh.NodeID
	for _, n := range w.nodes {
		if n.life != nil && !n.life.leaving {
			up = append(up, n.id)
		}
	}
	if len(up) == 0 {
		return ""
	}
	return up[w.rng.IntN(len(up))]
}

func (c *client) run(p *proc) {
	for !c.done && c.w.broken == nil {
		if c.submit(p) != nil {
			return
		}
		s := c.await(p)
		if s == nil {
			return
		}
		c.ended(p, s)
	}
}

// submit hands the job in, by the same id, until a node says that it is taken.
func (c *client) submit(p *proc) error {
	for {
		to := c.w.live()
		_, err := call(p, to, submitTime, func(l *life, reply func(struct{}, error)) {
			l.w.spawn(l, func(p *proc) { reply(struct{}{}, l.submit(p, c.job)) })
		})
		if err == nil {
			c.w.logf("%s is taken by %s", c.job.spec.ID, to)
			c.job.taken = true
			return nil
		}
		if errors.Is(err, errOver) {
			return err
		}
		if err := p.sleep(askPause); err != nil {
			return err
		}
	}
}

// handIn hands a client's job in to a node, beside what the client does.
func (w *world) handIn(c *client, n *node) bool {
	if c.done {
		return false
	}
	w.spawn(nil, func(p *proc) {
		_, _ = call(p, n.id, submitTime, func(l *life, reply func(struct{}, error)) {
			l.w.spawn(l, func(p *proc) { reply(struct{}{}, l.submit(p, c.job)) })
		})
	})
	return true
}

// await asks nodes for the job until one knows its end.
func (c *client) await(p *proc) *api.JobStatus {
	for i := 0; ; i++ {
		if p.sleep(askPause) != nil {
			return nil
		}
		if c.job.cancel {
			c.cancel(p)
		}
		n := c.w.nodes[i%len(c.w.nodes)]
		s, err := call(p, n.id, askTime, func(l *life, reply func(*api.JobStatus, error)) { reply(l.status(c.job.spec.ID)) })
		if errors.Is(err, errOver) {
			return nil
		}
		if err == nil && s.State.Ended() {
			return s
		}
	}
}

// cancel asks all nodes to cancel the job: the one that drives it does.
func (c *client) cancel(p *proc) {
	for _, n := range c.w.nodes {
		_ = tell(p, n.id, askTime, func(l *life) error {
			if d := l.jobs[c.job.spec.ID]; d != nil {
				d.cancel()
			}
			return nil
		})
	}
}

// ended looks at what came of the job. Rows that are lost are made again.
func (c *client) ended(p *proc, s *api.JobStatus) {
	c.w.logf("%s is told to be %s in term %d", c.job.spec.ID, s.State, s.Term)
	switch {
	case s.State == api.Succeeded && c.job.folder == nil:
		rows, err := c.read(p, s)
		if errors.Is(err, errOver) {
			return
		}
		if err != nil {
			c.again()
			return
		}
		if err := c.job.differs(rows); err != nil {
			c.w.breaks(err)
		}
	case s.State == api.Succeeded:
	case s.State == api.Cancelled && c.job.cancel:
	default:
		c.w.breaks(fmt.Errorf("job %s is %s: %v: %w", c.job.spec.ID, s.State, s.Error, ErrFailed))
	}
	c.done = true
}

// again submits the job anew, since rows of its result were lost.
func (c *client) again() {
	c.w.stats.Again++
	if c.runs++; c.runs == submitsOfJob {
		c.w.breaks(fmt.Errorf("the rows of job %s are lost again and again: %w", c.job.spec.ID, ErrFailed))
	}
	old := c.job
	j := &job{user: old.user, plan: old.plan, want: old.want, fickle: old.fickle, ends: map[api.State]bool{}, spec: &api.JobSpec{ID: plan.JobID(fmt.Sprintf("%s-%d", old.spec.ID, c.runs))}}
	if err := j.spec.Seal(); err != nil {
		c.w.breaks(err)
	}
	c.w.jobs = append(c.w.jobs, j)
	c.job = j
}

// read reads the rows of a result from the nodes that hold them.
func (c *client) read(p *proc, s *api.JobStatus) (rows []row, err error) {
	last := c.job.plan.Stages[len(c.job.plan.Stages)-1].ID
	for _, part := range s.Result.Parts {
		var parts [][]row
		for range 5 {
			parts, err = call(p, mesh.NodeID(part.Addr), askTime, func(l *life, reply func([][]row, error)) { reply(l.read(last, part.Segment)) })
			if !errors.Is(err, errLate) {
				break
			}
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, slices.Concat(parts...)...)
	}
	return rows, nil
}
