package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/pondmesh/pond/actors/access"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/copies"
	"github.com/pondmesh/pond/actors/datasets"
	"github.com/pondmesh/pond/actors/drafts"
	"github.com/pondmesh/pond/actors/edge"
	"github.com/pondmesh/pond/actors/grains"
	"github.com/pondmesh/pond/actors/jobs"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/metrics"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/actors/publish"
	"github.com/pondmesh/pond/actors/refusals"
	"github.com/pondmesh/pond/actors/registers"
	"github.com/pondmesh/pond/actors/remote"
	"github.com/pondmesh/pond/actors/replicas"
	"github.com/pondmesh/pond/actors/runner"
	"github.com/pondmesh/pond/actors/setup"
	"github.com/pondmesh/pond/actors/storage"
	"github.com/pondmesh/pond/actors/vitals"
	"github.com/pondmesh/pond/actors/wire"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/disks"
	"github.com/pondmesh/pond/mesh"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// Bounds of a node's end.
const (
	drainMax        = 2 * time.Minute // how long a leaving node waits for jobs that need it
	drainAlone      = 5 * time.Second // the same when no node stays, once its tasks have ended
	shutdownTimeout = 5 * time.Second
)

// Node is one equal member of a pond. Start makes one; it ends with Leave,
// Close, or by itself when asked to leave over the API.
type Node struct {
	id       mesh.NodeID
	cfg      setup.Config
	base     int // its base port
	log      *slog.Logger
	listener *net.TCPListener // of the API; edge closes it, once there is one

	store     *fs.Store
	disks     *disks.Disks // store and others
	keeper    *fs.Keeper
	records   *journal.Records
	segments  *journal.Segments
	runner    *runner.Runner
	objects   *remote.Cache
	machine   drafts.Runner // the runner, over objects and datasets too
	copier    *copies.Copier
	planner   *prepare.Planner
	mesh      *mesh.Mesh
	wire      *wire.Wire
	api       *api.Peer
	blocks    *transfer.Client
	conns     *api.Conns // of api and blocks
	jobs      *jobs.Jobs
	peers     *peers.Peers
	outputs   *publish.Outputs
	registers *registers.Registers
	replicas  *replicas.Replicas
	datasets  *datasets.Datasets
	collector *datasets.Collector
	storage   *storage.Server
	grains    *grains.Host // the actors of users
	rules     *access.Rules
	vitals    *vitals.Vitals
	metrics   *metrics.Metrics
	worker    *actor.PID
	running   atomic.Int64  // attempts: granted and not yet ended
	edge      *edge.Edge    // the HTTP server
	refused   *refusals.Log // of the wire and the edge

	up        atomic.Bool     // it has joined: mesh is set, and the API answers
	ctx       context.Context // ends when the node stops
	stop      context.CancelFunc
	goes      sync.WaitGroup // every goroutine of the node but the server's handlers: close waits for them
	stopped   chan struct{}  // closed when Close begins
	closed    chan struct{}  // closed when Close has ended
	closeOnce sync.Once
	closeErr  error
	leaveOnce sync.Once
}

// adopt takes a copy of a segment that another node made.
func (n *Node) adopt(info fs.Info) error {
	job, err := n.segments.Adopt(info)
	if err == nil {
		n.wire.System().Root.Send(n.worker, &copiedMsg{job})
	}
	return err
}

// view is the node's present view, once it has joined.
func (n *Node) view() *mesh.View { return n.mesh.View() }

// ID is the node's identity, kept in its data folder.
func (n *Node) ID() string { return string(n.id) }

// Addr is the node's base address, which others give as --peer.
func (n *Node) Addr() string { return n.mesh.Self().GossipAddr() }

// APIAddr is where the node's API listens.
func (n *Node) APIAddr() string { return n.mesh.Self().APIAddr() }

// Done is closed when the node has stopped.
func (n *Node) Done() <-chan struct{} { return n.closed }

