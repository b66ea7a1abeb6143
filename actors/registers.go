package actors

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/registers"
	"github.com/pondmesh/pond/mesh"
)

// handOverMax is how long a leaving node waits for its keeper to be replaced.
const handOverMax = 10 * time.Second

// resolveMax bounds the look-up of peers' names.
const resolveMax = 5 * time.Second

// openRegisters starts the node's part in the pond's registers.
func (n *Node) openRegisters(context.Context) (err error) {
	n.registers, err = registers.Open(registers.Config{
		Node: string(n.id), Keeper: n.keeper, Seeds: n.registerSeeds, Grace: n.cfg.KeeperGrace, Log: n.log,
		View: func() ([]registers.Member, <-chan struct{}) {
			v := n.mesh.View()
			out := make([]registers.Member, 0, len(v.Members))
			for _, m := range v.Members {
				out = append(out, registers.Member{Node: string(m.ID), Addr: m.APIAddr(), Zone: m.Zone, Leaving: m.State == mesh.Leaving})
			}
			return out, v.Superseded()
		},
		Ask: func(ctx context.Context, addr string, c *api.RegisterCall) (*api.RegisterReply, error) {
			return n.api.At(addr).Registers(ctx, c)
		},
	})
	return err
}

// registerSeeds are the APIs of the nodes that this one was told to join.
func (n *Node) registerSeeds(ctx context.Context) (out []registers.Seed) {
	ctx, cancel := context.WithTimeout(ctx, resolveMax)
	defer cancel()
	for _, p := range n.cfg.Peers {
		seed := registers.Seed{Name: p}
		host, port, err := api.SplitPeer(p)
		if err == nil {
			var ips []net.IP
			ips, err = mesh.Lookup(ctx, host)
			for _, ip := range ips {
				seed.Addrs = append(seed.Addrs, net.JoinHostPort(ip.String(), strconv.Itoa(port+api.PortOffset)))
			}
		}
		if err != nil {
			n.log.Debug("a peer's name means nothing", "peer", p, "err", err)
		}
		out = append(out, seed)
	}
	return out
}

// leaveRegisters hands over what this node's keeper keeps.
func (n *Node) leaveRegisters(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, handOverMax)
	defer cancel()
	if err := n.registers.Leave(ctx); err != nil {
		n.log.Warn("leaving", "err", err)
	}
}
