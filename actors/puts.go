package actors

import (
	"context"
	"sync"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/mesh"
)

// puts is a job's record on its way to its homes.
type puts struct {
	mu      sync.Mutex
	errs    []error // of each home, once it is done
	done    []chan struct{}
	missing int           // homes that may still make the majority; below 0: more than it
	failed  int           // homes without the record
	settled chan struct{} // closed once a majority has the record, or cannot have it
}

// putAll gives a record to all homes at once. The puts go on when ctx has ended.
func (j *jobs) putAll(ctx context.Context, rec *api.Record, homes []mesh.Member) *puts {
	p := &puts{errs: make([]error, len(homes)), done: make([]chan struct{}, len(homes)), missing: len(homes)/2 + 1, settled: make(chan struct{})}
	for i, home := range homes {
		p.done[i] = make(chan struct{})
		j.n.goes.Go(func() {
			ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
			defer stop()
			p.end(i, j.putRecord(ctx, home, rec))
		})
	}
	return p
}

func (p *puts) end(i int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errs[i] = err
	close(p.done[i])
	if err == nil {
		p.missing--
	} else {
		p.failed++
	}
	if p.missing == 0 && err == nil || err != nil && len(p.done)-p.failed == len(p.done)/2 {
		close(p.settled)
	}
}

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
	return p.missing <= 0
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
