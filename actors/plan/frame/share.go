package frame

import (
	"slices"

	"github.com/pondmesh/pond/actors/plan"
)

// materializeShared keeps two stages from doing the same work: a view that several
// exits depend on gets an exit of its own, which they read partition by partition.
// Views that are read directly, and those that a sample reads first, are read again
// instead.
func (c *compiler) materializeShared(last *exit) {
	for cuts := toCut(last); len(cuts) > 0; cuts = toCut(last) {
		for _, v := range cuts {
			c.cutShared(last, v)
		}
	}
}

// cutShared makes all that depend on v read it from an exit of its own.
func (c *compiler) cutShared(last *exit, v *view) {
	exits := reachable(last)
	keep := orderCounts(exits, v)
	r := &rel{v, layout{n: v.n}}
	own := c.cut(r, keep)
	again := c.reread(r, plan.ReadSegments, v.n, keep)
	again.label = v.label
	for _, e := range exits {
		if e == own {
			continue
		}
		if e.root == v {
			e.root = again
		}
		for _, w := range within(e.root) {
			for i, a := range w.args {
				if a == v {
					w.args[i] = again
				}
			}
		}
	}
}

// orderCounts is true when something that v is part of relies on its order.
func orderCounts(exits []*exit, v *view) bool {
	for _, e := range exits {
		all := within(e.root)
		if slices.Contains(all, v) && (e.ordered || slices.ContainsFunc(all, func(w *view) bool { return w.inOrder })) {
			return true
		}
	}
	return false
}

// toCut lists views that must leave by an exit of their own: several exits
// depend on them, and not all by way of the same consumers. Of those of one
// stage it lists the ones that no other is made of; cutting them may settle the
// others.
func toCut(last *exit) []*view {
	users := map[*view][]*exit{}
	exits := reachable(last)
	for _, e := range exits {
		for _, v := range within(e.root) {
			if !e.sample || !cheap(v) {
				users[v] = append(users[v], e)
			}
		}
	}
	found := map[*view]bool{}
	var list []*view
	consider := func(v *view, by []*exit) {
		if len(users[v]) > 1 && !v.direct() && !found[v] && !slices.Equal(users[v], by) {
			found[v] = true
			list = append(list, v)
		}
	}
	for _, e := range exits {
		consider(e.root, nil)
		for _, v := range within(e.root) {
			for _, a := range v.args {
				consider(a, users[v])
			}
		}
	}
	covered := map[*view]bool{}
	for _, v := range list {
		for _, w := range within(v) {
			covered[w] = covered[w] || w != v
		}
	}
	return slices.DeleteFunc(list, func(v *view) bool { return covered[v] })
}

// reachable lists the exits that the last one depends on, itself last; each
// stands after those it reads.
func reachable(last *exit) []*exit {
	var out []*exit
	seen := map[*exit]bool{}
	var visit func(e *exit)
	visit = func(e *exit) {
		if seen[e] {
			return
		}
		seen[e] = true
		if e.bounds != nil {
			visit(e.bounds)
		}
		for _, v := range within(e.root) {
			if v.read != nil {
				for _, up := range v.read.exits {
					visit(up)
				}
			}
		}
		out = append(out, e)
	}
	visit(last)
	return out
}

// within lists a view and its arguments, transitively, inside its stage; each
// stands after its arguments. Arguments that its text never names are left out.
func within(root *view) []*view {
	var out []*view
	seen := map[*view]bool{}
	var visit func(v *view)
	visit = func(v *view) {
		if seen[v] {
			return
		}
		seen[v] = true
		for i, a := range v.args {
			if v.text.Names(i) {
				visit(a)
			}
		}
		out = append(out, v)
	}
	visit(root)
	return out
}
