package pond

import (
	"context"
	"os"
	"os/user"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// Session is a way into a pond: SQL runs, DataFrames are made and jobs are found
// through it. It is safe for concurrent use.
type Session struct {
	api    *api.Client
	blocks *transfer.Client
	reader *api.ResultReader
	config *config // as it was opened
	sql    sqlState
	user   string                     // the submitter of its jobs
	nextID atomic.Pointer[plan.JobID] // offered by the node and not yet used
}

// Connect returns a Session on a running pond, given by the base addresses of one or
// several of its nodes: HOST or HOST:PORT, with commas between. The first that answers
// is asked, and another when it dies, is cut off or leaves; the pond tells of more of
// them (see [Reconnect]). What is asked twice for it happens once: a job has its id
// before it is handed in. Nothing is dialled before it is used. The caller closes it.
//
// A program that connects, and does not Join, needs neither cgo nor a build tag.
func Connect(peers string, options ...ClientOption) (*Session, error) {
	c := &config{job: firstSettings(), wait: reconnectTime}
	for _, o := range options {
		if err := o.connect(c); err != nil {
			return nil, public(err)
		}
	}
	var err error
	if c.tls, err = api.Secure(c.tls); err != nil {
		return nil, public(err)
	}
	return connect(peers, c)
}

func connect(peers string, c *config) (*Session, error) {
	var addrs []string
	for _, peer := range strings.Split(peers, ",") {
		addr, err := api.Addr(strings.TrimSpace(peer))
		if err != nil {
			return nil, public(err)
		}
		addrs = append(addrs, addr)
	}
	return newSession(addrs, c, c.wait), nil
}

// newSession is a session on nodes, given by their APIs.
func newSession(addrs []string, c *config, patience time.Duration) *Session {
	s := &Session{config: c, user: currentUser(), sql: sqlState{initial: c.job, current: c.job, views: c.views}}
	s.api = api.NewPondClient(api.ClientConfig{Addrs: addrs, TLS: c.tls, Token: c.token, TokenFile: c.tokenFile, Patience: patience, Told: s.reconnecting})
	s.blocks = transfer.NewClient(transfer.ClientConfig{TLS: c.tls, Authorization: s.api.Authorization, StallTimeout: blocksStall, RetriesMax: blocksRetries})
	s.reader = api.NewResultReader(s.api, s.blocks)
	return s
}

// Bounds of reading rows from a node that does not answer, before it is found out
// what became of it.
const (
	blocksStall   = 5 * time.Second
	blocksRetries = 1
)

// opReach is the Op of warnings about a node that does not answer.
const opReach = "reach"

// reconnecting hears of nodes that do not answer.
func (s *Session) reconnecting(what string) {
	if warn := s.config.warn; warn != nil {
		warn(&Error{Kind: plan.KindUnavailable.String(), Op: opReach, Text: what})
	}
}

// currentUser returns the user of this process, as far as the system tells.
func currentUser() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return os.Getenv("USER")
}

// At is a Session on other nodes, given as Connect takes them, with the views and
// settings that this one has now. The caller closes both.
func (s *Session) At(peers string) (*Session, error) {
	c := *s.config
	c.job, c.views = s.sql.settings(), s.sql.list()
	return connect(peers, &c)
}

// Peer is the base address of the node that the session asks: the one that answered
// last, or the first that was given.
func (s *Session) Peer() string { return s.api.Peer() }

// Close drops the session's connections. Jobs go on.
func (s *Session) Close() error {
	s.api.Close()
	return s.blocks.Close()
}

// Job is a handle on the job of that id, whoever submitted it.
func (s *Session) Job(id string) *Job { return &Job{s: s, id: plan.JobID(id)} }

// Jobs lists every job that the pond remembers, newest first.
func (s *Session) Jobs(ctx context.Context) ([]*Status, error) {
	list, err := s.api.Jobs(ctx)
	if err != nil {
		return nil, public(err)
	}
	out := make([]*Status, len(list))
	for i := range list {
		out[i] = statusOf(&list[i])
	}
	return out, nil
}

// Member is one node of a pond, as the session's node sees it.
type Member struct {
	ID     string // the node's identity
	Boot   string // of this start of it
	Addr   string // base address, to be given as a peer
	API    string // address of its HTTP API
	State  string // alive or leaving
	Zone   string
	Slots  int   // tasks that it runs at once
	Memory int64 // bytes
	Keeper bool  // it keeps the pond's registers
	Self   bool  // it is the session's own
}

