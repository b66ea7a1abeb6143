package actors

import (
	"context"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/registers"
	"github.com/pondmesh/pond/mesh"
)

// handOverMax is how long a leaving node waits for its keeper to be replaced.
const handOverMax = 10 * time.Second

// openRegisters starts the node's part in the pond's registers.
func (n *Node) openRegisters() (err error) {
	var seeds []string
	for _, p := range n.cfg.Peers {
		addr, err := api.Addr(p)
		if err != nil {
			return err
		}
		seeds = append(seeds, addr)
	}
	n.registers, err = registers.Open(registers.Config{
		Node: string(n.id), Keeper: n.keeper, Seeds: seeds, Grace: n.cfg.KeeperGrace, Log: n.log,
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

// leaveRegisters hands over what this node's keeper keeps.
func (n *Node) leaveRegisters(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, handOverMax)
	defer cancel()
	if err := n.registers.Leave(ctx); err != nil {
		n.log.Warn("leaving", "err", err)
	}
}
