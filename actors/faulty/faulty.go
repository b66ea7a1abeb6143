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

	"github.com/pondmesh/pond/actors/terms"
	"github.com/pondmesh/pond/fs/faults"
	"github.com/pondmesh/pond/fs/register"
)

// Registers fail around changes.
func Registers(r terms.Registers, f *faults.Injector) terms.Registers {
	if f == nil {
		return r
	}
	return &registers{r, f}
}

type registers struct {
	terms.Registers
	faults *faults.Injector
}

func (r *registers) CAS(ctx context.Context, key register.Key, id register.ChangeID, expect uint64, data []byte) (uint64, []byte, error) {
	r.faults.At(faults.TermCAS)
	version, current, err := r.Registers.CAS(ctx, key, id, expect, data)
	if r.faults.At(faults.TermCASDone) == faults.Drop {
		return 0, nil, fmt.Errorf("%w: fault at %s", register.ErrUnknown, faults.TermCASDone)
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
