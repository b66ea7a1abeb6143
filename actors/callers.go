package actors

import (
	"cmp"
	"net"
	"net/http"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/auth"
	"github.com/pondmesh/pond/actors/intake"
)

// boundConns returns the bounds of a node's HTTP connections.
func (n *Node) boundConns() *intake.Conns {
	return intake.NewConns(cmp.Or(n.cfg.Files, intake.Files()), n.cfg.TLS != nil, func(from net.Addr, why error) {
		n.refused.Note("a connection", "from", from, "err", why)
	})
}

// whose tells who has made a request, for whom its connection counts: by certificate,
// or, where there are none, by the route. Nodes without TLS are on loopback.
func whose(mux *http.ServeMux, ofNodes map[string]bool) func(*http.Request) intake.Caller {
	return func(r *http.Request) intake.Caller {
		if r.TLS == nil {
			_, pattern := mux.Handler(r)
			if ofNodes[pattern] || r.Header.Get(api.HopHeader) != "" {
				return intake.Caller{Party: intake.Node}
			}
			return intake.Caller{Party: intake.Client}
		}
		var id auth.Identity
		if len(r.TLS.PeerCertificates) > 0 {
			id, _ = auth.FromCertificate(r.TLS.PeerCertificates[0]) // one that says nothing is a client's
		}
		if id.May(auth.Node) {
			return intake.Caller{Party: intake.Node}
		}
		return intake.Caller{Party: intake.Client, User: id.User}
	}
}

// connections are those of each party, and how many it was denied.
func (n *Node) connections() (open map[string]int, refused map[string]int64) {
	open, refused = map[string]int{}, map[string]int64{}
	for _, p := range []intake.Party{intake.Stranger, intake.Client, intake.Node} {
		open[p.String()], refused[p.String()] = n.bounds.Open(p)
	}
	return open, refused
}