// Members lists the nodes of the pond.
func (s *Session) Members(ctx context.Context) ([]Member, error) {
	m, err := s.api.Members(ctx)
	if err != nil {
		return nil, public(err)
	}
	out := make([]Member, len(m.Members))
	for i, x := range m.Members {
		out[i] = Member(x)
	}
	return out, nil
}

// MissingKeepers are the nodes that keep the pond's registers and are no members, as the
// session's node sees it. Where half of the keepers are missing, or more, no job begins,
// is taken over or ends until they are back, or RecoverRegisters makes others.
func (s *Session) MissingKeepers(ctx context.Context) ([]string, error) {
	m, err := s.api.Members(ctx)
	if err != nil {
		return nil, public(err)
	}
	return m.MissingKeepers, nil
}

// Usage is what a node holds on disk.
type Usage struct {
	Node  string
	Kinds []KindUsage
	Disks []DiskUsage // that of the data folder first
	Error string      // why the node did not tell; empty if it did
}

// DiskUsage is one disk of a node.
type DiskUsage struct {
	Dir   string
	ID    string // of its store: another disk in its place has another
	Bytes int64  // of segments, records and copies of datasets
	Count int64  // of those
	Free  int64  // bytes; 0: not known
	Total int64
	Aside int    // stores that were found damaged, and are kept in folders damaged-… beside the disk's
	Error string // why it is out of use; empty if it is in use
}

// KindUsage is the part of one kind: live (segments of jobs that have not ended), kept
// (segments of ended jobs: results, and what equal queries reuse), records (of jobs),
// staged (files that jobs have not published yet), spill (what DuckDB has put aside).
type KindUsage struct {
	Kind  string
	Bytes int64
	Count int64         // segments, records or files
	Max   int64         // the most bytes that it may come to; 0: no bound of its own
	Keep  time.Duration // how long it may be there; 0: no bound of its own
}

// Usage asks the session's node what each node of the pond holds on disk.
func (s *Session) Usage(ctx context.Context) ([]Usage, error) {
	all, err := s.api.Usage(ctx)
	if err != nil {
		return nil, public(err)
	}
	out := make([]Usage, len(all))
	for i, u := range all {
		out[i] = Usage{Node: u.Node, Error: u.Error}
		for _, k := range u.Kinds {
			out[i].Kinds = append(out[i].Kinds, KindUsage{Kind: k.Kind, Bytes: k.Bytes, Count: k.Count, Max: k.Max, Keep: millis(k.KeepMillis)})
		}
		for _, d := range u.Disks {
			out[i].Disks = append(out[i].Disks, DiskUsage(d))
		}
	}
	return out, nil
}

// Version holds the identity of a node and the versions of its software.
type Version struct {
	Pond   string
	DuckDB string
	Go     string
	Node   string // its identity
}

// Version asks the session's node for its versions.
func (s *Session) Version(ctx context.Context) (Version, error) {
	v, err := s.api.Version(ctx)
	if err != nil {
		return Version{}, public(err)
	}
	return Version{Pond: v.Pond, DuckDB: v.DuckDB, Go: v.Go, Node: v.Node}, nil
}

// Leave makes the session's node finish its tasks, leave the pond and stop. It
// returns when the node takes no more work.
func (s *Session) Leave(ctx context.Context) error { return public(s.api.Leave(ctx)) }

// Recovery is what RecoverRegisters does, or would. Nodes are told by their ids.
type Recovery struct {
	Alive     []string // keepers that answer
	Gone      []string // keepers that do not: what only they know is lost
	Next      []string // the new keepers
	Registers int      // how many registers were carried over
	Done      bool     // false: nothing was changed
}

// RecoverRegisters makes new keepers of the pond's registers where most of them are gone
// for good, so that nothing could be decided any more. While a majority of them answers it
// refuses (ErrExists). Without force it changes nothing, and tells what it would do.
//
// It is a last resort: decisions that only keepers knew that are gone are lost, such as
// that a job's files are published, and such a job may run and publish again. Keepers that
// are merely cut off must not go on by themselves: stop them first. Those that come back
// later join as any node does, and keep the registers never again with the data that they
// have.
func (s *Session) RecoverRegisters(ctx context.Context, force bool) (Recovery, error) {
	r, err := s.api.Recover(ctx, force)
	if err != nil {
		return Recovery{}, public(err)
	}
	return Recovery(*r), nil
}
