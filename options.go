package pond

import (
	"context"
	"crypto/tls"
	"log/slog"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond/actors/funcs"
	"github.com/pondmesh/pond/actors/kinds"
	"github.com/pondmesh/pond/actors/plan"
)

// Option configures Join: a setting of the node, a ClientOption, or a JobOption,
// which then is the default of the session's jobs.
type Option interface{ join(*config) error }

// ClientOption configures Connect, and Join too: WithTLS, OnWarning, or a JobOption,
// which then is the default of the session's jobs.
type ClientOption interface {
	Option
	connect(*config) error
}

// config holds the values that options set.
type config struct {
	tls *tls.Config
	// What says to nodes without TLS who calls; both empty: the user's own file.
	token, tokenFile string
	warn             func(error)
	wait             time.Duration // for a node that answers
	job              settings
	views            []plan.View
	node             nodeConfig
}

// nodeConfig is the settings of a node. The zero value of a field means its
// default.
type nodeConfig struct {
	bind, advertise string
	port            int
	peers           []string
	joinFor         time.Duration
	dir             string
	disks           []string
	memory          int64
	slots           int
	label           string
	gossipKey       []byte
	zone            string
	keeperGrace     time.Duration
	retention       time.Duration
	cache           int64
	spillMax        int64
	resultMax       int64
	outputMax       int64
	keepFor         time.Duration
	recordsMax      int64
	jobsMax         int
	userJobsMax     int
	queueMax        int
	read, write     []string
	keys            []string
	log             *slog.Logger
	version         string
	funcs           *funcs.Registry
	kinds           *kinds.Registry
	actorIdle       time.Duration
	chaosKey        string
}

// nodeOption sets one of them.
type nodeOption func(*nodeConfig) error

func (o nodeOption) join(c *config) error { return o(&c.node) }

// set is an option that cannot fail.
func set(f func(*nodeConfig)) Option {
	return nodeOption(func(c *nodeConfig) error { f(c); return nil })
}

type tlsOption struct{ tls *tls.Config }

func (o tlsOption) join(c *config) error    { return o.connect(c) }
func (o tlsOption) connect(c *config) error { c.tls = o.tls; return nil }

// WithTLS secures everything but gossip. A node serves and dials with it: it
// needs a certificate whose names include "pond", RootCAs and ClientCAs.
func WithTLS(t *tls.Config) ClientOption { return tlsOption{t} }

type tokenOption string

func (o tokenOption) join(*config) error {
	return badOption("token", "give WithTokenFile", "a node needs more than a token: it has to know those of others")
}
func (o tokenOption) connect(c *config) error { c.token = string(o); return nil }

// WithToken says to nodes without TLS who calls: a token that pondnode token has made.
// Without it a session is their own user's, if that runs this program.
func WithToken(text string) ClientOption { return tokenOption(text) }

type tokenFileOption string

func (o tokenFileOption) join(c *config) error    { return o.connect(c) }
func (o tokenFileOption) connect(c *config) error { c.tokenFile = string(o); return nil }

// WithTokenFile is the file of the secret by which nodes without TLS know their callers,
// in the place of the user's own: a file that only its owner may read, which the first
// node makes. A session that has it may do everything. Programs name the file by this
// option alone: POND_TOKEN_FILE is a variable of the commands.
func WithTokenFile(file string) ClientOption { return tokenFileOption(file) }

type warnOption func(error)

func (o warnOption) join(c *config) error    { return o.connect(c) }
func (o warnOption) connect(c *config) error { c.warn = o; return nil }

type waitOption time.Duration

func (o waitOption) join(c *config) error { return o.connect(c) }
func (o waitOption) connect(c *config) error {
	if o < 0 {
		return badOption("reconnect", "write a length of time, such as 90s; 0: not at all", "it is negative")
	}
	c.wait = time.Duration(o)
	return nil
}

// Reconnect sets how long calls of a Session go on when no node of the pond answers
// any more, or none that knows of a job that it follows: two minutes without it, and as
// long as the call's context has a deadline. Nodes that are known are asked one after the
// other, those that the pond has told of too. 0: the node that has answered first is
// the only one, and its death ends the call. Before any node has answered each address
// is tried once. The Session of a Node asks that node alone, and what is made of it
// with At does as any other.
func Reconnect(d time.Duration) ClientOption { return waitOption(d) }

// reconnectTime is Reconnect's default.
const reconnectTime = 2 * time.Minute

// OnWarning calls f with faults that are being mended: a node that does not answer,
// for which another is asked (its Op is "reach"); rows of a result that were lost or
// damaged, and are computed again. The goroutine that found out calls it.
func OnWarning(f func(error)) ClientOption { return warnOption(f) }

// WithBind sets the host to listen on; the default is 127.0.0.1. Any other than
// a loopback address needs WithGossipKey and WithTLS.
func WithBind(host string) Option { return set(func(c *nodeConfig) { c.bind = host }) }

// WithAdvertise sets the host at which other nodes reach this one.
func WithAdvertise(host string) Option { return set(func(c *nodeConfig) { c.advertise = host }) }

// portMax leaves room for a node's other ports above the base port.
const portMax = 65532

