package jobs

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/mesh"
)

// puts is a job's record on its way to its homes.
type puts struct {
	mu      sync.Mutex
	errs    []error // of each home, once it is done
	done    []chan struct{}
	have    int           // homes that have the record
	lack    int           // homes that do not get it
	settled chan struct{} // closed once most homes have the record, or cannot have it
}

// recordTimeout bounds the storing of a record.
const recordTimeout = 10 * time.Second

// RecordEnd keeps how a job has ended here and on its homes, and reports whether most of
// them know. The others hear of it beside the caller.
func (j *Jobs) RecordEnd(ctx context.Context, rec *api.Record) (most bool) {
	j.recordEnd(rec)
	homes, others := j.Peers.Homes(rec.Spec.ID)
	former := slices.DeleteFunc(others, func(m mesh.Member) bool {
		return m.ID == j.Peers.Self || !slices.Contains(rec.Homes, string(m.ID))
	})
	j.Go(func() { // those on their way out: they may be the first that are back
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
		defer stop()
		j.putEach(ctx, rec, former)
	})
	return j.putAll(ctx, rec, homes).majority()
}

// recordEnd keeps the end of a job here.
func (j *Jobs) recordEnd(rec *api.Record) {
	if err := j.Records.Put(rec); err != nil {
		j.Log.Warn("recording a job's end", "job", rec.Spec.ID, "err", err)
	}
}

// putAll gives a record to all homes at once. The puts go on when ctx has ended.
func (j *Jobs) putAll(ctx context.Context, rec *api.Record, homes []mesh.Member) *puts {
	p := newPuts(len(homes))
	for i, home := range homes {
		j.Go(func() {
			ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
			defer stop()
			p.end(i, j.putRecord(ctx, home, rec))
		})
	}
	return p
}

func newPuts(homes int) *puts {
	p := &puts{errs: make([]error, homes), done: make([]chan struct{}, homes), settled: make(chan struct{})}
	for i := range p.done {
		p.done[i] = make(chan struct{})
	}
	if homes == 0 {
		close(p.settled)
	}
	return p
}

func (p *puts) end(i int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.known()
	if p.errs[i] = err; err == nil {
		p.have++
	} else {
		p.lack++
	}
	close(p.done[i])
	if !before && p.known() {
		close(p.settled)
	}
}

// known reports whether it is known if most homes get the record.
func (p *puts) known() bool { return p.most() || 2*p.lack >= len(p.done) }

// most reports whether most homes have the record; of none, all have it.
func (p *puts) most() bool { return 2*p.have > len(p.done) || len(p.done) == 0 }

// await is what came of one put.
func (p *puts) await(i int) error {
	<-p.done[i]
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.errs[i]
}

// fail notes that a home does not take the job, though it may have the record.
func (p *puts) fail(i int, err error) {
	_ = p.await(i)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errs[i] = err
}

// majority reports whether most homes have the record, as soon as that is clear.
func (p *puts) majority() bool {
	<-p.settled
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.most()
}

// wait is what came of all puts.
func (p *puts) wait() []error {
	for i := range p.done {
		<-p.done[i]
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.errs
}
