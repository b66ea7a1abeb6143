package peers

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/mesh"
)

// locateTimeout bounds the asking around for a job.
const locateTimeout = 2 * time.Second

// WhyNot says why no node answers for a job: nobody knows it (yet), or it is between
// two coordinators.
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
		return between(id)
	}
	return NoJob(id)
}

// between is the error of a job that no node coordinates at the moment.
func between(id plan.JobID) error {
	return &plan.Error{Kind: plan.KindUnavailable, Op: "job", Subject: string(id), Text: "no node coordinates the job at the moment: it begins, or a node takes it over from another that is gone",
		Hint: "ask again: pondnode job watch " + string(id)}
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
	first := min(len(homes), 1)
	var best answer
	for _, group := range [][]mesh.Member{homes[:first], homes[first:], others} {
		for _, a := range p.ask(ctx, group, id) {
			if best.status == nil || knowsMore(a.status, best.status) {
				best = a
			}
		}
		if best.status != nil && best.status.State != api.Queued {
			break
		}
	}
	return best.addr, best.status != nil
}

// Ended is how a job has ended, if any other node knows.
func (p *Peers) Ended(ctx context.Context, id plan.JobID) *api.JobStatus {
	ctx, cancel := context.WithTimeout(ctx, locateTimeout)
	defer cancel()
	homes, others := p.Homes(id)
	for _, a := range p.ask(ctx, slices.Concat(homes, others), id) {
		if a.status.State.Ended() {
			return a.status
		}
	}
	return nil
}

// knowsMore reports whether a is the better answer: the job has ended, or it is of a
// later term.
func knowsMore(a, b *api.JobStatus) bool {
	if a.State.Ended() != b.State.Ended() {
		return a.State.Ended()
	}
	return a.Term > b.Term || a.Term == b.Term && rank(a.State) > rank(b.State)
}

type answer struct {
	addr   string
	status *api.JobStatus
}

// ask asks other nodes for a job at once and returns the answers of those that
// know it, in their order.
func (p *Peers) ask(ctx context.Context, nodes []mesh.Member, id plan.JobID) []answer {
	answers := make([]answer, len(nodes))
	Each(ctx, len(nodes), func(ctx context.Context, i int) error {
		if nodes[i].ID == p.Self {
			return nil
		}
		s, err := p.API.At(nodes[i].APIAddr()).Hop().Job(ctx, id)
		if err == nil {
			answers[i] = answer{nodes[i].APIAddr(), s}
		}
		return nil
	})
	return slices.DeleteFunc(answers, func(a answer) bool { return a.status == nil })
}

// All lists the jobs that any node knows, newest first.
func (p *Peers) All(ctx context.Context) ([]api.JobStatus, error) {
	known, _ := p.gather(ctx)
	out := slices.Collect(maps.Values(known))
	slices.SortFunc(out, func(a, b api.JobStatus) int { return int(b.Submitted - a.Submitted) })
	return out, nil
}

// gather is the best answer of any node of the view about each job. Nodes that do not
// answer make it an error too.
func (p *Peers) gather(ctx context.Context) (map[plan.JobID]api.JobStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, locateTimeout)
	defer cancel()
	answers := Ask(ctx, p, p.View().Members, "jobs", p.Here, func(ctx context.Context, n *api.Peer) ([]api.JobStatus, error) { return n.Records(ctx) })
	best := map[plan.JobID]api.JobStatus{}
	var errs []error
	for _, a := range answers {
		errs = append(errs, a.Err)
		for _, s := range a.Said {
			if old, ok := best[s.ID]; !ok || knowsMore(&s, &old) {
				best[s.ID] = s
			}
		}
	}
	return best, errors.Join(errs...)
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

// Live are the jobs that have not ended, as far as any node of the view knows. It
// fails unless every node answers.
func (p *Peers) Live(ctx context.Context) (map[plan.JobID]bool, error) {
	known, err := p.gather(ctx)
	live := map[plan.JobID]bool{}
	for id, s := range known {
		if !s.State.Ended() {
			live[id] = true
		}
	}
	return live, err
}
