package actors

import (
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// guard refuses requests that a web page makes a browser send: those of another
// origin, reading ones too, and those under a name that is not the node's, by which
// a page that points its own name at this node would share its origin. Under TLS the
// certificate says which names are the node's.
func (s *server) guard(next http.Handler) http.Handler {
	cross, names := http.NewCrossOriginProtection(), s.n.names()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil && !ownHost(r.Host, names) {
			s.refuse(w, r, &plan.Error{Kind: plan.KindDenied, Op: r.Method, Subject: r.URL.Path,
				Text: "the Host header names another machine; call this node by its address, as localhost, or as " + strings.Join(names, ", ")})
			return
		}
		asWrite := r.WithContext(r.Context()) // a copy: the protection lets every GET through
		asWrite.Method = http.MethodPost
		if err := cross.Check(asWrite); err != nil {
			s.refuse(w, r, &plan.Error{Kind: plan.KindDenied, Op: r.Method, Subject: r.URL.Path, Text: "cross-origin request refused"})
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

// names lists what this node may be called, beside addresses and localhost.
func (n *Node) names() []string {
	names := []string{n.cfg.Bind, n.cfg.Advertise}
	if own, err := os.Hostname(); err == nil {
		names = append(names, own)
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool {
		_, err := netip.ParseAddr(name)
		return name == "" || err == nil
	})
}

// ownHost says whether a Host header means this node. Any address does: a browser
// sends one only if the page's user was led to it, never for a name pointed here.
func ownHost(host string, names []string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.Trim(host, "[]"), ".")
	if _, err := netip.ParseAddr(host); err == nil || strings.EqualFold(host, "localhost") {
		return true
	}
	return slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(host, name) })
}
