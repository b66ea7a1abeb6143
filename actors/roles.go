package actors

import (
	"net/http"

	"github.com/pondmesh/pond/actors/auth"
	"github.com/pondmesh/pond/actors/plan"
)

// only lets callers with a role through to a route, by their certificates. Without
// TLS there are none: such a node is on loopback, and takes everybody there.
//
// A request that another node passes on comes with that node's certificate, so the
// node that the caller asked has checked the caller, by the same route.
func (s *server) only(least auth.Role, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := allowed(r, least); err != nil {
			s.refuse(w, r, err)
			return
		}
		next(w, r)
	}
}

func allowed(r *http.Request, least auth.Role) error {
	if r.TLS == nil {
		return nil
	}
	denied := &plan.Error{Kind: plan.KindDenied, Op: r.Method, Subject: r.URL.Path}
	if len(r.TLS.PeerCertificates) == 0 {
		denied.Text = "the caller has no certificate"
		return denied
	}
	id, err := auth.FromCertificate(r.TLS.PeerCertificates[0])
	switch {
	case err != nil:
		denied.Text = err.Error()
	case !id.May(least):
		denied.Text = "this is for the role " + least.String() + ", and the certificate of " + id.User + " says " + id.Role.String()
		if least != auth.Node {
			denied.Hint = "ask for a certificate made with: pondnode tls issue --role " + least.String()
		}
	default:
		return nil
	}
	return denied
}
