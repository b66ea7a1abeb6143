package actors

import (
	"net/http"
	"strings"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/intake"
	"github.com/pondmesh/pond/actors/plan"
)

// guard refuses requests that a web page makes a browser send, and those of the API
// until this node has joined.
func (s *server) guard(next http.Handler) http.Handler {
	origin := intake.NewOrigin(s.n.cfg.Bind, s.n.cfg.Advertise)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := origin.Check(r); err != nil {
			s.refuse(w, r, err)
			return
		}
		if strings.HasPrefix(r.URL.Path, apiPrefix) && !s.ready(w, r) {
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ready refuses requests until this node has joined. Clients hear of other nodes.
func (s *server) ready(w http.ResponseWriter, r *http.Request) bool {
	if !s.n.up.Load() {
		s.fail(w, &plan.Error{Kind: plan.KindUnavailable, Op: api.OpStart, Text: "this node is starting: none of its peers has answered yet"})
		return false
	}
	if r.Header.Get(api.HopHeader) == "" {
		if others := s.n.peers.Others(); others != "" {
			w.Header().Set(api.NodesHeader, others)
		}
	}
	return true
}

// apiPrefix is of all that needs a node that has joined.
const apiPrefix = "/v1/"
