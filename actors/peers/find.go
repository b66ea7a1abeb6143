package peers

import (
	"context"
	"slices"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// locateTimeout bounds the asking around for a job.
const locateTimeout = 2 * time.Second

// WhyNot says why no node answers for a job: nobody knows it (yet), or all that
// is left of it is the record that it was submitted.
func (p *Peers) WhyNot(ctx context.Context, id plan.JobID) error {
	jobs, err := p.All(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(jobs, func(s api.JobStatus) bool { return s.ID == id })
	if i >= 0 && jobs[i].Error != nil {
		return jobs[i].Error.Err()
	}
	if i >= 0 {
		return errOrphan(id, "no node coordinates the job: it has only just been submitted, or the node that did is gone")
	}
	return NoJob(id)
}

func errOrphan(id plan.JobID, why string) error {
	return &plan.Error{Kind: plan.KindUnavailable, Op: "job", Subject: string(id), Text: why, Hint: "it is not known how it stands: look again with pondnode job watch " + string(id)}
}

// NoJob is the error of a job that nobody knows.
func NoJob(id plan.JobID) error {
	return &plan.Error{Kind: plan.KindNotFound, Op: "job", Subject: string(id), Text: "no node of the pond knows this job", Hint: "list jobs with: pondnode jobs"}
}

// Node finds the one that coordinates a job or remembers how it ended: the
// first of its home replicas as a rule, else another of them, else any node.
func (p *Peers) Node(ctx context.Context, id plan.JobID) (addr string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, locateTimeout)
	defer cancel()
	homes, others := p.Homes(id)
	best, first := "", min(len(homes), 1)
	for _, group := range [][]string{homes[:first], homes[first:], others} {
		for _, r := range p.ask(ctx, group, id) {
			if r.status.State != api.Queued {
				return r.addr, true
			}
			if best == "" {
				best = r.addr
			}
		}
	}
	return best, best != ""
}

type askReply struct {
	addr   string
	status *api.JobStatus
}

// ask asks nodes for a job at once and returns the answers of those that
// know it, in the order of addrs.
func (p *Peers) ask(ctx context.Context, addrs []string, id plan.JobID) []askReply {
	replies := make([]askReply, len(addrs))
	Each(ctx, len(addrs), func(ctx context.Context, i int) error {
		s, err := p.API.At(addrs[i]).Hop().Job(ctx, id)
		if err == nil {
			replies[i] = askReply{addrs[i], s}
		}
		return nil
	})
	return slices.DeleteFunc(replies, func(r askReply) bool { return r.status == nil })
}

// All lists the jobs that any node knows, newest first.
func (p *Peers) All(ctx context.Context) ([]api.JobStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, locateTimeout)
	defer cancel()
	view := p.View()
	lists := make([][]api.JobStatus, len(view.Members))
	Each(ctx, len(view.Members), func(ctx context.Context, i int) error {
		m := view.Members[i]
		if m.ID == p.Self {
			lists[i] = p.Here()
			return nil
		}
		l, err := p.API.At(m.APIAddr()).Records(ctx)
		if err != nil {
			p.Log.Debug("asking for jobs", "node", m.ID, "err", err)
			return nil
		}
		lists[i] = l
		return nil
	})
	best := map[plan.JobID]api.JobStatus{}
	for _, s := range slices.Concat(lists...) {
		if old, ok := best[s.ID]; !ok || rank(s.State) > rank(old.State) {
			best[s.ID] = s
		}
	}
	out := make([]api.JobStatus, 0, len(best))
	for _, s := range best {
		if s.State == api.Queued && s.Coordinator == "" && time.Now().UnixMilli()-s.Submitted > locateTimeout.Milliseconds() {
			s.State = api.Lost
			s.Error = api.FromError(errOrphan(s.ID, "the node that coordinated the job is gone"))
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b api.JobStatus) int { return int(b.Submitted - a.Submitted) })
	return out, nil
}

func rank(s api.State) int {
	switch {
	case s.Ended():
		return 2
	case s == api.Running:
		return 1
	}
	return 0
}

// Live are the jobs that some node of the view coordinates and that have not
// ended. It fails unless every node answers.
func (p *Peers) Live(ctx context.Context) (map[plan.JobID]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, locateTimeout)
	defer cancel()
	members := p.View().Members
	lists := make([][]api.JobStatus, len(members))
	err := Each(ctx, len(members), func(ctx context.Context, i int) (err error) {
		if members[i].ID == p.Self {
			lists[i] = p.Here()
			return nil
		}
		lists[i], err = p.API.At(members[i].APIAddr()).Records(ctx)
		return err
	})
	live := map[plan.JobID]bool{}
	for _, list := range lists {
		for _, s := range list {
			if s.Coordinator != "" && !s.State.Ended() {
				live[s.ID] = true
			}
		}
	}
	return live, err
}
