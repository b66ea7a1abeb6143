package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pondmesh/pond/actors/api"
)

// By how much a node's process may have more than when it was first looked at: connections
// come and go, each with a few goroutines, and what is leaked in every run comes to more.
const (
	filesGrowth      = 200
	goroutinesGrowth = 50 // beside those of further files
	goroutinesOfFile = 3
)

// leftMax bounds how long what a job has used may take to go.
const leftMax = 30 * time.Second

// left says what the nodes of an idle pond have kept that they should not: notes of staged
// files, temporary files, open files, goroutines, and processes of nodes that have ended. A coordinator
// that was cut off looks every few seconds whether who went on has ended the job.
func (s *Site) left(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leftMax)
	defer cancel()
	return Await(ctx, func(ctx context.Context) error {
		var errs []error
		live := map[int]bool{}
		for _, n := range s.c.Nodes() {
			live[n.PID()] = true
			errs = append(errs, nothingIn(filepath.Join(n.Dir(), "staged")), s.grown(ctx, n))
		}
		return errors.Join(append(errs, nothingIn(s.c.temp()), noStrays(s.c.opts.Dir, live))...)
	})
}

// nothingIn wants nothing to be in a folder, which need not be there.
func nothingIn(dir string) error {
	found, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("%s holds %d entries, the first is %s", dir, len(found), found[0].Name())
	}
	return err
}

// usage is what a node's process has open.
type usage struct{ files, goroutines int }

// use looks at the process of a node. Where a system does not tell of files there are none.
func use(ctx context.Context, node *api.Peer, pid int) (u usage, err error) {
	text, err := node.Metrics(ctx)
	if err != nil {
		return u, err
	}
	running, err := metric(text, "go_goroutines")
	u.goroutines = int(running)
	u.files, _ = openFiles(pid)
	return u, err
}

// grown says what a process has kept since it was first looked at.
func (u usage) grown(first usage) error {
	more := u.files - first.files
	if more > filesGrowth {
		return fmt.Errorf("%d open files, and %d at first", u.files, first.files)
	}
	if u.goroutines > first.goroutines+goroutinesGrowth+max(more, 0)*goroutinesOfFile {
		return fmt.Errorf("%d goroutines and %d open files, and %d and %d at first", u.goroutines, u.files, first.goroutines, first.files)
	}
	return nil
}

// grown wants a node's process not to keep ever more.
func (s *Site) grown(ctx context.Context, n *Node) error {
	now, err := use(ctx, n.API(), n.PID())
	if err != nil {
		return fmt.Errorf("node %s: %w", n.ID(), err)
	}
	first, seen := s.first[n.PID()]
	if !seen {
		s.first[n.PID()] = now
		return nil
	}
	if err := now.grown(first); err != nil {
		return fmt.Errorf("node %s has %w", n.ID(), err)
	}
	return nil
}

// metric reads one without labels from Prometheus's text format.
func metric(text, name string) (float64, error) {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("there is no metric %s", name)
}

// awaitGone waits until no process is left of nodes that have all ended, where a system
// tells of them (Linux).
func (c *Cluster) awaitGone() error {
	ctx, cancel := context.WithTimeout(context.Background(), leftMax)
	defer cancel()
	return Await(ctx, func(context.Context) error { return noStrays(c.opts.Dir, nil) })
}

// awaitPorts waits until the ports are free of nodes that have all ended.
func (c *Cluster) awaitPorts() error {
	ctx, cancel := context.WithTimeout(context.Background(), leftMax)
	defer cancel()
	return Await(ctx, func(context.Context) error {
		var errs []error
		for _, n := range c.Nodes() {
			if n.host == nil { // else the port went with its namespace
				errs = append(errs, free(n.addr))
			}
		}
		return errors.Join(errs...)
	})
}

// free wants a node's ports to be free.
func free(base string) error {
	host, text, err := net.SplitHostPort(base)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	for i := range api.PortsPerNode {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port+i)))
		if err != nil {
			return fmt.Errorf("a port of a node that has ended: %w", err)
		}
		l.Close()
	}
	return nil
}
