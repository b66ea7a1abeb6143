package actors

import (
	"cmp"
	"context"
	"net/http"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/audit"
	"github.com/pondmesh/pond/actors/auth"
	"github.com/pondmesh/pond/actors/plan"
)

// callerKey is of the caller in a request's context.
type callerKey struct{}

// callerOf is who asks: only has found it out. A request that has not come through it
// is nobody's.
func callerOf(r *http.Request) auth.Identity {
	id, _ := r.Context().Value(callerKey{}).(auth.Identity)
	return id
}

// submitRoute is where jobs are handed in: whoever may not is noted, as others are.
const submitRoute = "POST /v1/jobs"

// only lets callers with a role through to a route.
func (s *server) only(least auth.Role, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := s.identify(r)
		if err != nil && r.TLS == nil {
			s.unknown(w, r, err)
			return
		}
		if err == nil {
			err = allowed(r, id, least)
			if err != nil && r.Pattern == submitRoute {
				audit.New(r, id, nil).End(r.Context(), s.n.log, err)
			}
		}
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		next(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, id)))
	}
}

// identify reads the caller from the certificate; without TLS, on loopback, from the
// token. A node that passes a request on says for whom, and nobody else is heard on that.
func (s *server) identify(r *http.Request) (auth.Identity, error) {
	id, err := s.n.calledBy(r)
	if text := r.Header.Get(api.CallerHeader); err == nil && text != "" && id.Role == auth.Node {
		id, err = auth.Parse(text)
	}
	if err != nil {
		return auth.Identity{}, denied(r, err.Error(), "")
	}
	return id, nil
}

// unknown is the answer to a caller without a token of this node's user.
func (s *server) unknown(w http.ResponseWriter, r *http.Request, err error) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="pond"`)
	s.noteRefused(r, err)
	s.failAs(w, http.StatusUnauthorized, denied(r, plan.AsError(err).Text, api.TokenHint))
}

// tell says in a request that a node passes on for whom it does, and nothing else that
// the caller has given or claimed.
func tell(h http.Header, id auth.Identity) {
	h.Del(api.CallerHeader)
	h.Del("Authorization")
	if id.Role != auth.Node {
		h.Set(api.CallerHeader, id.String())
	}
}

func allowed(r *http.Request, id auth.Identity, least auth.Role) error {
	if id.May(least) {
		return nil
	}
	hint := ""
	if least != auth.Node {
		hint = "ask for a certificate made with: pondnode tls issue --role " + least.String()
		if r.TLS == nil {
			hint = "ask for a token made with: pondnode token --role " + least.String()
		}
	}
	return denied(r, "this is for the role "+least.String()+", and "+cmp.Or(id.User, "the caller")+" has the role "+id.Role.String(), hint)
}

func denied(r *http.Request, why, hint string) error {
	return &plan.Error{Kind: plan.KindDenied, Op: r.Method, Subject: r.URL.Path, Text: why, Hint: hint}
}

// owned runs f for a job's owner, and for admins.
func (s *server) owned(f jobHandler) jobHandler {
	return func(w http.ResponseWriter, r *http.Request, id plan.JobID) (any, error) {
		st, err := s.n.jobs.Status(id)
		if err != nil {
			return nil, err
		}
		if !callerOf(r).Owns(st.Owner) {
			return nil, &plan.Error{Kind: plan.KindDenied, Op: r.Method, Subject: string(id), Text: "the job is another user's", Hint: "ask its owner, or a user with the role admin"}
		}
		return f(w, r, id)
	}
}

// shown is as much of a job's status as the caller may see.
func shown(r *http.Request, st *api.JobStatus) *api.JobStatus {
	if callerOf(r).Owns(st.Owner) {
		return st
	}
	return st.Outline()
}
