package sim

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/terms"
	"github.com/pondmesh/pond/mesh"
)

// locateTime is how long nodes are asked for a job's end, in milliseconds.
const locateTime = 3000

// follow looks at every job that has not ended and is not driven here, as jobs.Follow
// does.
func (l *life) follow() {
	recs := l.records.Open()
	slices.SortFunc(recs, func(a, b *api.Record) int { return cmp.Compare(a.Spec.ID, b.Spec.ID) })
	for _, rec := range recs {
		id := rec.Spec.ID
		if l.jobs[id] != nil {
			continue
		}
		h := l.heirs[id]
		if h == nil || !h.Of(rec) {
			h = terms.NewHeir(rec, l.steady())
			l.heirs[id] = h
		}
		switch h.Due(l.view, rec, l.n.id, l.steady()) {
		case terms.Ask:
			l.w.spawn(l, func(p *proc) { l.checkDriver(p, rec) })
		case terms.TakeOver:
			l.w.spawn(l, func(p *proc) { l.takeOver(p, rec) })
		}
	}
}

// takeOver drives a job whose driver is gone, unless it turns out to have ended.
func (l *life) takeOver(p *proc, rec *api.Record) {
	asked := l.view
	if s := l.endedElsewhere(p, rec.Spec.ID); s != nil {
		l.adopt(rec, s)
		return
	}
	if err := l.inherit(p, rec, asked); err != nil {
		l.w.logf("%s does not take %s over: %v", l.n.id, rec.Spec.ID, err)
	}
}

// endedElsewhere asks the other nodes how a job has ended.
func (l *life) endedElsewhere(p *proc, id plan.JobID) (found *api.JobStatus) {
	members := l.view.Members
	_ = all(p, len(members), func(p *proc, i int) {
		s, err := call(p, members[i].ID, locateTime, func(o *life, reply func(*api.JobStatus, error)) { reply(o.status(id)) })
		if err == nil && s.State.Ended() {
			found = s
		}
	})
	return found
}

// checkDriver asks a living driver what has become of a job.
func (l *life) checkDriver(p *proc, rec *api.Record) {
	id := rec.Spec.ID
	s, err := call(p, mesh.NodeID(rec.Driver.Node), locateTime, func(o *life, reply func(*api.JobStatus, error)) { reply(o.status(id)) })
	if errors.Is(err, plan.ErrNotFound) {
		if s = l.endedElsewhere(p, id); s == nil && !l.dead {
			_ = l.putAt(p, mesh.NodeID(rec.Driver.Node), rec)
		}
	}
	if s != nil && s.State.Ended() && !l.dead {
		l.adopt(rec, s)
	}
}

// adopt records an end that was heard of elsewhere.
func (l *life) adopt(rec *api.Record, s *api.JobStatus) {
	if l.dead {
		return
	}
	ended := *rec
	ended.Term, ended.Status = max(rec.Term, s.Term), s
	l.put(&ended)
}

// status is what this node knows of a job: it drives it, or knows its end.
func (l *life) status(id plan.JobID) (*api.JobStatus, error) {
	if c := l.jobs[id]; c != nil {
		return c.status, nil
	}
	if rec := l.records.Get(id); rec != nil && rec.Status != nil {
		return rec.Status, nil
	}
	return nil, plan.ErrNotFound
}