// Members is the node's view of the pond.
func (n *Node) Members() *api.Members {
	v := n.mesh.View()
	out := &api.Members{Digest: fmt.Sprintf("%016x", v.Digest)}
	_, out.MissingKeepers = n.vitals.Keepers(v)
	var keepers []string // in force: those of a change under way count when it is carried out
	for _, k := range n.registers.Roster().Keepers {
		keepers = append(keepers, registers.NodeOf(k))
	}
	for _, m := range v.Members {
		out.Members = append(out.Members, api.MemberInfo{
			ID: string(m.ID), Boot: string(m.Boot), Addr: m.GossipAddr(), API: m.APIAddr(), State: m.State.String(),
			Zone: m.Zone, Slots: m.Slots, Memory: m.Memory, Keeper: slices.Contains(keepers, string(m.ID)), Self: m.ID == n.id,
		})
		if n.peers.Refused(m.ID) {
			out.Members[len(out.Members)-1].State = peers.StateUntrusted
		}
	}
	if err := n.registers.Health(); err != nil {
		out.Registers = err.Error()
	}
	return out
}

// followView reports the loss of a node to everything that waits for it.
func (n *Node) followView() {
	known := map[mesh.NodeID]mesh.Member{}
	for {
		v := n.mesh.View()
		alive := map[mesh.NodeID]mesh.Member{}
		for _, m := range v.Members {
			alive[m.ID] = m
		}
		for id, m := range known {
			if alive[id].ActorsAddr() != m.ActorsAddr() {
				n.wire.Lost(m.ActorsAddr())
			}
			if alive[id].APIAddr() != m.APIAddr() {
				n.conns.Cut(m.APIAddr())
			}
		}
		for _, m := range v.Members {
			n.conns.Mend(m.APIAddr())
		}
		n.peers.Greet(n.ctx, v.Members, n.goes.Go)
		known = alive
		n.wire.System().Root.Send(n.worker, &viewMsg{})
		for _, r := range n.jobs.All() {
			r.Send(&membersMsg{view: v})
		}
		select {
		case <-v.Superseded():
		case <-n.ctx.Done():
			return
		}
	}
}

// onPause is the process's own death, noticed late: others run its tasks by now.
func (n *Node) onPause(gap time.Duration) {
	n.log.Warn("this process was paused for so long that others took it for dead: its tasks and the jobs that it coordinates are dropped", "pause", gap)
	n.wire.System().Root.Send(n.worker, &abandonMsg{})
	n.jobs.Abandon()
	if n.up.Load() {
		n.grains.Abandon()
	}
}

// handleMessage is where the wire's router delivers what other nodes send.
func (n *Node) handleMessage(ctx context.Context, from wire.Peer, msg proto.Message) (proto.Message, error) {
	if err := n.checkSender(from, msg); err != nil {
		n.refused.Note("a message of no node of this pond", "from", from.Addr, "node", from.Node, "type", fmt.Sprintf("%T", msg), "err", err)
		return nil, err
	}
	root := n.wire.System().Root
	switch m := msg.(type) {
	case *wire.Work:
		root.Send(n.worker, &workMsg{from: from, work: m})
		return &wire.Ack{}, nil
	case *wire.Stop:
		root.Send(n.worker, &stopMsg{stop: m})
		return &wire.Ack{}, nil
	case *wire.Copy:
		root.Send(n.worker, &copyMsg{m})
		return &wire.Ack{}, nil
	case *wire.Copied:
		return n.handOver(ctx, m.GetHeader(), from, m)
	case *wire.Pull:
		return n.handOver(ctx, m.GetHeader(), from, m)
	case *wire.Done:
		return n.handOver(ctx, m.GetHeader(), from, m)
	case *wire.Failed:
		return n.handOver(ctx, m.GetHeader(), from, m)
	}
	return nil, &plan.Error{Kind: plan.KindInternal, Op: "receive", Text: fmt.Sprintf("no one here takes a %T", msg)}
}

// checkSender refuses messages of others than members of this node's view, and work
// that is to be pulled from others. A member that is not in the view yet sends again.
func (n *Node) checkSender(from wire.Peer, msg proto.Message) error {
	if !n.up.Load() {
		return &plan.Error{Kind: plan.KindUnavailable, Op: api.OpStart, Text: "this node is starting"}
	}
	at := func(id mesh.NodeID, addr string) bool {
		return slices.ContainsFunc(n.mesh.View().Members, func(m mesh.Member) bool { return (id == "" || m.ID == id) && m.ActorsAddr() == addr })
	}
	if !at(mesh.NodeID(from.Node), from.Addr) {
		return &plan.Error{Kind: plan.KindUnavailable, Op: "receive", Subject: from.Node, Text: "its sender is not in this node's view"}
	}
	if w, ok := msg.(*wire.Work); ok && !at("", w.GetCoordinatorAddr()) {
		return &plan.Error{Kind: plan.KindUnavailable, Op: "receive", Subject: w.GetCoordinatorAddr(), Text: "its coordinator is not in this node's view"}
	}
	return nil
}

