package actors

import (
	"cmp"
	"errors"
	"net"
	"net/http"

	"github.com/pondmesh/pond/actors/auth"
	"github.com/pondmesh/pond/actors/intake"
)

// boundConns returns the bounds of a node's HTTP connections.
func (n *Node) boundConns() *intake.Conns {
	return intake.NewConns(cmp.Or(n.cfg.Files, intake.Files()), n.cfg.TLS != nil, func(from net.Addr, why error) {
		n.refused.Note("a connection", "from", from, "err", why)
	})
}

// calledBy is the party that has made a request, by its certificate or, without TLS, its
// token. It may do so for somebody else.
func (n *Node) calledBy(r *http.Request) (auth.Identity, error) {
	switch {
	case r.TLS == nil:
		return n.cfg.Secret.Identify(r.Header.Get("Authorization"), portOf(r))
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
func (n *Node) whose(r *http.Request) intake.Caller {
	switch id, err := n.calledBy(r); {
	case err != nil && r.TLS == nil:
		return intake.Caller{}
	case id.May(auth.Node):
		return intake.Caller{Party: intake.Node}
	default:
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
