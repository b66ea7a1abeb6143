package registers

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/fs/register"
)

// found founds the pond, or learns that it is. Nodes that start together must found one
// pond, though each knows but some of the others:
//
//   - A node asks all that it knows of, and they tell whom they know of: those in their
//     views, and those that they were told to join. All of these must answer, and none
//     must have a roster: otherwise that roster is the pond's.
//   - The first of them by id then proposes a roster, as the value of a register that all
//     of them keep: it is chosen once every one of them has accepted it. Two that propose
//     know of a node in common, and that node accepts from one of them alone.
//
// So a node that was told to join another founds nothing without it. One that was told
// of none, and knows of none, founds a pond by itself.
func (k *caretaker) found(ctx context.Context, members []Member) {
	if k.cfg.Keeper.Lost() {
		k.because("the registers that this node kept are lost, and no other node knows the pond: restore the data folder, or remove its folder of registers to begin without them")
	}
	k.meet(ctx)
	circle, why := k.circle(ctx, members)
	switch {
	case k.Roster().Version > 0:
		return
	case k.cfg.Keeper.Lost():
		return
	case why != "":
		k.because(why)
		return
	}
	if first := slices.Min(nodesOf(circle)); first != k.cfg.Node {
		k.because("node " + first + " is about to found the pond")
		return
	}
	k.because("the pond is being founded")
	if err := k.agree(ctx, circle); err != nil {
		k.because(err.Error())
	}
}

// because notes why there is no roster.
func (k *caretaker) because(why string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.why != why {
		k.cfg.Log.Info("registers: no keepers are known yet", "because", why)
	}
	k.why = why
}

// meet asks the nodes that this one was told to join who they are.
func (k *caretaker) meet(ctx context.Context) {
	if k.met == nil {
		k.met = map[string]string{}
	}
	for _, addr := range k.cfg.Seeds {
		if k.met[addr] != "" {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, askMax)
		if reply, err := k.askAt(ctx, addr, &api.RegisterCall{}); err == nil {
			k.met[addr] = reply.Node
		}
		cancel()
	}
	k.tell()
}

// tell keeps what others are told who ask.
func (k *caretaker) tell() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.peers, k.missing = nil, nil
	for _, addr := range k.cfg.Seeds {
		if node := k.met[addr]; node != "" {
			k.peers = append(k.peers, node)
		} else {
			k.missing = append(k.missing, addr)
		}
	}
	for node := range k.addrs {
		k.peers = append(k.peers, node)
	}
	k.asked = true
}

// circle is everyone that this node knows of, through others too: or why it is not
// whole.
func (k *caretaker) circle(ctx context.Context, members []Member) (circle map[string]*api.RegisterReply, why string) {
	zones := map[string]Member{}
	for _, m := range members {
		zones[m.Node] = m
	}
	circle = map[string]*api.RegisterReply{}
	for todo := []string{k.cfg.Node}; len(todo) > 0; {
		node := todo[0]
		todo = todo[1:]
		if circle[node] != nil {
			continue
		}
		if _, ok := zones[node]; !ok {
			return nil, "node " + node + " is not in this node's view yet"
		}
		reply, err := k.ask(ctx, node, &api.RegisterCall{})
		switch {
		case err != nil:
			return nil, err.Error()
		case reply.Roster.Version > 0:
			return nil, "another has just founded the pond"
		case reply.Keeper == "":
			return nil, "the disk of node " + node + " has failed"
		case !reply.Asked:
			return nil, "node " + node + " has just started"
		case len(reply.Missing) > 0:
			return nil, fmt.Sprintf("node %s was told to join %s, and no node has answered there yet", node, strings.Join(reply.Missing, ", "))
		}
		circle[node] = reply
		todo = append(todo, reply.Peers...)
	}
	return circle, ""
}

func nodesOf(circle map[string]*api.RegisterReply) (out []string) {
	for node := range circle {
		out = append(out, node)
	}
	return out
}

// agree has all of the circle agree on a first roster, this node's or one that was
// proposed before.
func (k *caretaker) agree(ctx context.Context, circle map[string]*api.RegisterReply) error {
	founders := register.Roster{}
	var candidates []register.Candidate
	members, _ := k.cfg.View()
	for node, reply := range circle {
		founders.Keepers = append(founders.Keepers, reply.Keeper)
		c := register.Candidate{ID: reply.Keeper, Fit: true}
		if i := slices.IndexFunc(members, func(m Member) bool { return m.Node == node }); i >= 0 {
			c.Zone = members[i].Zone
		}
		candidates = append(candidates, c)
	}
	first := register.Roster{Pond: rand.Text(), Version: 1, Keepers: register.First(candidates)}
	p := register.NewProposer(k.cfg.Node+"-"+rand.Text(), founders)
	ctx, cancel := context.WithTimeout(ctx, foundMax)
	defer cancel()
	k.mu.Lock()
	op := p.CAS(register.FoundingKey, NewChange(), 0, first.Encode())
	out := op.Start()
	k.mu.Unlock()
	k.run(ctx, founding{op}, out)
	v, err := op.Result()
	chosen, e := register.DecodeRoster(v.Data)
	if e != nil || chosen.Version == 0 {
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