// Leave drains the node and leaves the pond: no new tasks; those running end;
// jobs that this node coordinates or holds segments for get up to two minutes
// to end, or seconds if every other node leaves too: they go on when nodes are back.
// In that time all nodes that stay get what they are to hold of its copies.
// Then it announces its leave to the others. ctx cuts the waiting short.
func (n *Node) Leave(ctx context.Context) error {
	n.log.Info("leaving", "node", n.id)
	if err := n.mesh.SetState(mesh.Leaving); err != nil {
		n.log.Warn("announcing the leave", "err", err)
	}
	ctx, cancel := context.WithTimeout(ctx, drainMax)
	defer cancel()
	idle := make(chan struct{})
	n.wire.System().Root.Send(n.worker, &drainMsg{idle: idle})
	var deserted <-chan struct{}
	for _, wait := range []<-chan struct{}{idle, n.jobs.Drained(), n.segments.Released()} {
		select {
		case <-wait:
		case <-deserted:
			n.log.Warn("no node stays: jobs that have not ended go on when nodes are back")
		case <-ctx.Done():
			n.log.Warn("leaving before all jobs that need this node have ended")
		case <-n.stopped:
		}
		if deserted == nil {
			deserted = n.deserted(ctx)
		}
	}
	if err := n.replicas.Drain(ctx); err != nil {
		n.log.Warn("leaving with copies that others do not have yet: they are made again elsewhere", "err", err)
	}
	n.leaveRegisters(ctx)
	err := n.mesh.Leave(context.WithoutCancel(ctx))
	return errors.Join(err, n.Close())
}

// deserted is closed once every node of the pond has been on its way out for drainAlone,
// unless ctx ends first.
func (n *Node) deserted(ctx context.Context) <-chan struct{} {
	over := make(chan struct{})
	n.goes.Go(func() {
		grace := time.NewTimer(drainAlone)
		defer grace.Stop()
		for {
			view, due := n.mesh.View(), (<-chan time.Time)(nil)
			if slices.ContainsFunc(view.Members, func(m mesh.Member) bool { return m.State == mesh.Alive }) {
				grace.Reset(drainAlone)
			} else {
				due = grace.C
			}
			select {
			case <-due:
				close(over)
				return
			case <-view.Superseded():
			case <-ctx.Done():
				return
			case <-n.ctx.Done():
				return
			}
		}
	})
	return over
}

// leaveSoon leaves in the background, once.
func (n *Node) leaveSoon() {
	n.leaveOnce.Do(func() {
		go func() { // not one of n.goes: it waits for them
			if err := n.Leave(n.ctx); err != nil {
				n.log.Warn("leaving", "err", err)
			}
		}()
	})
}

// Close stops the node at once, as a crash would, but cleanly for its own
// process: others see it fail. It is idempotent.
func (n *Node) Close() error {
	n.closeOnce.Do(func() {
		close(n.stopped)
		n.stop()
		n.closeErr = n.close()
		close(n.closed)
	})
	<-n.closed
	return n.closeErr
}

func (n *Node) close() error {
	var errs []error
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if n.mesh != nil {
		errs = append(errs, n.mesh.Close())
	}
	if n.grains != nil {
		n.grains.Close()
	}
	if n.edge != nil {
		errs = append(errs, n.edge.Close(ctx))
	} else if n.listener != nil {
		errs = append(errs, n.listener.Close())
	}
	if n.wire != nil {
		if n.worker != nil {
			_ = n.wire.System().Root.StopFuture(n.worker).Wait()
		}
		n.jobs.Stop()
		errs = append(errs, n.wire.Close(ctx))
	}
	if n.registers != nil {
		n.registers.Close()
	}
	if n.replicas != nil {
		n.replicas.Close()
	}
	n.goes.Wait()
	if n.blocks != nil {
		errs = append(errs, n.blocks.Close())
		n.api.Close()
	}
	if n.runner != nil {
		errs = append(errs, n.runner.Close())
	}
	if n.segments != nil {
		n.segments.Close()
	}
	if n.keeper != nil {
		errs = append(errs, n.keeper.Close())
	}
	if n.disks != nil {
		errs = append(errs, n.disks.Close())
	}
	if n.store != nil {
		errs = append(errs, n.store.Close())
	}
	n.refused.Close()
	return errors.Join(errs...)
}
