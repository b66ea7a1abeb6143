package edge

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/auth"
	"github.com/pondmesh/pond/actors/intake"
	"github.com/pondmesh/pond/actors/plan"
)

// callerKey is of the caller in a request's context.
type callerKey struct{}

// CallerOf is who asks: the route has found it out. A request that has come through none
// is nobody's.
func CallerOf(r *http.Request) auth.Identity {
	id, _ := r.Context().Value(callerKey{}).(auth.Identity)
	return id
}

// only lets callers with a role through to a route.
func (e *Edge) only(least auth.Role, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := e.identify(r)
		if err != nil && r.TLS == nil {
			e.unknown(w, r, err)
			return
		}
		if err == nil {
			if err = allowed(r, id, least); err != nil && e.cfg.Denied != nil {
				e.cfg.Denied(r, id, err)
			}
		}
		if err != nil {
			e.refuse(w, r, err)
			return
		}
		next(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, id)))
	}
}

// calledBy is the party that has made a request, by its certificate or, without TLS, its
// token. It may do so for somebody else.
func (e *Edge) calledBy(r *http.Request) (auth.Identity, error) {
	switch {
	case r.TLS == nil:
		return e.cfg.Secret.Identify(r.Header.Get("Authorization"), portOf(r))
	case len(r.TLS.PeerCertificates) == 0:
		return auth.Identity{}, errors.New("the caller has no certificate")
	}
	return auth.FromCertificate(r.TLS.PeerCertificates[0])
}

// portOf is where a request has come in.
func portOf(r *http.Request) string {
	a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return ""
	}
	_, port, _ := net.SplitHostPort(a.String())
	return port
}

// whose tells who has made a request, for whom its connection counts. Without TLS it
// stays a stranger's until a token is known; a certificate has been by now.
func (e *Edge) whose(r *http.Request) intake.Caller {
	switch id, err := e.calledBy(r); {
	case err != nil && r.TLS == nil:
		return intake.Caller{}
	case id.May(auth.Node):
		return intake.Caller{Party: intake.Node}
	default:
		return intake.Caller{Party: intake.Client, User: id.User}
	}
}

// identify reads the caller from the certificate; without TLS, on loopback, from the
// token. A node that passes a request on says for whom, and nobody else is heard on that.
func (e *Edge) identify(r *http.Request) (auth.Identity, error) {
	id, err := e.calledBy(r)
	if text := r.Header.Get(api.CallerHeader); err == nil && text != "" && id.Role == auth.Node {
		id, err = auth.Parse(text)
	}
	if err != nil {
		return auth.Identity{}, denied(r, err.Error(), "")
	}
	return id, nil
}

// unknown is the answer to a caller without a token of this node's user.
func (e *Edge) unknown(w http.ResponseWriter, r *http.Request, err error) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="pond"`)
	e.noteRefused(r, err)
	e.failAs(w, http.StatusUnauthorized, denied(r, plan.AsError(err).Text, api.TokenHint))
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
