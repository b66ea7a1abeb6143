package jobs

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/terms"
	"github.com/pondmesh/pond/mesh"
)

// Times of taking jobs over.
const (
	heirInterval    = time.Second      // a node looks at the jobs that it keeps a record of so often, and at every new view
	takeoverTimeout = 20 * time.Second // one try
	takeoversMax    = 4                // tries at once
)

// Follow takes jobs over whose drivers are gone, until the node stops. One goroutine of
// the node runs it.
func (j *Jobs) Follow() {
	heirs := map[plan.JobID]*terms.Heir{}
	tick := time.NewTicker(heirInterval)
	defer tick.Stop()
	for {
		view := j.Peers.View()
		j.inherit(heirs, view)
		select {
		case <-view.Superseded():
		case <-tick.C:
		case <-j.Context.Done():
			return
		}
	}
}

// inherit looks once at every job that has not ended and is not driven here.
func (j *Jobs) inherit(heirs map[plan.JobID]*terms.Heir, view *mesh.View) {
	var tries errgroup.Group
	tries.SetLimit(takeoversMax)
	open := map[plan.JobID]bool{}
	for _, rec := range inTurn(j.Records.Open()) {
		id := rec.Spec.ID
		if j.Get(id) != nil {
			continue
		}
		open[id] = true
		h := heirs[id]
		if h == nil || !h.Of(rec) {
			h = terms.NewHeir(rec, time.Now())
			heirs[id] = h
		}
		switch h.Due(view, rec, j.Peers.Self, time.Now()) {
		case terms.Ask:
			tries.Go(func() error { j.checkDriver(rec); return nil })
		case terms.TakeOver:
			tries.Go(func() error { j.takeOver(rec); return nil })
		}
	}
	_ = tries.Wait()
	for id := range heirs {
		if !open[id] {
			delete(heirs, id)
		}
	}
}

// inTurn sorts jobs as they are to be taken over: those that ran before those that
// waited, and the older before the younger.
func inTurn(recs []*api.Record) []*api.Record {
	slices.SortFunc(recs, func(a, b *api.Record) int {
		if waits := a.Wait == api.Waits; waits != (b.Wait == api.Waits) {
			return map[bool]int{true: 1, false: -1}[waits]
		}
		return cmp.Compare(a.Spec.Submitted, b.Spec.Submitted)
	})
	return recs
}

// takeOver drives a job whose driver is gone, unless it turns out to have ended or to
// be driven by another.
func (j *Jobs) takeOver(rec *api.Record) {
	ctx, stop := context.WithTimeout(j.Context, takeoverTimeout)
	defer stop()
	log := j.Log.With("job", rec.Spec.ID, "term", rec.Term, "from", rec.Driver.Node)
	asked := j.Peers.View()
	if s := j.Peers.Ended(ctx, rec.Spec.ID); s != nil {
		j.adopt(rec, s)
		return
	}
	switch r, err := j.drive(ctx, rec, asked); {
	case err == nil:
		log.Info("took the job over", "now", r.Term.Number())
	case errors.Is(err, plan.ErrFenced):
		log.Debug("the job is not to be taken over", "why", err)
	case j.Context.Err() == nil:
		log.Warn("the job cannot be taken over yet", "err", err)
	}
}

// checkDriver asks a living driver what has become of a job: this node may have missed
// the end.
func (j *Jobs) checkDriver(rec *api.Record) {
	ctx, stop := context.WithTimeout(j.Context, takeoverTimeout)
	defer stop()
	m, ok := j.Peers.View().Find(mesh.NodeID(rec.Driver.Node))
	if !ok {
		return
	}
	s, err := j.Peers.API.At(m.APIAddr()).Hop().Job(ctx, rec.Spec.ID)
	switch {
	case err == nil && s.State.Ended():
		j.adopt(rec, s)
	case errors.Is(err, plan.ErrNotFound): // it has forgotten the job: another may have its end
		if s := j.Peers.Ended(ctx, rec.Spec.ID); s != nil {
			j.adopt(rec, s)
			return
		}
		j.putEach(ctx, rec, []mesh.Member{m}) // or never heard that it has won it: it looks, as at any job of its own
	}
}

// adopt records an end that was heard of elsewhere.
func (j *Jobs) adopt(rec *api.Record, s *api.JobStatus) {
	ended := *rec
	ended.Term, ended.Status = max(rec.Term, s.Term), s
	j.recordEnd(&ended)
}

