package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs/register"
)

// Options configure a Cluster.
type Options struct {
	Binary string   // pondnode
	Dir    string   // the nodes' data folders are made in it
	Nodes  int      // at the start
	Flags  []string // of every node, for pondnode join
	// ChaosKey has faults of package fs/faults armed at the nodes, by Node.Arm; "": none can be.
	ChaosKey string
	Netns    bool // each in a network namespace, see package netns: for root on Linux
}

// Cluster runs real nodes on this machine. It is safe for concurrent use, each of its
// nodes for one caller at a time that starts or ends it.
type Cluster struct {
	opts  Options
	ctx   context.Context // the processes' life
	kill  context.CancelFunc
	lock  *os.File
	realm *realm // nil: nodes are on loopback

	mu    sync.Mutex
	nodes []*Node
}

// Start waits until no other cluster runs on this machine, starts nodes that
// join one another, and returns when each sees all, and as many keep the pond's
// registers as of so many do. The caller ends it with Close.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	c, err := empty(ctx, o)
	if err != nil {
		return nil, err
	}
	for range o.Nodes {
		if _, err := c.Add(ctx); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	if err := c.awaitWhole(ctx, o.Nodes); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// StartTogether is Start for nodes that all start at the same moment, each with the
// others as peers. They are on loopback.
func StartTogether(ctx context.Context, o Options) (*Cluster, error) {
	if o.Netns {
		return nil, fmt.Errorf("chaos: nodes in namespaces that start together: %w", errors.ErrUnsupported)
	}
	c, err := empty(ctx, o)
	if err != nil {
		return nil, err
	}
	bases, err := freeBases(o.Nodes)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	starts, sctx := errgroup.WithContext(ctx)
	for i, base := range bases {
		n := &Node{c: c, dir: c.folder(i)}
		var peers []string
		for _, other := range bases {
			if other != base {
				peers = append(peers, net.JoinHostPort("127.0.0.1", other))
			}
		}
		if err := n.spawn(base, peers); err != nil {
			return nil, errors.Join(err, c.Close())
		}
		c.keep(n)
		starts.Go(func() error { return n.awaitReady(sctx) })
	}
	if err := starts.Wait(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if err := c.awaitWhole(ctx, o.Nodes); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// empty is a cluster without nodes, whose turn it is on this machine.
func empty(ctx context.Context, o Options) (*Cluster, error) {
	c := &Cluster{opts: o}
	if err := os.MkdirAll(c.temp(), 0o755); err != nil {
		return nil, fmt.Errorf("chaos: %w", err)
	}
	c.ctx, c.kill = context.WithCancel(context.WithoutCancel(ctx))
	var err error
	if c.lock, err = lockMachine(ctx); err != nil {
		c.kill()
		return nil, err
	}
	if o.Netns {
		if c.realm, err = newRealm(ctx, o); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// Bounds of base ports that are picked: below those that systems give to outgoing
// connections, one of which would take a port before its node does.
const (
	baseFirst = 10_000
	baseLast  = 30_000
)

// freeBases are base ports of so many nodes.
func freeBases(n int) (bases []string, err error) {
	var held []net.Listener
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	for len(bases) < n {
		base, free := baseFirst+rand.IntN(baseLast-baseFirst), 0
		for ; free < api.PortsPerNode; free++ {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(base+free)))
			if err != nil {
				break
			}
			held = append(held, l)
		}
		if free == api.PortsPerNode {
			bases = append(bases, strconv.Itoa(base))
		}
	}
	return bases, nil
}

// temp is the folder of the nodes' temporary files.
func (c *Cluster) temp() string { return filepath.Join(c.opts.Dir, "tmp") }

// folder is the data folder of the i-th node.
func (c *Cluster) folder(i int) string { return filepath.Join(c.opts.Dir, "node-"+strconv.Itoa(i+1)) }

// Add starts one more node on free ports, with flags of its own after those of
// all, and returns when it is ready.
func (c *Cluster) Add(ctx context.Context, flags ...string) (*Node, error) {
	return c.AddAt(ctx, c.folder(len(c.Nodes())), flags...)
}

// AddAt is Add with a data folder from elsewhere.
func (c *Cluster) AddAt(ctx context.Context, dir string, flags ...string) (*Node, error) {
	n := &Node{c: c, flags: flags, dir: dir}
	var peers []string
	for _, o := range c.Nodes() {
		if o.Running() {
			peers = append(peers, o.addr)
		}
	}
	port, err := c.place(ctx, n)
	if err != nil {
		return nil, err
	}
	if err := n.start(ctx, port, peers); err != nil {
		return nil, err
	}
	c.keep(n)
	return n, nil
}

// place finds the node its base port, and a namespace if it is to have one.
func (c *Cluster) place(ctx context.Context, n *Node) (port string, err error) {
	if c.realm != nil {
		n.host, err = c.realm.host(ctx)
		return strconv.Itoa(netPort), err
	}
	bases, err := freeBases(1) // it comes back to them, however long it is down
	if err != nil {
		return "", err
	}
	return bases[0], nil
}

func (c *Cluster) keep(n *Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = append(c.nodes, n)
}

// Close kills every node that still runs, waits on Linux for its engine processes, which
// end a moment after it and write to its folder until then, and lets the next cluster start.
func (c *Cluster) Close() error {
	c.kill()
	for _, n := range c.Nodes() {
		<-n.proc.Load().Done()
		if n.session != nil {
			n.session.Close()
		}
	}
	err := c.awaitGone()
	if c.realm != nil {
		err = errors.Join(err, c.realm.net.Close())
	}
	return errors.Join(err, c.lock.Close())
}

// Drop lets a node leave in order, and forgets it.
func (c *Cluster) Drop(ctx context.Context, n *Node) error {
	if err := n.Term(); err != nil {
		return err
	}
	if _, err := n.Exit(ctx); err != nil {
		return err
	}
	n.session.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = slices.DeleteFunc(c.nodes, func(o *Node) bool { return o == n })
	return nil
}

// Nodes are all nodes that were added and not dropped, in order.
func (c *Cluster) Nodes() []*Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.nodes)
}

// Node is the node of that id; nil for none.
func (c *Cluster) Node(id string) *Node {
	for _, n := range c.Nodes() {
		if n.id == id {
			return n
		}
	}
	return nil
}

// Others are the running nodes but those of ids.
func (c *Cluster) Others(ids ...string) []*Node {
	var out []*Node
next:
	for _, n := range c.Nodes() {
		for _, id := range ids {
			if n.id == id {
				continue next
			}
		}
		if n.Running() {
			out = append(out, n)
		}
	}
	return out
}

// poll is the interval for checking conditions that no event reports.
const poll = 25 * time.Millisecond

// Await polls until ok returns nil, or fails with its last error; with one that waiting does
// not mend, as that the caller may not ask, at once.
func Await(ctx context.Context, ok func(context.Context) error) error {
	t := time.NewTicker(poll)
	defer t.Stop()
	for {
		err := ok(ctx)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, pond.ErrDenied):
			return fmt.Errorf("chaos: %w", err)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return fmt.Errorf("chaos: %w: %w", context.Cause(ctx), err)
		}
	}
}

