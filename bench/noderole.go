package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"runtime/pprof"

	"github.com/pondmesh/pond"
)

// nodeRole is one node of a pond.
func nodeRole(ctx context.Context, c roleConfig, l *lines) (err error) {
	logTo := slog.DiscardHandler
	if c.Profile != "" {
		f, err := os.Create(c.Profile + ".pprof")
		if err != nil {
			return err
		}
		defer f.Close()
		log, err := os.Create(c.Profile + ".log")
		if err != nil {
			return err
		}
		defer log.Close()
		logTo = slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	n, err := pond.Join(ctx, pond.WithDir(c.Dir), pond.WithMemory(c.Memory), pond.WithSlots(c.Threads), pond.WithPeers(c.Peers...), pond.WithLabel("bench"), pond.WithCache(nodeCache), pond.WithLogger(slog.New(logTo)))
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

// nodeCache bounds the bytes that a node keeps of ended jobs. It is small, since
// every run computes anew.
const nodeCache = 1 << 30