// drive begins this node's term of a job: the first, if the record says so and the job
// has just been handed in (asked is nil), else the next, which it has to win. A first
// driver that comes back to its job has to ask as well: perhaps another has taken it over
// meanwhile. The nodes of the view that is given know of no end; one that has come since,
// while keepers were waited for, may know of one.
func (j *Jobs) drive(ctx context.Context, rec *api.Record, asked *mesh.View) (*Job, error) {
	id, me := rec.Spec.ID, terms.DriverOf(j.Me())
	if asked == nil && rec.Driver == me && rec.Term == 1 {
		return j.start(rec, terms.First(j.Registers, id, me))
	}
	term, stands, err := terms.Raise(ctx, j.Registers, rec, me, func(d api.Driver) bool { return terms.Gone(j.Peers.View(), d) })
	next := *rec
	if errors.Is(err, plan.ErrFenced) && stands.Decision.Ended() {
		next.Term, next.Driver, next.Status = stands.Term, stands.Driver, endOf(rec.Spec, stands)
		j.recordEnd(&next)
		return nil, err
	}
	if errors.Is(err, plan.ErrFenced) && stands.Term > rec.Term {
		next.Term, next.Driver = stands.Term, stands.Driver
		return nil, errors.Join(err, j.Records.Put(&next))
	}
	if err != nil {
		return nil, err
	}
	homes, _ := j.Peers.Homes(id)
	next.Term, next.Driver, next.Homes = term.Number(), me, idsOf(homes)
	if !slices.Contains(next.Homes, me.Node) {
		next.Homes = append(next.Homes, me.Node)
	}
	if asked != j.Peers.View() {
		if s := j.Peers.Ended(ctx, id); s != nil {
			j.adopt(&next, s)
			return nil, &plan.Error{Kind: plan.KindFenced, Op: "take over", Subject: string(id), Text: "the job has ended"}
		}
	}
	if err := j.Records.Put(&next); err != nil {
		j.yield(ctx, &next)
		return nil, err
	}
	r, err := j.start(&next, term)
	if err == nil {
		j.Go(func() { j.tellHomes(&next, rec) })
	}
	return r, err
}

// yield gives a job that this node has won to the next node that takes its record: this one
// cannot drive it, since its disk fails, and while it lives nobody would take the job over
// from it. The heir finds in the record that the next term is its own.
func (j *Jobs) yield(ctx context.Context, rec *api.Record) {
	homes, others := j.Peers.Homes(rec.Spec.ID)
	all := slices.Concat(homes, others)
	self := slices.IndexFunc(all, func(m mesh.Member) bool { return m.ID == j.Peers.Self })
	for i := range all {
		m := all[(self+1+i)%len(all)]
		if m.ID == j.Peers.Self || m.State != mesh.Alive {
			continue
		}
		given := *rec
		given.Term, given.Driver = rec.Term+1, terms.DriverOf(m)
		if j.putRecord(ctx, m, &given) == nil {
			j.Log.Warn("a job that cannot be driven here passes to another node", "job", rec.Spec.ID, "to", m.ID)
			return
		}
	}
}

// tellHomes gives a job's new record to its homes, and to those that have the one
// before: a driver that does not know yet that it is none any more stops.
func (j *Jobs) tellHomes(rec, before *api.Record) {
	ctx, stop := context.WithTimeout(j.Context, recordTimeout)
	defer stop()
	ids := append(slices.Concat(rec.Homes, before.Homes), before.Driver.Node)
	var nodes []mesh.Member
	for _, m := range j.Peers.View().Members {
		if m.ID != j.Peers.Self && slices.Contains(ids, string(m.ID)) {
			nodes = append(nodes, m)
		}
	}
	j.putEach(ctx, rec, nodes)
}

// endOf is the status of a job whose end was decided and not recorded.
func endOf(spec *api.JobSpec, s terms.Standing) *api.JobStatus {
	st := spec.Status()
	st.Term, st.Coordinator, st.Error, st.Ended = s.Term, s.Driver.Node, s.Error, time.Now().UnixMilli()
	st.Rows = s.Rows
	st.State = map[terms.Decision]api.State{terms.Succeeded: api.Succeeded, terms.Failed: api.Failed, terms.Cancelled: api.Cancelled}[s.Decision]
	return st
}
