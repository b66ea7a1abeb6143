//go:build duckdb_arrow

package pond

import (
	"context"
	"fmt"
	"os"

	"github.com/pondmesh/pond/actors"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/funcs"
	"github.com/pondmesh/pond/actors/setup"
)

// Join starts a node and joins it to the pond of its peers. It is ended with
// Leave, or with Close. Programs that call it are built with cgo and
// -tags duckdb_arrow.
func Join(ctx context.Context, options ...Option) (*Node, error) {
	c := &config{job: firstSettings(), node: nodeConfig{funcs: new(funcs.Registry)}}
	for _, o := range options {
		if err := o.join(c); err != nil {
			return nil, public(err)
		}
	}
	var err error
	if c.tls, err = api.Secure(c.tls); err != nil {
		return nil, public(err)
	}
	conf := c.node.setup()
	conf.TLS = c.tls
	tmp := ""
	if conf.Dir == "" {
		if tmp, err = os.MkdirTemp("", "pond-"); err != nil {
			return nil, fmt.Errorf("pond: make a data folder: %w", err)
		}
		conf.Dir = tmp
	}
	n, err := actors.Start(ctx, conf)
	if err != nil {
		removeTemp(tmp)
		return nil, public(err)
	}
	return &Node{Session: newSession(n.APIAddr(), c), n: n, tmp: tmp}, nil
}

// setup is the settings as package setup takes them.
func (c *nodeConfig) setup() setup.Config {
	return setup.Config{
		Bind: c.bind, Advertise: c.advertise, Port: c.port, Peers: c.peers, Dir: c.dir, Memory: c.memory, Slots: c.slots, Label: c.label,
		GossipKey: c.gossipKey, Zone: c.zone, CacheMax: c.cache, Log: c.log, Version: c.version, Funcs: c.funcs,
	}
}
