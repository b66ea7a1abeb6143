package registers

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/fs/register"
)

// Bounds of founding.
const (
	foundMax = 5 * time.Second        // of agreeing on the first roster
	meetMax  = 500 * time.Millisecond // of a seed's answer
	// missingMax is how long nodes are waited for that were named and do not answer.
	missingMax = 20 * time.Second
)

// Seed is what a node was told to join: a name, and the APIs of the nodes that it means.
type Seed struct {
	Name  string
	Addrs []string // none: the name means nothing yet
}

// found founds the pond, or learns that it is. Nodes that start together must found one
// pond, though each knows but some of the others:
//
//   - A node asks all that it knows of, and they tell whom they know of: those in their
//     views, and those that they were told to join. If any of them has a roster, that is
//     the pond's.
//   - All must answer. After 20 s it is enough that more of those answer that somebody was
//     told to join than do not: new nodes whose peers are old ones do not begin without
//     them.
//   - The first of them by id then proposes a roster, as the value of a register that all
//     who answered keep: it is chosen once every one of them has accepted it. Two that
//     propose know of a node in common, and that node accepts one of them alone.
//
// So a node that was told to join another founds nothing without it. One that was told
// of none, and knows of none, founds a pond by itself.
func (k *caretaker) found(ctx context.Context, members []Member) {
	k.meet(ctx)
	circle, missing := gather(k.cfg.Node, k.acquaintances(ctx, members))
	why := whyNot(k.cfg.Node, circle, missing, time.Since(k.started))
	switch {
	case k.Roster().Version > 0:
		return
	case k.cfg.Keeper.Lost():
		why = "the registers that this node kept are lost, and no node that it knows has others: restore the data folder, or remove its folder of registers to begin without them"
	}
	k.because(why)
	if why == "" {
		k.because("the pond is being founded")
		if err := k.agree(ctx, members, circle); err != nil {
			k.because(err.Error())
		}
	}
}

// because notes why there is no roster.
func (k *caretaker) because(why string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if why != "" && k.why != why {
		k.cfg.Log.Info("registers: no keepers are known yet", "because", why)
		k.why = why
	}
}

// meet asks the nodes that this one was told to join who they are, until each has
// answered once, and notes what it tells others of them.
func (k *caretaker) meet(ctx context.Context) {
	var named, missing []string
	for _, seed := range k.cfg.Seeds(ctx) {
		if len(seed.Addrs) == 0 {
			missing = append(missing, seed.Name)
		}
		for _, addr := range seed.Addrs {
			if node := k.whoIs(ctx, addr); node != "" {
				named = append(named, node)
			} else {
				missing = append(missing, addr)
			}
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.peers, k.named, k.missing, k.asked = slices.Collect(maps.Keys(k.addrs)), named, missing, true
}

// whoIs is the node at an address; empty if none has answered yet.
func (k *caretaker) whoIs(ctx context.Context, addr string) string {
	if k.met[addr] == "" {
		ctx, cancel := context.WithTimeout(ctx, meetMax)
		defer cancel()
		if reply, err := k.askAt(ctx, addr, &api.RegisterCall{}); err == nil {
			k.met[addr] = reply.Node
		}
	}
	return k.met[addr]
}

// acquaintances asks a node of the view whom it knows; nil of one that is not there, does
// not answer, or has not looked around yet.
func (k *caretaker) acquaintances(ctx context.Context, members []Member) func(node string) *api.RegisterReply {
	return func(node string) *api.RegisterReply {
		if !slices.ContainsFunc(members, func(m Member) bool { return m.Node == node }) {
			return nil
		}
		reply, err := k.ask(ctx, node, &api.RegisterCall{})
		if err != nil || reply.Node != node || reply.Keeper == "" || !reply.Asked {
			return nil
		}
		return reply
	}
}

// gather is everyone that a node knows of, through others too, and who of those does
// not answer.
func gather(self string, ask func(node string) *api.RegisterReply) (circle map[string]*api.RegisterReply, missing []string) {
	circle = map[string]*api.RegisterReply{}
	asked := map[string]bool{}
	for todo := []string{self}; len(todo) > 0; todo = todo[1:] {
		node := todo[0]
		if asked[node] {
			continue
		}
		asked[node] = true
		reply := ask(node)
		if reply == nil {
			missing = append(missing, "node "+node)
			continue
		}
		circle[node] = reply
		missing = append(missing, reply.Missing...)
		todo = slices.Concat(todo, reply.Peers, reply.Named)
	}
	slices.Sort(missing)
	return circle, slices.Compact(missing)
}

// whyNot is why a node does not found a pond with those who answer; empty if it does.
func whyNot(self string, circle map[string]*api.RegisterReply, missing []string, waited time.Duration) string {
	named := map[string]bool{}
	for _, reply := range circle {
		for _, node := range reply.Named {
			named[node] = circle[node] != nil
		}
	}
	maps.DeleteFunc(named, func(_ string, answers bool) bool { return !answers })
	if len(missing) > 0 && (waited < missingMax || len(missing) >= len(named)) {
		return "no answer yet from " + strings.Join(missing, ", ")
	}
	if first := slices.Min(slices.Collect(maps.Keys(circle))); first != self {
		return "node " + first + " is to found the pond"
	}
	return ""
}

// agree has all of the circle agree on a first roster, this node's or one that was
// proposed before.
func (k *caretaker) agree(ctx context.Context, members []Member, circle map[string]*api.RegisterReply) error {
	founders := register.Roster{}
	var candidates []register.Candidate
	for _, m := range members {
		if reply := circle[m.Node]; reply != nil {
			founders.Keepers = append(founders.Keepers, reply.Keeper)
			candidates = append(candidates, register.Candidate{ID: reply.Keeper, Zone: m.Zone, Fit: true})
		}
	}
	first := register.Roster{Pond: rand.Text(), Version: 1, Keepers: register.First(candidates)}
	p := register.NewProposer(k.cfg.Node+"-"+rand.Text(), founders)
	ctx, cancel := context.WithTimeout(ctx, foundMax)
	defer cancel()
	op := founding{p.CAS(register.FoundingKey, NewChange(), 0, first.Encode())}
	k.run(ctx, op, op.Start())
	v, err := op.Result()
	chosen, bad := register.DecodeRoster(v.Data)
	if bad != nil || chosen.Version == 0 {
		return fmt.Errorf("registers: found the pond: %w", err)
	}
	k.hear("", chosen)
	k.survey(ctx, members) // all of them hear of it
	return nil
}

// founding ends when a keeper turns out to know the pond's roster: its node has told of
// it.
type founding struct{ *register.Operation }

func (f founding) Step(r register.Reply) ([]register.Request, register.Status) {
	if r.Refused == register.WrongRoster {
		return nil, register.Done
	}
	return f.Operation.Step(r)
}
