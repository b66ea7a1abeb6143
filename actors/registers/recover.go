package registers

import (
	"context"
	"fmt"
	"slices"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs/register"
)

// Recover makes new keepers of nodes that live, where most of the old ones are gone for
// good: see register.Recovery, which says what may be lost. While a majority of them
// answers it refuses with plan.ErrExists. Without force it changes nothing, and tells what
// it would do. It waits until it is done, or ctx ends; then it may be called again, and has
// to be: until then the registers are closed.
func (r *Registers) Recover(ctx context.Context, force bool) (*api.Recovery, error) {
	ctx, cancel := r.within(ctx, changeMax)
	defer cancel()
	members, _ := r.cfg.View()
	found := r.survey(ctx, members)
	roster := r.Roster()
	if roster.Version == 0 {
		return nil, fmt.Errorf("%w: there is nothing to be recovered", ErrNoRoster)
	}
	live, next := recoverable(roster, members, found)
	out := &api.Recovery{Next: nodesOf(next)}
	for _, k := range roster.All() {
		if slices.Contains(live, k) {
			out.Alive = append(out.Alive, NodeOf(k))
		} else {
			out.Gone = append(out.Gone, NodeOf(k))
		}
	}
	switch {
	case roster.Quorum(func(k register.KeeperID) bool { return slices.Contains(live, k) }):
		return nil, &plan.Error{Kind: plan.KindExists, Op: "recover", Subject: "registers", Text: fmt.Sprintf("%d of %d keepers answer, which is a majority: nothing is to be recovered", len(out.Alive), len(roster.All())),
			Hint: "keepers that stay dead are replaced by themselves, after --keeper-grace"}
	case len(next) == 0:
		return nil, &plan.Error{Kind: plan.KindUnavailable, Op: "recover", Subject: "registers", Text: "no node that stays can keep the registers"}
	case !force:
		return out, nil
	}
	r.cfg.Log.Warn("registers: recovering on an operator's word: what only the keepers that are gone knew is lost", "alive", out.Alive, "gone", out.Gone, "next", out.Next)
	r.mu.Lock()
	c, first := r.p.Recover(NewChange(), live, next)
	r.mu.Unlock()
	r.run(ctx, c, first)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := c.Result(); err != nil {
		return nil, &plan.Error{Kind: plan.KindUnavailable, Op: "recover", Subject: "registers", Text: err.Error(), Hint: "the registers are closed until a recovery ends: ask for it again"}
	}
	out.Done, out.Registers = true, c.Held()
	r.cfg.Log.Warn("registers: recovered", "roster", c.Roster().Version, "keepers", c.Roster().Keepers, "registers", out.Registers)
	return out, nil
}

// recoverable are the keepers that have just answered and may be believed, and those of
// them that are to keep the registers.
func recoverable(roster register.Roster, members []Member, found map[string]*api.RegisterReply) (live, next []register.KeeperID) {
	var fit []register.Candidate
	for _, m := range members {
		reply := found[m.Node]
		if reply == nil || reply.Keeper == "" || reply.Roster.Version > 0 && reply.Roster.Pond != roster.Pond || slices.Contains(roster.GivenUp, reply.Keeper) {
			continue
		}
		if live = append(live, reply.Keeper); !m.Leaving {
			fit = append(fit, register.Candidate{ID: reply.Keeper, Zone: m.Zone, Fit: true})
		}
	}
	return live, register.First(fit)
}

func nodesOf(keepers []register.KeeperID) (nodes []string) {
	for _, k := range keepers {
		nodes = append(nodes, NodeOf(k))
	}
	return nodes
}
