package terms

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs/register"
)

// Registers are linearizable values with compare-and-set. Version 0 is a register
// that was never written. On register.ErrConflict, CAS returns what stands.
type Registers interface {
	Get(ctx context.Context, key register.Key) (data []byte, version uint64, err error)
	CAS(ctx context.Context, key register.Key, id register.ChangeID, expect uint64, data []byte) (version uint64, current []byte, err error)
}

// changesMax bounds how often a change is tried again because another came first.
const changesMax = 8

// Term is one term of a job, held by this node. Its driver uses it from one
// goroutine at a time.
type Term struct {
	registers Registers
	job       plan.JobID
	number    uint64
	driver    api.Driver
	inherited Standing // as it was when the term began
}

// First is term 1 of a job, which belongs to the driver that the job's record names.
func First(r Registers, job plan.JobID, d api.Driver) *Term {
	return &Term{registers: r, job: job, number: 1, driver: d, inherited: first(d)}
}

// Number is the term: messages carry it, and lower ones are refused.
func (t *Term) Number() uint64 { return t.number }

// Inherited is what was decided before the term began.
func (t *Term) Inherited() Standing { return t.inherited }

// MayPublish: a driver before this one was to publish what the job made. It may have done
// so, or be about to.
func (t *Term) MayPublish() bool { return t.inherited.Decision == Publish }

// Raise begins the next term of a job, with d as its driver, if the driver that the
// register names is gone, or has passed the job on: then rec, the job as it is recorded
// here, names d and that term. A first driver that asks again is given term 1, by a vote,
// if no other term has begun. It fails with
// plan.ErrFenced, and the standing, when a living node drives the job, or it is
// over; and with register.ErrMinority or ErrUnknown when too few keepers answer.
// One that failed so may be called again: it sees its own success.
func Raise(ctx context.Context, r Registers, rec *api.Record, d api.Driver, gone func(api.Driver) bool) (*Term, Standing, error) {
	t := &Term{registers: r, job: rec.Spec.ID, driver: d}
	var now Standing
	err := t.change(ctx, func(s Standing, version uint64) (Standing, error) {
		if version == 0 {
			s = first(rec.Driver)
		}
		now = s
		switch {
		case s.Driver == d: // of a term that it has won, or the first, in which nobody has voted yet
			return s, nil
		case s.Decision.Ended():
			return s, fenced("the job is over: it is %s", s.Decision)
		case rec.Driver == d && rec.Term > s.Term: // the driver has passed it on: it cannot drive it
		case !gone(s.Driver):
			return s, fenced("node %s drives the job", s.Driver.Node)
		}
		now = s.raised(d)
		return now, nil
	})
	if err != nil {
		return nil, now, err
	}
	t.number, t.inherited = now.Term, now
	return t, now, nil
}

// Stands is what the registers have of a job; its term is 0 if nothing was ever put to
// them.
func Stands(ctx context.Context, r Registers, job plan.JobID) (Standing, error) {
	data, version, err := r.Get(ctx, keyOf(job))
	if err != nil || version == 0 {
		return Standing{}, err
	}
	return decode(data)
}

// keyOf is a job's register.
func keyOf(job plan.JobID) register.Key { return register.Key("job/" + string(job)) }

// Claim makes the term the one that the register names, without which two first drivers
// of one job could drive it at once: one that was handed in at two nodes which did not see
// each other. It fails with plan.ErrFenced if another is named there.
func (t *Term) Claim(ctx context.Context) error {
	return t.change(ctx, func(s Standing, version uint64) (Standing, error) {
		switch {
		case version == 0:
			return t.inherited, nil
		case s.Term != t.number || s.Driver != t.driver:
			return s, fenced("term %d of the job is node %s's", s.Term, s.Driver.Node)
		}
		return s, nil
	})
}

// Decide decides, for all terms to come. It fails with plan.ErrFenced if the term is
// not the latest or the job is over.
func (t *Term) Decide(ctx context.Context, d Decision, rows int64, err error) error {
	return t.change(ctx, func(s Standing, version uint64) (Standing, error) {
		if version == 0 {
			s = t.inherited
		}
		return s.decided(t.number, t.driver, Standing{Decision: d, Rows: rows, Error: api.FromError(err)})
	})
}

// change makes a change of the job's register that it works out from what stands
// there; one that changes nothing is not made.
func (t *Term) change(ctx context.Context, next func(s Standing, version uint64) (Standing, error)) error {
	key := keyOf(t.job)
	data, version, err := t.registers.Get(ctx, key)
	if err != nil {
		return t.unreached(err)
	}
	for range changesMax {
		b, err := changed(data, version, next)
		if err != nil || b == nil {
			return err
		}
		// Each is a change of its own: what became of the one before, the data tell.
		version, data, err = t.registers.CAS(ctx, key, register.ChangeID(rand.Text()), version, b)
		if !errors.Is(err, register.ErrConflict) {
			return t.unreached(err)
		}
	}
	return &plan.Error{Kind: plan.KindUnavailable, Op: "drive", Subject: string(t.job), Text: "the job's register keeps changing"}
}

// unreached gives its kind to the error of a register that cannot be reached, or of
// which it is not known whether it changed: it is no defect, and passes.
func (t *Term) unreached(err error) error {
	if err == nil {
		return nil
	}
	return &unreachable{err, &plan.Error{Kind: plan.KindUnavailable, Op: "drive", Subject: string(t.job), Text: err.Error(), Hint: "bring back nodes that keep the registers: pondnode members shows them"}}
}

// unreachable is a plan.Error that still matches what caused it.
type unreachable struct {
	cause error
	err   *plan.Error
}

func (u *unreachable) Error() string   { return u.err.Error() }
func (u *unreachable) Unwrap() []error { return []error{u.err, u.cause} }

// changed is the register's next value; nil: it stays as it is.
func changed(data []byte, version uint64, next func(s Standing, version uint64) (Standing, error)) ([]byte, error) {
	var old Standing
	if version > 0 {
		var err error
		if old, err = decode(data); err != nil {
			return nil, err
		}
	}
	now, err := next(old, version)
	if err != nil || version > 0 && now.same(old) {
		return nil, err
	}
	return now.encode()
}
