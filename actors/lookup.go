package actors

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/mesh"
)

// locateTimeout bounds the asking around for a job.
const locateTimeout = 2 * time.Second

// finder finds the jobs of the pond: other nodes may know those that this one does not.
type finder struct {
	self  mesh.NodeID
	view  func() *mesh.View
	homes func(plan.JobID) (homes, others []string) // API addresses, by rank
	here  func() []api.JobStatus                    // those that this node knows
	peers *api.Peer
	log   *slog.Logger
}

// whyNot says why no node answers for a job: nobody knows it (yet), or all that
// is left of it is the record that it was submitted.
func (f *finder) whyNot(ctx context.Context, id plan.JobID) error {
	jobs, err := f.all(ctx)
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
	return errNoJob(id)
}

func errOrphan(id plan.JobID, why string) error {
	return &plan.Error{Kind: plan.KindUnavailable, Op: "job", Subject: string(id), Text: why, Hint: "submit it again: what nodes still hold of it is reused"}
}

func errNoJob(id plan.JobID) error {
	return &plan.Error{Kind: plan.KindNotFound, Op: "job", Subject: string(id), Text: "no node of the pond knows this job", Hint: "list jobs with: pondnode jobs"}
}

// node finds the one that coordinates a job or remembers how it ended: the
// first of its home replicas as a rule, else another of them, else any node.
func (f *finder) node(ctx context.Context, id plan.JobID) (addr string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, locateTimeout)
	defer cancel()
	homes, others := f.homes(id)
	best, first := "", min(len(homes), 1)
	for _, group := range [][]string{homes[:first], homes[first:], others} {
		for _, r := range f.ask(ctx, group, id) {
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
func (f *finder) ask(ctx context.Context, addrs []string, id plan.JobID) []askReply {
	replies := make([]askReply, len(addrs))
	forEach(ctx, len(addrs), func(ctx context.Context, i int) error {
		s, err := f.peers.At(addrs[i]).Hop().Job(ctx, id)
		if err == nil {
			replies[i] = askReply{addrs[i], s}
		}
		return nil
	})
	return slices.DeleteFunc(replies, func(r askReply) bool { return r.status == nil })
}

// all lists the jobs that any node knows, newest first.
func (f *finder) all(ctx context.Context) ([]api.JobStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, locateTimeout)
	defer cancel()
	view := f.view()
	lists := make([][]api.JobStatus, len(view.Members))
	forEach(ctx, len(view.Members), func(ctx context.Context, i int) error {
		m := view.Members[i]
		if m.ID == f.self {
			lists[i] = f.here()
			return nil
		}
		l, err := f.peers.At(m.APIAddr()).Records(ctx)
		if err != nil {
			f.log.Debug("asking for jobs", "node", m.ID, "err", err)
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
