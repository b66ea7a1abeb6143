package replicas

import (
	"context"
	"slices"

	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/layout"
	"github.com/pondmesh/pond/fs/repair"
	"github.com/pondmesh/pond/fs/replica"
)

// Survey is what all nodes said that they hold, when they were asked. It is its caller's
// alone.
type Survey struct {
	r      *Replicas
	layout layout.Layout
	mine   map[layout.Group]*sum
	heard  map[replica.Node]*said
	silent []replica.Node
	groups map[layout.Group]map[replica.Node]repair.Inventory // those that were looked at
}

// Survey asks all nodes that may hold copies what they hold.
func (r *Replicas) Survey(ctx context.Context) (*Survey, error) {
	l, _, err := r.readLayout(ctx)
	if err != nil {
		return nil, err
	}
	mine, err := r.sums()
	if err != nil {
		return nil, err
	}
	all := slices.DeleteFunc(r.everybody(), func(n replica.Node) bool { return n == r.self() })
	s := &Survey{r: r, layout: l, mine: mine, heard: r.askAll(ctx, all, mine), groups: map[layout.Group]map[replica.Node]repair.Inventory{}}
	for _, n := range all {
		if s.heard[n] == nil {
			s.silent = append(s.silent, n)
		}
	}
	slices.Sort(s.silent)
	return s, nil
}

// Silent are nodes that may hold copies, and did not say so.
func (s *Survey) Silent() []replica.Node { return s.silent }

// Holders are the nodes that have a copy of an upload, and how many there should be.
func (s *Survey) Holders(id fs.UploadID) (has []replica.Node, want int, err error) {
	g := layout.GroupOf(id)
	said, err := s.group(g)
	if err != nil {
		return nil, 0, err
	}
	if s.layout.Current() == nil { // nothing was given to anybody yet
		return holders(repair.ID(id), said), s.r.Published().Want, nil
	}
	return holders(repair.ID(id), said), len(s.layout.Owners(g)), nil
}

// Lack is an upload of which nodes that are to hold it have no copy.
type Lack struct {
	ID    repair.ID
	Has   []replica.Node
	Lacks []replica.Node
}

// Lacks are uploads with too few copies, at most so many, and how many there are. Who did
// not answer lacks all.
func (s *Survey) Lacks(most int) (out []Lack, count int, err error) {
	if s.layout.Current() == nil {
		return nil, 0, nil
	}
	for _, g := range concerned(false, s.mine, s.heard) {
		said, err := s.group(g)
		if err != nil {
			return nil, 0, err
		}
		for id, lacks := range repair.Lacks(&s.layout, g, said) {
			if count++; len(out) < most {
				out = append(out, Lack{id, holders(id, said), lacks})
			}
		}
	}
	return out, count, nil
}

// group is what each node that was heard holds of a group.
func (s *Survey) group(g layout.Group) (map[replica.Node]repair.Inventory, error) {
	if known, ok := s.groups[g]; ok {
		return known, nil
	}
	own := newInventory(false)
	if s.mine[g] != nil {
		var err error
		if own, err = s.r.inventory(g, false); err != nil {
			return nil, err
		}
	}
	out := map[replica.Node]repair.Inventory{s.r.self(): own}
	for n, said := range s.heard {
		out[n] = said.inventory(g, own)
	}
	s.groups[g] = out
	return out, nil
}

func holders(id repair.ID, said map[replica.Node]repair.Inventory) (out []replica.Node) {
	for n, s := range said {
		if s.Held[id] {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}
