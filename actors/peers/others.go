package peers

import (
	"strings"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/mesh"
)

// others is what a client hears of the nodes to ask when this one dies, by one view.
type others struct {
	view *mesh.View
	text string
}

// Others are the APIs of some other nodes that take work, as the value of
// api.NodesHeader.
func (p *Peers) Others() string {
	v := p.View()
	o := p.others.Load()
	if o == nil || o.view != v {
		o = &others{v, strings.Join(otherAPIs(v, p.Self), ",")}
		p.others.Store(o)
	}
	return o.text
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
