// Package crew is the nodes that a job's coordinator reckons with: it makes of each view
// of the pond what has happened to them since the last, in the Decider's terms.
//
// It refuses to ask a node anything, and to choose one. A Crew is for one goroutine.
package crew

import (
	"maps"
	"slices"
	"time"

	"github.com/pondmesh/pond/actors/sched"
	"github.com/pondmesh/pond/mesh"
)

// Crew is the nodes of one job. The zero value has none.
type Crew struct {
	nodes map[mesh.NodeID]mesh.Member // in the latest view
	addrs map[mesh.NodeID]string      // API of every node ever seen: those of holders that are leaving too
	heard map[mesh.NodeID]time.Time   // when a node last said anything, or was asked to; of nodes only
}

// Change is what a view tells of a node.
type Change struct {
	Event sched.Event // a NodeUp, NodeLeaving or NodeLost
	Node  mesh.Member
	New   bool // it is not in the view before
	Back  bool // it has been seen before, and may hold what it held then
}

// See takes a view, newer than the last, and returns what has changed: the nodes that are
// there before those that are gone.
func (c *Crew) See(v *mesh.View) (changes []Change) {
	if c.nodes == nil {
		c.nodes, c.addrs, c.heard = map[mesh.NodeID]mesh.Member{}, map[mesh.NodeID]string{}, map[mesh.NodeID]time.Time{}
	}
	alive := map[mesh.NodeID]bool{}
	for _, m := range v.Members {
		alive[m.ID] = true
		old, known := c.nodes[m.ID]
		at := Change{Node: m, New: !known, Back: !known && c.addrs[m.ID] != "" || known && old.Boot != m.Boot}
		c.nodes[m.ID], c.addrs[m.ID] = m, m.APIAddr()
		if !known || old.Boot != m.Boot || old.Slots != m.Slots {
			at.Event = sched.NodeUp{Node: sched.NodeID(m.ID), Boot: sched.Boot(m.Boot), Slots: m.Slots, Memory: m.Memory, Offers: m.Offers}
			changes = append(changes, at)
		}
		if m.State == mesh.Leaving && (!known || old.State != mesh.Leaving) {
			at.Event = sched.NodeLeaving{Node: sched.NodeID(m.ID)}
			changes = append(changes, at)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.nodes)) {
		if m := c.nodes[id]; !alive[id] {
			delete(c.nodes, id)
			delete(c.heard, id)
			changes = append(changes, Change{Event: sched.NodeLost{Node: sched.NodeID(id), Boot: sched.Boot(m.Boot)}, Node: m})
		}
	}
	return changes
}

// Find is a node that is in the latest view.
func (c *Crew) Find(id mesh.NodeID) (mesh.Member, bool) {
	m, ok := c.nodes[id]
	return m, ok
}

// All is the nodes of the latest view.
func (c *Crew) All() []mesh.Member { return slices.Collect(maps.Values(c.nodes)) }

// API is where a node's API is, or was when it was last seen; "": it never was.
func (c *Crew) API(id sched.NodeID) string { return c.addrs[mesh.NodeID(id)] }

// Holders are the APIs of the nodes that hold a winner's output, as far as they were ever
// seen.
func (c *Crew) Holders(w sched.Winner) (addrs []string) {
	for _, h := range w.Holders {
		if addr := c.API(h); addr != "" {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// Heard notes that a node of the view has said something.
func (c *Crew) Heard(id mesh.NodeID, now time.Time) { c.heard[id] = now }

// Quiet reports whether a node has said nothing for so long. It is taken for asked then.
func (c *Crew) Quiet(id mesh.NodeID, now time.Time, most time.Duration) bool {
	if _, ok := c.nodes[id]; !ok || now.Sub(c.heard[id]) < most {
		return false
	}
	c.heard[id] = now
	return true
}

// Silent is the nodes that have said nothing for so long. They are not named again until
// they have been silent for as long once more.
func (c *Crew) Silent(now time.Time, most time.Duration) (silent []mesh.NodeID) {
	for id := range c.nodes {
		if c.Quiet(id, now, most) {
			silent = append(silent, id)
		}
	}
	return silent
}
