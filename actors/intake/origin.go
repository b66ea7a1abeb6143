package intake

import (
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
)

// Origin refuses requests that a web page makes a browser send: those of another
// origin, reading ones too, and those under a name that is not the node's, by which
// a page that points its own name at this node would share its origin. Under TLS the
// certificate says which names are the node's.
type Origin struct {
	names []string // beside addresses and localhost; sorted
	cross *http.CrossOriginProtection
}

// NewOrigin is that of a node which may be called by these names, by its machine's, by
// any address and as localhost. Those that are empty or addresses are left out.
func NewOrigin(names ...string) *Origin {
	if own, err := os.Hostname(); err == nil {
		names = append(names, own)
	}
	slices.Sort(names)
	names = slices.DeleteFunc(slices.Compact(names), func(name string) bool {
		_, err := netip.ParseAddr(name)
		return name == "" || err == nil
	})
	return &Origin{names: names, cross: http.NewCrossOriginProtection()}
}

// Check returns a plan.Error of kind denied for a request that is refused.
func (o *Origin) Check(r *http.Request) error {
	if r.TLS == nil && !ownHost(r.Host, o.names) {
		return &plan.Error{Kind: plan.KindDenied, Op: r.Method, Subject: r.URL.Path,
			Text: "the Host header names another machine; call this node by its address, as localhost, or as " + strings.Join(o.names, ", ")}
	}
	asWrite := r.WithContext(r.Context()) // a copy: the protection lets every GET through
	asWrite.Method = http.MethodPost
	if err := o.cross.Check(asWrite); err != nil {
		return &plan.Error{Kind: plan.KindDenied, Op: r.Method, Subject: r.URL.Path, Text: "cross-origin request refused"}
	}
	return nil
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
