package actors

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/pondmesh/pond/actors/access"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/faulty"
	"github.com/pondmesh/pond/actors/jobs"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/metrics"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/actors/publish"
	"github.com/pondmesh/pond/actors/refusals"
	"github.com/pondmesh/pond/actors/remote"
	"github.com/pondmesh/pond/actors/replicas"
	"github.com/pondmesh/pond/actors/runner"
	"github.com/pondmesh/pond/actors/setup"
	"github.com/pondmesh/pond/actors/vitals"
	"github.com/pondmesh/pond/actors/wire"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/faults"
	"github.com/pondmesh/pond/mesh"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// portTriesMax is how many free ports are picked for a node that may take any: others take
// some of them meanwhile.
const portTriesMax = 5

// Start brings up a node and joins it to the pond of its peers, or makes a new
// pond when it has none. The caller ends it with Leave or Close.
func Start(ctx context.Context, cfg setup.Config) (*Node, error) {
	cfg, err := cfg.Ready(ctx)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		base, err := cfg.BasePort()
		if err != nil {
			return nil, err
		}
		n, err := start(ctx, cfg, base)
		picked := cfg.Port == 0
		if err == nil || !picked || !setup.IsPortInUse(err) || try == portTriesMax {
			return n, err
		}
	}
}

// start brings up the parts from the bottom, and takes down those that are up
// when one fails.
func start(ctx context.Context, cfg setup.Config, base int) (*Node, error) {
	n := &Node{cfg: cfg, base: base, log: cfg.Log, refused: refusals.New(cfg.Log), stopped: make(chan struct{}), closed: make(chan struct{})}
	n.ctx, n.stop = context.WithCancel(context.WithoutCancel(ctx))
	for _, open := range []func(context.Context) error{
		n.listen, n.openStore, n.openEngines, n.openPlanner, n.openCalls, n.openReplicas, n.openWire, n.openStorage, n.openVitals,
		n.serve, n.join, n.openRegisters, n.openDatasets,
	} {
		if err := open(ctx); err != nil {
			n.Close()
			return nil, err
		}
	}
	n.openGrains()
	n.run()
	return n, nil
}

// listen takes the port of the API, so that a node whose ports are taken opens nothing else.
func (n *Node) listen(context.Context) error {
	port := n.base + api.PortOffset
	l, err := net.Listen("tcp", net.JoinHostPort(n.cfg.Bind, strconv.Itoa(port)))
	if err != nil {
		return setup.PortError(err, port, n.base)
	}
	n.listener = l.(*net.TCPListener)
	return nil
}

// openStore opens the node's data on disk.
func (n *Node) openStore(ctx context.Context) error {
	store, id, err := setup.OpenDataDir(ctx, n.cfg.Dir, n.cfg.Faults, n.log)
	if err != nil {
		return err
	}
	n.store, n.id = store, mesh.NodeID(id)
	if n.disks, err = setup.OpenDisks(ctx, store, n.cfg.Disks, n.cfg.Faults, n.log); err != nil {
		return err
	}
	if n.keeper, err = setup.OpenKeeper(n.cfg.Dir, id, n.cfg.Faults, n.log); err != nil {
		return err
	}
	if n.records, err = journal.OpenRecords(journal.OnDisk(store), n.cfg.RecordsMax, n.log); err != nil {
		return err
	}
	n.segments, err = journal.OpenSegments(journal.OnDisk(store), n.cfg.CacheMax, n.log)
	return err
}

// openEngines opens what runs DuckDB, and says which files it may be given.
func (n *Node) openEngines(ctx context.Context) (err error) {
	cfg := &n.cfg
	if n.rules, err = access.New(access.Config{Own: cfg.Dir, Disks: cfg.Disks, Keys: cfg.Keys, Read: cfg.Read, Write: cfg.Write}); err != nil {
		return err
	}
	n.runner, err = runner.Open(ctx, runner.Config{
		Program: cfg.Program, Memory: cfg.Memory, SlotsMemory: cfg.SlotsMemory(), Slots: cfg.Slots,
		Dir: filepath.Join(cfg.Dir, setup.SpillDir), Limits: n.limits(), Funcs: cfg.Funcs, Faults: cfg.Faults, Log: cfg.Log,
	})
	return err
}

// openPlanner opens what plans, and what runs tasks, over files of the node and over
// objects that are elsewhere.
func (n *Node) openPlanner(context.Context) (err error) {
	n.objects, err = remote.Open(remote.Config{Dir: filepath.Join(n.cfg.Dir, setup.ObjectsDir), Sources: remote.Sources(n.rules, os.Getenv), Log: n.log})
	if err != nil {
		return err
	}
	n.machine = &remote.Machine{Files: n.runner, Cache: n.objects}
	n.planner = prepare.New(remote.DuckDB{Files: n.runner.DuckDB, Cache: n.objects}, n.runner.Tasks, n.rules, n.log)
	n.planner.Objects = n.objects
	n.planner.Idle = func() bool { return n.slotFree(true) }
	return nil
}