// WithPort sets the base port, from which the node's others follow. 0, the
// default, picks free ones.
func WithPort(base int) Option {
	return nodeOption(func(c *nodeConfig) error {
		if base < 0 || base > portMax {
			return badOption("port", "use 1 to "+strconv.Itoa(portMax)+", or 0 for free ones", "%d is out of range", base)
		}
		c.port = base
		return nil
	})
}

// WithPeers names nodes to join, as HOST or HOST:PORT with their base port. A name
// means all the addresses that it has. One that answers is enough, and nodes that are
// started together may name one another; see [WithJoinTimeout]. Without peers the node
// starts a pond of its own.
func WithPeers(peers ...string) Option {
	return set(func(c *nodeConfig) { c.peers = append(c.peers, peers...) })
}

// WithJoinTimeout sets how long Join calls peers of which none answers, which the
// node logs meanwhile: a minute without it. 0: until Join's context ends.
func WithJoinTimeout(d time.Duration) Option {
	return nodeOption(func(c *nodeConfig) error {
		if d < 0 {
			return badOption("join-timeout", "write a length of time, such as 90s; 0: for ever", "it is negative")
		}
		c.joinFor = orNone(d)
		return nil
	})
}

// WithRetention sets how long a version of a dataset that another has taken the place of, or
// a dataset that was dropped, can be read: a day without it. All nodes are given the same:
// the shortest counts.
func WithRetention(d time.Duration) Option {
	return nodeOption(func(c *nodeConfig) error {
		if d <= 0 {
			return badOption("retention", "write a length of time, such as 24h", "it is not positive")
		}
		c.retention = d
		return nil
	})
}

// WithKeeperGrace sets how long a keeper of the pond's registers may be dead before
// another node's replaces it: a minute without it. The one of the nodes counts that is
// the first of the keepers, by its id.
func WithKeeperGrace(d time.Duration) Option {
	return nodeOption(func(c *nodeConfig) error {
		if d <= 0 {
			return badOption("keeper-grace", "write a length of time, such as 90s", "it is not positive")
		}
		c.keeperGrace = d
		return nil
	})
}

// WithDir sets the data folder: segments, job records and spilled rows. Without
// it the node has a temporary one, which is removed when it stops.
func WithDir(dir string) Option { return set(func(c *nodeConfig) { c.dir = dir }) }

// WithDisks names folders on other disks, which are made if need be: copies of datasets
// are on all disks, by what is free on each. One that fails goes out of use alone, and
// what it held is copied from other nodes to those that are left. What tasks spill, rows
// and records stay in the data folder.
func WithDisks(dirs ...string) Option {
	return set(func(c *nodeConfig) { c.disks = append(c.disks, dirs...) })
}

// WithReadRoots names folders, files, or URLs such as s3://bucket/folder: jobs read
// nothing on this node that is not below one, wherever links lead. Without it they read whatever the node's user may,
// but for the data folders and keys of nodes, /proc, /sys and /dev.
func WithReadRoots(dirs ...string) Option {
	return set(func(c *nodeConfig) { c.read = append(c.read, dirs...) })
}

// WithWriteRoots is WithReadRoots for the files that jobs write.
func WithWriteRoots(dirs ...string) Option {
	return set(func(c *nodeConfig) { c.write = append(c.write, dirs...) })
}

// WithKeyFiles names files with keys of this node: jobs read and write none of them,
// by whatever name.
func WithKeyFiles(paths ...string) Option {
	return set(func(c *nodeConfig) { c.keys = append(c.keys, paths...) })
}

// WithChaosKey has faults armed at the node by whoever shows this key, of at least 16
// bytes, and has the role admin: for fault runs, and nothing else. Without it, or with
// an empty one, no fault can be armed.
func WithChaosKey(key string) Option { return set(func(c *nodeConfig) { c.chaosKey = key }) }

// WithMemory sets the bytes that tasks may use together; 0, the default: 60 % of
// the machine's.
func WithMemory(bytes int64) Option {
	return nodeOption(func(c *nodeConfig) error {
		if bytes < 0 {
			return badOption("memory", "", "%d bytes are less than none", bytes)
		}
		c.memory = bytes
		return nil
	})
}

// WithSlots sets how many tasks run at once; without it, one a core. A query that
// runs whole, in one task, has all cores whatever their number. A node with none
// submits and coordinates.
func WithSlots(n int) Option {
	return nodeOption(func(c *nodeConfig) error {
		if n < 0 {
			return badOption("slots", "", "%d are less than none", n)
		}
		c.slots = orNone(n)
		return nil
	})
}

// orNone is a number as package actors takes it, where 0 is the default and less
// than that is none.
func orNone[N int | int64 | time.Duration](n N) N {
	if n == 0 {
		return -1
	}
	return n
}

// WithLabel names the pond. Nodes of another label cannot join.
func WithLabel(label string) Option { return set(func(c *nodeConfig) { c.label = label }) }

// WithGossipKey encrypts gossip with AES: 16, 24 or 32 bytes, the same on every
// node.
func WithGossipKey(key []byte) Option { return set(func(c *nodeConfig) { c.gossipKey = key }) }