// inherit begins this node's term of a job: the first, if the record says so, else the
// next, which it has to win.
func (l *life) inherit(p *proc, rec *api.Record, asked *mesh.View) error {
	id, me := rec.Spec.ID, terms.DriverOf(l.me())
	if asked == nil && rec.Driver == me && rec.Term == 1 {
		l.drive(rec, terms.First(registers{l}, id, me))
		return nil
	}
	term, stands, err := terms.Raise(context.Background(), registers{l}, rec, me, l.gone)
	if l.dead {
		return errOver
	}
	next := *rec
	switch {
	case errors.Is(err, plan.ErrFenced) && stands.Decision.Ended():
		next.Term, next.Driver = stands.Term, stands.Driver
		next.Status = rec.Spec.Status()
		next.Status.Term, next.Status.Error, next.Status.Ended, next.Status.Rows = stands.Term, stands.Error, max(l.clock(), 1), stands.Rows
		next.Status.State = api.State(stands.Decision)
		l.put(&next)
		return err
	case errors.Is(err, plan.ErrFenced) && stands.Term > rec.Term:
		next.Term, next.Driver = stands.Term, stands.Driver
		return errors.Join(err, l.put(&next))
	case err != nil:
		return err
	}
	homes, _ := l.peers.Homes(id)
	next.Term, next.Driver, next.Homes = term.Number(), me, idsOf(homes)
	if !slices.Contains(next.Homes, me.Node) {
		next.Homes = append(next.Homes, me.Node)
	}
	if asked != l.view {
		s := l.endedElsewhere(p, id)
		if l.dead {
			return errOver
		}
		if s != nil {
			l.adopt(&next, s)
			return plan.ErrFenced
		}
	}
	if err := l.put(&next); err != nil {
		return err
	}
	l.w.stats.Takeovers++
	l.drive(&next, term)
	l.w.spawn(l, func(p *proc) { l.tellHomes(p, &next, rec) })
	return nil
}

// tellHomes gives a job's new record to its homes and to those that have the one before.
func (l *life) tellHomes(p *proc, rec, before *api.Record) {
	ids := append(slices.Concat(rec.Homes, before.Homes), before.Driver.Node)
	var to []mesh.NodeID
	for _, m := range l.view.Members {
		if m.ID != l.n.id && slices.Contains(ids, string(m.ID)) {
			to = append(to, m.ID)
		}
	}
	_ = all(p, len(to), func(p *proc, i int) { _ = l.putAt(p, to[i], rec) })
}

func idsOf(nodes []mesh.Member) (ids []string) {
	for _, m := range nodes {
		ids = append(ids, string(m.ID))
	}
	return ids
}

// submit records a job on its homes and has the first of them drive it. It returns nil
// once most of them have the record, as jobs.Submit does.
func (l *life) submit(p *proc, j *job) error {
	id := j.spec.ID
	homes, _ := l.peers.Homes(id)
	if len(homes) == 0 {
		return plan.ErrUnavailable
	}
	rec := &api.Record{Spec: j.spec, Term: 1, Homes: idsOf(homes), Driver: terms.DriverOf(homes[0])}
	have, got := 0, make([]bool, len(homes))
	if err := all(p, len(homes), func(p *proc, i int) {
		if l.putAt(p, homes[i].ID, rec) == nil {
			got[i] = true
			have++
		}
	}); err != nil {
		return err
	}
	for i, m := range homes {
		if !got[i] {
			continue
		}
		err := l.startAt(p, m.ID, id)
		if errors.Is(err, plan.ErrFenced) && l.found(p, id) {
			return nil // it was handed in before
		}
		if err == nil && 2*have > len(homes) {
			return nil
		}
	}
	return plan.ErrUnavailable
}

// found reports whether some node drives a job, or knows its end.
func (l *life) found(p *proc, id plan.JobID) (found bool) {
	members := l.view.Members
	_ = all(p, len(members), func(p *proc, i int) {
		if s, err := call(p, members[i].ID, locateTime, func(o *life, reply func(*api.JobStatus, error)) { reply(o.status(id)) }); err == nil && s != nil {
			found = true
		}
	})
	return found
}

func (l *life) startAt(p *proc, at mesh.NodeID, id plan.JobID) error {
	if at == l.n.id {
		return l.coordinate(p, id)
	}
	_, err := call(p, at, recordTime, func(o *life, reply func(struct{}, error)) {
		o.w.spawn(o, func(p *proc) { reply(struct{}{}, o.coordinate(p, id)) })
	})
	return err
}

// coordinate has this node drive a job that is recorded here.
func (l *life) coordinate(p *proc, id plan.JobID) error {
	rec := l.records.Get(id)
	switch {
	case rec == nil:
		return plan.ErrNotFound
	case rec.Status != nil || l.jobs[id] != nil:
		return nil
	}
	return l.inherit(p, rec, nil)
}
