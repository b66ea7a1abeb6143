package actors

import (
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/mesh"
)

// others is what this node tells clients of the nodes to ask when it dies.
type others struct{ latest atomic.Pointer[othersOf] }

// othersOf is the text for one view.
type othersOf struct {
	view *mesh.View
	text string
}

// nameOthers puts them into a reply's header.
func (n *Node) nameOthers(h http.Header) {
	if n.mesh == nil { // in tests
		return
	}
	v := n.mesh.View()
	o := n.others.latest.Load()
	if o == nil || o.view != v {
		o = &othersOf{v, strings.Join(otherAPIs(v, n.id), ",")}
		n.others.latest.Store(o)
	}
	if o.text != "" {
		h.Set(api.NodesHeader, o.text)
	}
}

// otherAPIs are the APIs of some nodes that take work, those that follow self first:
// each node names others.
func otherAPIs(v *mesh.View, self mesh.NodeID) []string {
	var before, after []string
	for _, m := range v.Members {
		switch {
		case m.State != mesh.Alive || m.ID == self:
		case m.ID < self:
			before = append(before, m.APIAddr())
		default:
			after = append(after, m.APIAddr())
		}
	}
	all := append(after, before...)
	return all[:min(len(all), api.NodesMax)]
}