// AwaitMembers waits until every running node sees exactly n members.
func (c *Cluster) AwaitMembers(ctx context.Context, n int) error {
	return c.awaitSeen(ctx, n, "members", func(api.MemberInfo) bool { return true })
}

// AwaitKeepers waits until every running node sees exactly n members that keep the
// pond's registers: while there is but one, its death is the pond's.
func (c *Cluster) AwaitKeepers(ctx context.Context, n int) error {
	return c.awaitSeen(ctx, n, "keepers", func(m api.MemberInfo) bool { return m.Keeper })
}

// awaitSeen waits until every running node sees exactly n members that are such.
func (c *Cluster) awaitSeen(ctx context.Context, n int, what string, such func(api.MemberInfo) bool) error {
	return Await(ctx, func(ctx context.Context) error {
		for _, node := range c.Others() {
			m, err := node.API().Members(ctx)
			if err != nil {
				return fmt.Errorf("%s as seen by %s: %w", what, node.id, err)
			}
			seen := 0
			for _, member := range m.Members {
				if such(member) {
					seen++
				}
			}
			if seen != n {
				return fmt.Errorf("node %s sees %d %s, not %d", node.id, seen, what, n)
			}
		}
		return nil
	})
}

// awaitWhole waits until n nodes that have just started are a pond.
func (c *Cluster) awaitWhole(ctx context.Context, n int) error {
	if err := c.AwaitMembers(ctx, n); err != nil {
		return err
	}
	return c.AwaitKeepers(ctx, register.Size(n))
}

// AwaitIdle waits until every job has ended, and nothing spilled is left of any.
func (c *Cluster) AwaitIdle(ctx context.Context) error {
	return Await(ctx, func(ctx context.Context) error {
		for _, n := range c.Others() {
			jobs, err := n.Session().Jobs(ctx)
			if err != nil {
				return err
			}
			for _, j := range jobs {
				if !j.Done() {
					return fmt.Errorf("job %s is %s", j.ID, j.State)
				}
			}
			files, err := n.Spilled()
			if err != nil || len(files) > 0 {
				return fmt.Errorf("node %s has spilled files: %q (%v)", n.ID(), files, err)
			}
		}
		return nil
	})
}

// Held are the segments of a job's stages that each running node holds, whoever
// made them. via is the node to ask for the stages.
func (c *Cluster) Held(ctx context.Context, via *Node, job string) (map[string][]api.Held, error) {
	stages, err := Stages(ctx, via, job)
	if err != nil {
		return nil, err
	}
	out := map[string][]api.Held{}
	for _, n := range c.Others() {
		held, err := n.API().Held(ctx, stages)
		if err != nil {
			return nil, fmt.Errorf("chaos: what node %s holds: %w", n.id, err)
		}
		if len(held) > 0 {
			out[n.id] = held
		}
	}
	return out, nil
}

// Stages are the ids of a job's stages, in order.
func Stages(ctx context.Context, via *Node, job string) ([]plan.StageID, error) {
	text, err := via.API().ExplainJob(ctx, plan.JobID(job), true)
	if err != nil {
		return nil, fmt.Errorf("chaos: stages of job %s: %w", job, err)
	}
	var xs []plan.Explanation
	if err := json.Unmarshal([]byte(text), &xs); err != nil {
		return nil, fmt.Errorf("chaos: stages of job %s: %w", job, err)
	}
	var ids []plan.StageID
	for _, x := range xs {
		ids = append(ids, x.ID)
	}
	return ids, nil
}