// WithZone says what fails together with this node: a rack, a site.
func WithZone(zone string) Option { return set(func(c *nodeConfig) { c.zone = zone }) }

// WithCache sets how many bytes of ended jobs' output are kept for reuse; without
// it, 8 GiB.
func WithCache(bytes int64) Option {
	return nodeOption(func(c *nodeConfig) error {
		if bytes < 0 {
			return badOption("cache", "", "%d bytes are less than none", bytes)
		}
		c.cache = orNone(bytes)
		return nil
	})
}

// WithSpillMax bounds the bytes that one task may spill to this node's disk; without
// it, the disk does. A task that needs more is tried on other nodes, and fails then.
func WithSpillMax(bytes int64) Option {
	return atMost("spill-max", bytes, func(c *nodeConfig) { c.spillMax = bytes })
}

// WithResultMax bounds the bytes of a job's result, as nodes store it until its client
// has read it; without it, the disk does. A job whose result is larger fails.
func WithResultMax(bytes int64) Option {
	return atMost("result-max", bytes, func(c *nodeConfig) { c.resultMax = bytes })
}

// WithOutputMax bounds the bytes of the files that a job writes; without it, the disk
// does. A job that writes more fails, and leaves nothing.
func WithOutputMax(bytes int64) Option {
	return atMost("output-max", bytes, func(c *nodeConfig) { c.outputMax = bytes })
}

// WithJobsMax sets how many jobs the node drives at once: 32 without it. A quarter more
// are driven of those that a client waits for. Further ones wait, users in turn.
func WithJobsMax(n int) Option {
	return nodeOption(func(c *nodeConfig) error {
		if n < 1 {
			return badOption("jobs-max", "32 is the default", "a node that drives %d jobs at once would drive none", n)
		}
		c.jobsMax = n
		return nil
	})
}

// WithUserJobsMax bounds those of one user; 0, the default: no bound.
func WithUserJobsMax(n int) Option {
	return nodeOption(func(c *nodeConfig) error {
		if n < 0 {
			return badOption("user-jobs-max", "0 is no bound", "%d jobs are less than none", n)
		}
		c.userJobsMax = n
		return nil
	})
}

// WithQueueMax sets how many jobs may wait for the node to drive them: 1,000 without
// it. The node refuses more: [ErrBusy].
func WithQueueMax(n int) Option {
	return nodeOption(func(c *nodeConfig) error {
		if n < 0 {
			return badOption("queue-max", "", "%d jobs are less than none", n)
		}
		c.queueMax = orNone(n)
		return nil
	})
}

// atMost is a bound in bytes; 0 is none.
func atMost(name string, bytes int64, to func(*nodeConfig)) Option {
	return nodeOption(func(c *nodeConfig) error {
		if bytes < 0 {
			return badOption(name, "", "%d bytes are less than none", bytes)
		}
		to(c)
		return nil
	})
}

// WithKeep sets how long a node keeps what ended jobs leave, rows and records of jobs: a
// week without it; 0: as long as there is room. Rows of results are kept for ten minutes
// at least.
func WithKeep(d time.Duration) Option {
	return nodeOption(func(c *nodeConfig) error {
		if d < 0 {
			return badOption("keep", "write a length of time, such as 48h; 0: as long as there is room", "it is negative")
		}
		c.keepFor = orNone(d)
		return nil
	})
}

// WithRecordsMax bounds the bytes of records of ended jobs: 1 GiB without it.
func WithRecordsMax(bytes int64) Option {
	return atMost("records-max", bytes, func(c *nodeConfig) { c.recordsMax = bytes })
}

// WithLogger sets where the node logs; the default is nowhere.
func WithLogger(l *slog.Logger) Option { return set(func(c *nodeConfig) { c.log = l }) }

// WithVersion sets the version that the node shows to others.
func WithVersion(v string) Option { return set(func(c *nodeConfig) { c.version = v }) }

// BatchFunc maps a batch of rows to others, which it passes to yield. in is valid
// during the call only, a yielded batch must be until yield returns. Several tasks
// call it at once.
type BatchFunc func(ctx context.Context, in arrow.RecordBatch, yield func(arrow.RecordBatch) error) error

// WithBatchFunc registers a Go function for [DataFrame.MapBatches] under name.
// Jobs call it on the nodes that have registered it, which must do so alike. schema gives the columns
// that it returns for those that it is given; nil: the same. version, unless
// empty, promises the same rows for the same rows until it changes, so that
// results may be reused.
func WithBatchFunc(name, version string, schema func(*arrow.Schema) (*arrow.Schema, error), f BatchFunc) Option {
	return nodeOption(func(c *nodeConfig) error {
		return c.funcs.AddBatch(funcs.Batch{Name: name, Version: version, Schema: schema, Call: funcs.BatchFunc(f)})
	})
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
	return nodeOption(func(c *nodeConfig) error {
		return c.funcs.AddScalar(funcs.Scalar{Name: f.Name, Args: f.Args, Result: f.Result, Volatile: f.Volatile, Version: f.Version, Call: f.Call})
	})
}
