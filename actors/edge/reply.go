package edge

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// Answer answers a request: with what it writes; with what it returns, as JSON; or with
// its error, as JSON and by a status that its kind has.
type Answer func(w http.ResponseWriter, r *http.Request) (any, error)

// Plain is the Answer of what writes all of its reply.
func Plain(h http.Handler) Answer {
	return func(w http.ResponseWriter, r *http.Request) (any, error) {
		h.ServeHTTP(w, r)
		return nil, nil
	}
}

func (e *Edge) handle(a Answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		out, err := a(w, r)
		switch {
		case err != nil && plan.AsError(err).Op == api.OpReceive:
			e.refuse(w, r, err)
		case err != nil:
			e.fail(w, err)
		case out != nil:
			if err := writeJSON(w, http.StatusOK, out); err != nil {
				e.cfg.Log.Debug("writing a reply", "path", r.URL.Path, "err", err)
			}
		}
	}
}

func writeJSON(w http.ResponseWriter, code int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	if code != http.StatusOK {
		w.WriteHeader(code)
	}
	return json.NewEncoder(w).Encode(v)
}

// refuse is fail for a request that should not have come. The log says so.
func (e *Edge) refuse(w http.ResponseWriter, r *http.Request, err error) {
	e.noteRefused(r, err)
	e.fail(w, err)
}

func (e *Edge) noteRefused(r *http.Request, err error) {
	e.cfg.Refused.Note("a request", "from", r.RemoteAddr, "host", fmt.Sprintf("%.100q", r.Host), "request", r.Method+" "+r.URL.Path, "err", err)
}

func (e *Edge) fail(w http.ResponseWriter, err error) {
	e.failAs(w, api.StatusOf(plan.KindOf(err)), err)
}

// failAs is fail with a status of HTTP of its own.
func (e *Edge) failAs(w http.ResponseWriter, code int, err error) {
	_ = writeJSON(w, code, e.Error(err)) // the client is gone if this fails
}

// Error is an error as replies carry it. It names a node.
func (e *Edge) Error(err error) *api.Error {
	told := api.FromError(err)
	told.Node = cmp.Or(told.Node, e.cfg.Node)
	return told
}

// Health is the Answer of what looks for problems: 200 if there is none, else 503.
func (e *Edge) Health(look func() []api.Problem) Answer {
	return func(w http.ResponseWriter, _ *http.Request) (any, error) {
		h := api.Health{Node: e.cfg.Node, OK: true, Problems: look()}
		code := http.StatusOK
		if len(h.Problems) > 0 {
			h.OK, code = false, http.StatusServiceUnavailable
		}
		_ = writeJSON(w, code, h) // who asked is gone if this fails
		return nil, nil
	}
}

// Lines is a reply of lines of JSON, each sent when it is written.
type Lines struct {
	out   *json.Encoder
	flush *http.ResponseController
}

// NewLines begins such a reply.
func NewLines(w http.ResponseWriter) *Lines {
	w.Header().Set("Content-Type", "application/x-ndjson")
	return &Lines{out: json.NewEncoder(w), flush: http.NewResponseController(w)}
}

// Write reports whether somebody still reads.
func (l *Lines) Write(v any) bool { return l.out.Encode(v) == nil && l.flush.Flush() == nil }

// Decode reads the body of a request, as JSON, to its end: only then is it noticed when
// the client goes away.
func Decode(r *http.Request, into any) error {
	b, err := Body(r)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return badBody(r, err)
	}
	return nil
}

// Body reads the body of a request to its end.
func Body(r *http.Request) ([]byte, error) {
	defer r.Body.Close() // its bytes are of no more use to the bounds of all bodies
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, badBody(r, err)
	}
	return b, nil
}

func badBody(r *http.Request, err error) error {
	if pe := (*plan.Error)(nil); errors.As(err, &pe) {
		return pe
	}
	return &plan.Error{Kind: plan.KindUser, Op: r.Method, Subject: r.URL.Path, Text: "the request's body is not what is expected: " + err.Error()}
}
