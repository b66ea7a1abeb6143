// Package faulty makes parts of a node fail as is armed at its points: what the terms of
// jobs ask of registers, the keeper's answers, and rows on their way to another node.
//
// Each function is the part itself where nothing can be armed. It refuses to say when
// what fails; package fs/faults has the points.
package faulty

import (
	"context"
	"fmt"
	"net/http"

	"github.com/pondmesh/pond/fs/faults"
	"github.com/pondmesh/pond/fs/register"
)

// Linearizable are registers, as registers.Registers has them.
type Linearizable interface {
	Get(ctx context.Context, key register.Key) (data []byte, version uint64, err error)
	CAS(ctx context.Context, key register.Key, id register.ChangeID, expect uint64, data []byte) (version uint64, current []byte, err error)
}

// Registers fail around changes, at the points that come before and after one.
func Registers(r Linearizable, f *faults.Injector, before, after faults.Point) Linearizable {
	if f == nil {
		return r
	}
	return &registers{r, f, before, after}
}

type registers struct {
	Linearizable
	faults        *faults.Injector
	before, after faults.Point
}

func (r *registers) CAS(ctx context.Context, key register.Key, id register.ChangeID, expect uint64, data []byte) (uint64, []byte, error) {
	r.faults.At(r.before)
	version, current, err := r.Linearizable.CAS(ctx, key, id, expect, data)
	if r.faults.At(r.after) == faults.Drop {
		return 0, nil, fmt.Errorf("%w: fault at %s", register.ErrUnknown, r.after)
	}
	return version, current, err
}

// Answer is a keeper's to the request that w is of. It may be made twice, or lost: then
// there is none, and the connection has ended.
func Answer[T any](w http.ResponseWriter, f *faults.Injector, answer func() (T, error)) (reply T, lost bool, err error) {
	do := f.At(faults.RegisterAnswer)
	if do == faults.Double {
		if reply, err = answer(); err != nil {
			return reply, false, err
		}
	}
	reply, err = answer()
	if do == faults.Drop {
		return reply, true, hangUp(w)
	}
	return reply, false, err
}

// Blocks serves rows.
func Blocks(next http.Handler, f *faults.Injector) http.Handler {
	if f == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch f.At(faults.Blocks) {
		case faults.Drop:
			_ = hangUp(w)
			return
		case faults.Corrupt:
			w = &corrupting{ResponseWriter: w}
		}
		next.ServeHTTP(w, r)
	})
}

// hangUp ends the connection of a request without an answer.
func hangUp(w http.ResponseWriter) error {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return fmt.Errorf("faulty: hang up: %w", err)
	}
	return c.Close()
}

// corrupting changes a byte of what is written first.
type corrupting struct {
	http.ResponseWriter
	done bool
}

func (c *corrupting) Write(p []byte) (int, error) {
	if !c.done && len(p) > 0 {
		c.done = true
		p = append([]byte(nil), p...)
		p[len(p)/2] ^= 1
	}
	return c.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (c *corrupting) Unwrap() http.ResponseWriter { return c.ResponseWriter }