// openCalls opens what asks other nodes, and the jobs that are asked about.
func (n *Node) openCalls(context.Context) error {
	cfg := &n.cfg
	n.conns = api.NewConns()
	n.api = api.NewPeer(cfg.TLS, cfg.Secret, n.conns.Dial)
	self := net.JoinHostPort(cfg.Advertise, strconv.Itoa(n.base+api.PortOffset))
	n.blocks = transfer.NewClient(transfer.ClientConfig{TLS: cfg.TLS, Authorization: n.api.Authorization, Window: exec.FetchWindow(n.runner.Tasks.SlotMemory()), Dial: n.conns.Dial, LocalAddr: self, Local: n.segments})
	n.runner.Reach(n.segments, n.blocks)
	n.peers = &peers.Peers{Self: n.id, View: n.view, API: n.api, Here: func() []api.JobStatus { return n.jobs.List() }, Log: n.log}
	n.jobs = jobs.New(jobs.Host{
		Context: n.ctx, Me: func() mesh.Member { return n.mesh.Self() }, Peers: n.peers, Records: n.records, Planner: n.planner,
		Slots: cfg.Slots, Limits: limitsOf(cfg), NewDriver: n.newDriver, Go: n.goes.Go, Log: n.log,
	})
	n.outputs = &publish.Outputs{Dir: filepath.Join(cfg.Dir, setup.StagedDir), Live: n.peers.Live, Rules: n.rules, Faults: cfg.Faults, Log: n.log}
	return nil
}

// openReplicas opens the node's copies of uploads.
func (n *Node) openReplicas(context.Context) (err error) {
	n.replicas, err = replicas.Open(replicas.Config{
		Self: n.id, Disks: n.disks, Segments: n.store, View: n.view, TLS: n.cfg.TLS, Authorization: n.api.Authorization, Dial: n.conns.Dial,
		CacheMax: n.cfg.CacheMax, Drained: filepath.Join(n.cfg.Dir, setup.DrainedFile), Log: n.log, Adopt: n.adopt,
		Judge: func(ctx context.Context, ids []fs.UploadID) error { return n.collector.Judge(ctx, ids) },
	})
	return err
}

// openWire opens the way of messages, and starts the worker that takes them.
func (n *Node) openWire(ctx context.Context) (err error) {
	port := n.base + api.ActorsPortOffset
	n.wire, err = wire.Open(ctx, wire.Config{
		Bind: n.cfg.Bind, Advertise: n.cfg.Advertise, Port: port, TLS: n.cfg.TLS, Secret: n.cfg.Secret,
		Node: string(n.id), Boot: rand.Text(), Log: n.log, Refused: n.refused, Handle: n.handleMessage,
	})
	if err != nil {
		return setup.PortError(err, port, n.base)
	}
	n.worker, err = n.wire.System().Root.SpawnNamed(actor.PropsFromProducer(func() actor.Actor { return newWorker(n) }), "worker")
	if err != nil {
		return fmt.Errorf("actors: start the worker: %w", err)
	}
	return nil
}

// openVitals opens what tells how the node stands. What it reads once the node is up is
// completed before that.
func (n *Node) openVitals(context.Context) error {
	n.vitals = &vitals.Vitals{
		Config: &n.cfg, Up: n.up.Load, Peers: n.peers, Store: n.store, Keeper: n.keeper, Disks: n.disks, Segments: n.segments.Usage, Staged: n.outputs.Usage,
		Jobs: n.jobs, Running: n.running.Load, Engines: n.runner.Processes, Log: n.log,
		Self: func() mesh.Member { return n.mesh.Self() }, Copies: n.replicas.Figures,
	}
	n.metrics = metrics.New(n.vitals.Gauges)
	return nil
}

// serve answers the API, from before the node joins: who asks while peers are called hears
// that, rather than nothing.
func (n *Node) serve(context.Context) error {
	n.edge = newEdge(n)
	n.vitals.Connections = n.edge.Connections
	n.goes.Go(func() {
		if err := n.edge.Serve(n.listener); err != nil {
			n.log.Error("the API server ended", "err", err)
		}
	})
	return nil
}

// join makes the node a member of its pond.
func (n *Node) join(ctx context.Context) (err error) {
	gossip := n.cfg.Mesh(n.base)
	gossip.Node, gossip.OnPause = n.id, n.onPause
	if n.mesh, err = mesh.Join(ctx, gossip); err != nil {
		return setup.PortError(err, n.base, n.base)
	}
	return nil
}

// run starts what a node does by itself.
func (n *Node) run() {
	n.jobs.Registers = faulty.Registers(n.registers, n.cfg.Faults, faults.TermCAS, faults.TermCASDone)
	n.replicas.Follow(n.registers)
	n.planner.Elsewhere = n.hasElsewhere
	n.vitals.Registers, n.vitals.Actors = n.registers, n.grains.Active
	n.up.Store(true)
	n.goes.Go(n.followView)
	n.goes.Go(n.jobs.Follow)
	n.goes.Go(n.reclaim)
	n.goes.Go(n.collect)
	n.goes.Go(func() { n.outputs.ClearNoted(n.ctx) })
	n.log.Info("node started", "node", n.id, "addr", n.Addr(), "slots", n.cfg.Slots, "memory", n.cfg.Memory, "data", n.cfg.Dir, "access", n.rules)
}

// limits are those that the node's operator has set.
func (n *Node) limits() exec.Limits {
	return exec.Limits{Spill: n.cfg.SpillMax, Result: n.cfg.ResultMax, Output: n.cfg.OutputMax}
}
