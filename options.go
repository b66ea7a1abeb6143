package pond

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond/actors"
	"github.com/pondmesh/pond/actors/funcs"
	"github.com/pondmesh/pond/actors/plan"
)

// Option configures Join or Connect.
type Option func(*config) error

// config is what options set: a node's settings, of which a client uses a few.
type config struct {
	node  actors.Config
	job   jobDefaults
	views []plan.View
}

// WithBind sets the host to listen on; the default is 127.0.0.1. Any other than
// a loopback address needs WithGossipKey and WithTLS.
func WithBind(host string) Option {
	return func(c *config) error { c.node.Bind = host; return nil }
}

// WithAdvertise sets the host at which other nodes reach this one.
func WithAdvertise(host string) Option {
	return func(c *config) error { c.node.Advertise = host; return nil }
}

// WithPort sets the base port, from which the node's others follow. 0, the
// default, picks free ones.
func WithPort(base int) Option {
	return func(c *config) error {
		if base < 0 || base > 65532 {
			return badOption("port", "%d is out of range: use 1 to 65532, or 0 for free ones", base)
		}
		c.node.Port = base
		return nil
	}
}

// WithPeers names nodes to join, as HOST or HOST:PORT with their base port. One
// that answers is enough. Without peers the node starts a pond of its own.
func WithPeers(peers ...string) Option {
	return func(c *config) error { c.node.Peers = append(c.node.Peers, peers...); return nil }
}

// WithDir sets the data folder: segments, job records and spilled rows.
func WithDir(dir string) Option {
	return func(c *config) error { c.node.Dir = dir; return nil }
}

// WithMemory sets the bytes that tasks may use together; 0, the default: 60 % of
// the machine's.
func WithMemory(bytes int64) Option {
	return func(c *config) error {
		if bytes < 0 {
			return badOption("memory", "%d bytes are less than none", bytes)
		}
		c.node.Memory = bytes
		return nil
	}
}

// WithSlots sets how many tasks run at once; without it, one a core. A query that
// runs whole, in one task, has all cores whatever their number. A node with none
// submits and coordinates.
func WithSlots(n int) Option {
	return func(c *config) error {
		if n < 0 {
			return badOption("slots", "%d are less than none", n)
		}
		if c.node.Slots = n; n == 0 {
			c.node.Slots = -1 // as package actors has it
		}
		return nil
	}
}

func badOption(name, format string, args ...any) error {
	return &Error{Kind: plan.KindUser, Op: plan.OpConfigure, Subject: name, Text: fmt.Sprintf(format, args...)}
}

// WithLabel names the pond. Nodes of another label cannot join.
func WithLabel(label string) Option {
	return func(c *config) error { c.node.Label = label; return nil }
}

// WithGossipKey encrypts gossip with AES: 16, 24 or 32 bytes, the same on every
// node.
func WithGossipKey(key []byte) Option {
	return func(c *config) error { c.node.GossipKey = key; return nil }
}

// WithTLS secures everything but gossip. The configuration serves and dials: it
// needs a certificate whose names include "pond", RootCAs and ClientCAs.
func WithTLS(t *tls.Config) Option {
	return func(c *config) error { c.node.TLS = t; return nil }
}

// WithZone says what fails together with this node: a rack, a site.
func WithZone(zone string) Option {
	return func(c *config) error { c.node.Zone = zone; return nil }
}

// WithCache sets how many bytes of ended jobs' output are kept for reuse; without
// it, 8 GiB.
func WithCache(bytes int64) Option {
	return func(c *config) error {
		if bytes < 0 {
			return badOption("cache", "%d bytes are less than none", bytes)
		}
		if c.node.CacheMax = bytes; bytes == 0 {
			c.node.CacheMax = -1 // as package actors has it
		}
		return nil
	}
}

// WithLogger sets where the node logs; the default is nowhere.
func WithLogger(l *slog.Logger) Option {
	return func(c *config) error { c.node.Log = l; return nil }
}

// WithVersion sets the version that the node shows to others.
func WithVersion(v string) Option {
	return func(c *config) error { c.node.Version = v; return nil }
}

// BatchFunc maps a batch of rows to others: see [WithBatchFunc].
type BatchFunc = funcs.BatchFunc

// WithBatchFunc registers a Go function for [DataFrame.MapBatches] under name.
// Every node that is to run it must register it alike. schema gives the columns
// that it returns for those that it is given; nil: the same. version, unless
// empty, promises the same rows for the same rows until it changes, so that
// results may be reused.
func WithBatchFunc(name, version string, schema func(*arrow.Schema) (*arrow.Schema, error), f BatchFunc) Option {
	return func(c *config) error {
		return c.funcs().AddBatch(funcs.Batch{Name: name, Version: version, Schema: schema, Call: f})
	}
}

// ScalarFunc is a function that SQL may call by name, on vectors of rows.
type ScalarFunc struct {
	Name     string
	Args     []string // DuckDB types
	Result   string   // DuckDB type
	Volatile bool     // may give different results for equal arguments
	Version  string   // as WithBatchFunc's
	Call     func(ctx context.Context, args arrow.RecordBatch) (arrow.Array, error)
}

// WithScalarFunc registers f with every DuckDB of the node.
func WithScalarFunc(f ScalarFunc) Option {
	return func(c *config) error {
		return c.funcs().AddScalar(funcs.Scalar{Name: f.Name, Args: f.Args, Result: f.Result, Volatile: f.Volatile, Version: f.Version, Call: f.Call})
	}
}

func (c *config) funcs() *funcs.Registry {
	if c.node.Funcs == nil {
		c.node.Funcs = new(funcs.Registry)
	}
	return c.node.Funcs
}

// jobDefaults are a session's settings for its jobs.
type jobDefaults struct {
	deadline   time.Duration
	noReuse    bool
	codec      string
	partitions int
	force      bool
	broadcast  int64
}

// WithDeadline ends every job of the session that takes longer.
func WithDeadline(d time.Duration) Option {
	return func(c *config) error { c.job.deadline = d; return nil }
}

// WithoutReuse runs every stage anew, though an equal one's rows may be held.
func WithoutReuse() Option {
	return func(c *config) error { c.job.noReuse = true; return nil }
}

// WithCodec sets how shuffled blocks are compressed: s2 (the default), zstd, lz4
// or none.
func WithCodec(codec string) Option {
	return func(c *config) error { c.job.codec = codec; return nil }
}

// WithPartitions sets how many partitions exchanges make when the program does
// not say.
func WithPartitions(n int) Option {
	return func(c *config) error { c.job.partitions = n; return nil }
}

// WithForce distributes every query, however little it reads. Without it, small
// ones run on one node.
func WithForce() Option {
	return func(c *config) error { c.job.force = true; return nil }
}

// WithStateOf gives the session the views and settings that another has now.
func WithStateOf(of *Session) Option {
	return func(c *config) error { c.job, c.views = of.sql.defaults(), of.sql.list(); return nil }
}
