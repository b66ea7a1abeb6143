package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/chaos/netns"
	"github.com/pondmesh/pond/fs/faults"
)

// Node is one pondnode of a Cluster. It is the same Node after Restart.
type Node struct {
	c       *Cluster
	flags   []string
	dir     string      // data folder
	host    *netns.Host // nil: it is on loopback
	id      string      // kept in the data folder
	addr    string      // base address, kept too
	proc    atomic.Pointer[Process]
	session *pond.Session
	api     *api.Peer
	logs    []string // of boots that have ended
}

// ready is the line that a node writes when it has joined.
var ready = regexp.MustCompile(`(?m)^ready node=(\S+) addr=(\S+) `)

// readyTimeout bounds a node's start.
const readyTimeout = time.Minute

// start runs the process and waits until it is ready.
func (n *Node) start(ctx context.Context, port string, peers []string) error {
	if err := n.spawn(port, peers); err != nil {
		return err
	}
	return n.awaitReady(ctx)
}

func (n *Node) spawn(port string, peers []string) error {
	args := []string{"join", "--port", port, "--data", n.dir}
	for _, p := range peers {
		args = append(args, "--peer", p)
	}
	args = append(append(args, n.c.opts.Flags...), n.flags...)
	if n.host == nil {
		return n.launch(args)
	}
	args = append(args, n.c.realm.flags(n.host)...)
	return n.host.Do(func() error { return n.launch(args) })
}

func (n *Node) launch(args []string) error {
	env := []string{"TMPDIR=" + n.c.temp()}
	if key := n.c.opts.ChaosKey; key != "" {
		env = append(env, chaosKeyVariable+"="+key)
	}
	p, err := spawn(n.c.ctx, env, "", n.c.opts.Binary, args...)
	if err != nil {
		return err
	}
	n.proc.Store(p)
	return nil
}

// chaosKeyVariable is the variable of the environment by which pondnode join takes a key
// for faults.
const chaosKeyVariable = "POND_CHAOS_KEY"

// Arm has a fault happen at a point of the node: see package fs/faults.
func (n *Node) Arm(ctx context.Context, o faults.Order) error {
	return n.api.ArmFault(ctx, n.c.opts.ChaosKey, o)
}

// Armed are the faults that are armed at the node's present boot, and what came of them.
func (n *Node) Armed(ctx context.Context) ([]faults.State, error) {
	return n.api.Faults(ctx, n.c.opts.ChaosKey)
}

// Disarm is Armed, and none is armed any more.
func (n *Node) Disarm(ctx context.Context) ([]faults.State, error) {
	return n.api.DisarmFaults(ctx, n.c.opts.ChaosKey)
}

func (n *Node) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	m, err := n.proc.Load().Await(ctx, ready)
	if err != nil {
		return err
	}
	if n.session != nil {
		if n.id != m[1] {
			return fmt.Errorf("chaos: node %s came back as %s", n.id, m[1])
		}
		return nil
	}
	n.id, n.addr = m[1], m[2]
	addr, err := api.Addr(n.addr)
	if err != nil {
		return err
	}
	n.api = api.NewPeer(n.c.TLS(), nil, nil).At(addr)
	n.session, err = n.c.Connect(n.addr, pond.Reconnect(0)) // of this node, and no other
	return err
}

// ID is the node's identity, kept in its data folder.
func (n *Node) ID() string { return n.id }

// Addr is the address that others pass as --peer.
func (n *Node) Addr() string { return n.addr }

// Dir is the data folder.
func (n *Node) Dir() string { return n.dir }

// Session is a client of this node.
func (n *Node) Session() *pond.Session { return n.session }

// API is the node's HTTP API, as other nodes call it.
func (n *Node) API() *api.Peer { return n.api }

// PID is the process's id.
func (n *Node) PID() int { return n.proc.Load().PID() }

// Running reports whether the process has not ended. A stopped one has not.
func (n *Node) Running() bool {
	select {
	case <-n.proc.Load().Done():
		return false
	default:
		return true
	}
}

// ended is when the process has ended, which it has.
func (n *Node) ended() time.Time {
	p := n.proc.Load()
	return p.begun.Add(p.exit.Took)
}

// Log returns the node's standard error, of all its boots.
func (n *Node) Log() string { return strings.Join(n.logs, "") + n.proc.Load().Stderr() }

// panicked is found in the log of a node that has a defect; ofEngine are the lines in
// which a node tells of an engine process that died.
var (
	panicked = regexp.MustCompile("panic|SIGSEGV")
	ofEngine = regexp.MustCompile(`(?m)^.* msg="an engine process .*$`)
)

// Panicked reports whether the node's log tells of a defect of the node.
func (n *Node) Panicked() bool { return panicked.MatchString(ofEngine.ReplaceAllString(n.Log(), "")) }

// Kill9 ends the process without a word, and waits until it is gone.
func (n *Node) Kill9(ctx context.Context) error {
	if err := n.proc.Load().Signal(syscall.SIGKILL); err != nil {
		return err
	}
	_, err := n.proc.Load().Wait(ctx)
	return err
}

// Stop freezes the process (SIGSTOP) until Cont.
func (n *Node) Stop() error { return n.proc.Load().Stop() }

// Cont lets a frozen process go on (SIGCONT).
func (n *Node) Cont() error { return n.proc.Load().Signal(syscall.SIGCONT) }

// Term asks the process to leave (SIGTERM) and does not wait.
func (n *Node) Term() error { return n.proc.Load().Signal(syscall.SIGTERM) }

// Interrupt is Ctrl-C.
func (n *Node) Interrupt() error { return n.proc.Load().Signal(os.Interrupt) }

// Await waits until the node's present boot has written something to standard
// error.
func (n *Node) Await(ctx context.Context, re *regexp.Regexp) error {
	_, err := n.proc.Load().Await(ctx, re)
	return err
}

// Exit waits for the process to end.
func (n *Node) Exit(ctx context.Context) (Exit, error) { return n.proc.Load().Wait(ctx) }

// Restart starts a node that has ended with the same data folder and ports, as
// a service manager would, and waits until it is ready. All nodes of the cluster
// are its peers, itself among them: it may be the first that is up.
func (n *Node) Restart(ctx context.Context) error {
	if n.Running() {
		return fmt.Errorf("chaos: restart node %s: it runs", n.id)
	}
	_, port, err := net.SplitHostPort(n.addr)
	if err != nil {
		return fmt.Errorf("chaos: restart node %s: %w", n.id, err)
	}
	var peers []string
	for _, o := range n.c.Nodes() {
		peers = append(peers, o.addr)
	}
	n.logs = append(n.logs, n.proc.Load().Stderr(), "--- restarted\n")
	if err := n.start(ctx, port, peers); err != nil {
		return fmt.Errorf("chaos: restart node %s: %w", n.id, err)
	}
	return nil
}

// Boot is the id of the node's present start, as it says itself.
func (n *Node) Boot(ctx context.Context) (string, error) {
	m, err := n.API().Members(ctx)
	if err != nil {
		return "", err
	}
	for _, x := range m.Members {
		if x.Self {
			return x.Boot, nil
		}
	}
	return "", errors.New("chaos: the node is not in its own view")
}

// Spilled lists what DuckDB has left in the node's spill folder.
func (n *Node) Spilled() ([]string, error) {
	var out []string
	root := filepath.Join(n.dir, "spill")
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err == nil && !d.IsDir() {
			out = append(out, strings.TrimPrefix(path, root+"/"))
		}
		return err
	})
	return out, err
}
