//go:build duckdb_arrow

package pond

import (
	"context"
	"fmt"
	"os"

	"github.com/pondmesh/pond/actors"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/funcs"
	"github.com/pondmesh/pond/actors/isolate"
	"github.com/pondmesh/pond/actors/kinds"
	"github.com/pondmesh/pond/actors/process"
	"github.com/pondmesh/pond/actors/setup"
)

// Join starts a node and joins it to the pond of its peers. It is ended with
// Leave, or with Close. Programs that call it are built with cgo and
// -tags duckdb_arrow.
func Join(ctx context.Context, options ...Option) (*Node, error) {
	if err := process.Check(); err != nil {
		return nil, fmt.Errorf("pond: join: %w", err)
	}
	c := &config{job: firstSettings(), wait: reconnectTime, node: nodeConfig{funcs: new(funcs.Registry), kinds: new(kinds.Registry)}}
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
	conf.TLS, conf.TokenFile = c.tls, c.tokenFile
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
	return &Node{Session: newSession([]string{n.APIAddr()}, c, 0), n: n, tmp: tmp}, nil
}

// Main makes this process an engine process when a node of this program started it as
// one: DuckDB then works here, until the node ends it, and Main reports true. A program
// that joins a pond calls it first thing in main, before it looks at flags:
//
//	func main() {
//		if pond.Main() {
//			return
//		}
//		…
//	}
//
// Without it DuckDB runs in the program's own process: what crashes DuckDB ends it, and it
// may keep memory that DuckDB frees. Go functions run in the program's own process either
// way.
func Main() bool { return process.Main(isolate.Serve) }

// setup is the settings as package setup takes them.
func (c *nodeConfig) setup() setup.Config {
	return setup.Config{
		Bind: c.bind, Advertise: c.advertise, Port: c.port, Peers: c.peers, JoinFor: c.joinFor, Dir: c.dir, Disks: c.disks, Memory: c.memory, Slots: c.slots, Label: c.label,
		GossipKey: c.gossipKey, Zone: c.zone, KeeperGrace: c.keeperGrace, Retention: c.retention, CacheMax: c.cache, SpillMax: c.spillMax, ResultMax: c.resultMax, OutputMax: c.outputMax,
		KeepFor: c.keepFor, RecordsMax: c.recordsMax, JobsMax: c.jobsMax, UserJobsMax: c.userJobsMax, QueueMax: c.queueMax,
		Read: c.read, Write: c.write, Keys: c.keys, Log: c.log, Version: c.version, Funcs: c.funcs, Kinds: c.kinds, ActorIdle: c.actorIdle, ChaosKey: c.chaosKey, Program: process.Program(),
	}
}
