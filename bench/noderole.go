package main

import (
	"context"
	"errors"
	"os"
	"runtime/pprof"

	"github.com/pondmesh/pond"
)

// nodeRole is one node of a pond.
func nodeRole(ctx context.Context, c roleConfig, l *lines) (err error) {
	if c.Profile != "" {
		f, err := os.Create(c.Profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	n, err := pond.Join(ctx, pond.WithDir(c.Dir), pond.WithMemory(c.Memory), pond.WithSlots(c.Threads), pond.WithPeers(c.Peers...), pond.WithLabel("bench"), pond.WithCache(nodeCache))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	if err := l.out.Encode(hello{Addr: n.Addr()}); err != nil {
		return err
	}
	l.end()
	return nil
}

// nodeCache is what a node keeps of ended jobs: next to nothing, since every
// run computes anew.
const nodeCache = 1
