package actors

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"google.golang.org/protobuf/proto"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/terms"
	"github.com/pondmesh/pond/actors/wire"
	"github.com/pondmesh/pond/faults"
	"github.com/pondmesh/pond/fs/register"
)

// keyed is a route of a node at which faults can be armed: for who has the key. To others
// there is none.
func (s *server) keyed(f func(w http.ResponseWriter, r *http.Request) (any, error)) http.HandlerFunc {
	h := s.handle(f)
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.n.cfg.Faults.Allows(r.Header.Get(api.ChaosKeyHeader)) {
			s.noEndpoint(w, r)
			return
		}
		h(w, r)
	}
}

func (s *server) noEndpoint(w http.ResponseWriter, r *http.Request) {
	s.fail(w, &plan.Error{Kind: plan.KindNotFound, Op: r.Method, Subject: r.URL.Path, Text: "no such endpoint"})
}

func (s *server) getFaults(http.ResponseWriter, *http.Request) (any, error) {
	return s.n.cfg.Faults.States(), nil
}

func (s *server) postFault(_ http.ResponseWriter, r *http.Request) (any, error) {
	var o faults.Order
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(&o)
	if err == nil {
		err = s.n.cfg.Faults.Arm(o)
	}
	if err != nil {
		return nil, &plan.Error{Kind: plan.KindUser, Op: "arm a fault", Subject: string(o.Point), Text: err.Error(), Hint: "pondnode chaos list shows the points"}
	}
	return struct{}{}, nil
}

func (s *server) deleteFaults(http.ResponseWriter, *http.Request) (any, error) {
	return s.n.cfg.Faults.Disarm(), nil
}

// termRegisters are the registers as terms use them.
func (n *Node) termRegisters() terms.Registers {
	if n.cfg.Faults == nil {
		return n.registers
	}
	return &faultyRegisters{n.registers, n.cfg.Faults}
}

// faultyRegisters fail around changes, as is armed.
type faultyRegisters struct {
	terms.Registers
	faults *faults.Injector
}

func (r *faultyRegisters) CAS(ctx context.Context, key register.Key, id register.ChangeID, expect uint64, data []byte) (uint64, []byte, error) {
	r.faults.At(faults.TermCAS)
	version, current, err := r.Registers.CAS(ctx, key, id, expect, data)
	if r.faults.At(faults.TermCASDone) == faults.Drop {
		return 0, nil, fmt.Errorf("%w: fault at %s", register.ErrUnknown, faults.TermCASDone)
	}
	return version, current, err
}

// answerRegisters has the node's keeper answer, unless the answer is lost.
func (s *server) answerRegisters(w http.ResponseWriter, r *http.Request, call *api.RegisterCall) (any, error) {
	do := s.n.cfg.Faults.At(faults.RegisterAnswer)
	if do == faults.Double {
		if _, err := s.n.registers.Answer(r.Context(), call); err != nil {
			return nil, err
		}
	}
	reply, err := s.n.registers.Answer(r.Context(), call)
	if do == faults.Drop {
		return nil, hangUp(w)
	}
	return reply, err
}

// hangUp ends the connection of a request without an answer.
func hangUp(w http.ResponseWriter) error {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return fmt.Errorf("actors: hang up: %w", err)
	}
	return c.Close()
}

// tellReport delivers a report, unless it is lost.
func (n *Node) tellReport(addr string, m proto.Message) ([]*wire.Run, error) {
	switch n.cfg.Faults.At(faults.Report) {
	case faults.Drop:
		return nil, nil
	case faults.Double:
		if runs, err := n.deliver(addr, m); err != nil {
			return runs, err
		}
	}
	return n.deliver(addr, m)
}

// granted are the tasks of a reply, unless it is lost.
func (n *Node) granted(reply proto.Message) []*wire.Run {
	g, ok := reply.(*wire.Grant)
	if !ok || len(g.GetRuns()) == 0 || n.cfg.Faults.At(faults.Grant) == faults.Drop {
		return nil
	}
	return g.GetRuns()
}

// faultyBlocks serves rows, and fails as is armed.
func (n *Node) faultyBlocks(next http.Handler) http.HandlerFunc {
	if n.cfg.Faults == nil {
		return next.ServeHTTP
	}
	return func(w http.ResponseWriter, r *http.Request) {
		switch n.cfg.Faults.At(faults.Blocks) {
		case faults.Drop:
			_ = hangUp(w)
			return
		case faults.Corrupt:
			w = &corrupting{ResponseWriter: w}
		}
		next.ServeHTTP(w, r)
	}
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
