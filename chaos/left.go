package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/pondmesh/pond/actors/api"
)

// filesGrowth is by how many open files a node's process may have more than when it was
// first looked at: connections come and go, and what is leaked in every run comes to more.
const filesGrowth = 200

// leftMax bounds how long what a job has used may take to go.
const leftMax = 30 * time.Second

// left says what the nodes of an idle pond have kept that they should not: notes of staged
// files, temporary files, open files, and processes of nodes that have ended. A coordinator
// that was cut off looks every few seconds whether who went on has ended the job.
func (s *Site) left(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leftMax)
	defer cancel()
	return Await(ctx, func(context.Context) error {
		var errs []error
		live := map[int]bool{}
		for _, n := range s.c.Nodes() {
			live[n.PID()] = true
			errs = append(errs, nothingIn(filepath.Join(n.Dir(), "staged")), s.files(n))
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

// files wants a node's process not to keep ever more files open.
func (s *Site) files(n *Node) error {
	now, ok := openFiles(n.PID())
	if !ok {
		return nil
	}
	first, seen := s.opened[n.PID()]
	if !seen {
		s.opened[n.PID()] = now
		return nil
	}
	if now > first+filesGrowth {
		return fmt.Errorf("node %s has %d open files, and had %d at first", n.ID(), now, first)
	}
	return nil
}

// leftAtEnd says what nodes have left that have been killed: processes, or ports that
// are not free.
func (c *Cluster) leftAtEnd(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leftMax)
	defer cancel()
	return Await(ctx, func(context.Context) error {
		errs := []error{noStrays(c.opts.Dir, nil)}
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
