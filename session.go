package pond

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/pondmesh/pond/actors"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// Session is a way into a pond: what DataFrames are made from and jobs are
// submitted through. It is safe for concurrent use.
type Session struct {
	api    *api.Client
	blocks *transfer.Client
	reader *api.ResultReader
	sql    sqlState
}

// Node is a member of a pond that lives in this process, and a Session on it.
type Node struct {
	*Session
	n   *actors.Node
	tmp string // the data folder when none was given: removed at the end
}

// Join starts a node and joins it to the pond of its peers. It is ended with
// Leave, or with Close.
func Join(ctx context.Context, options ...Option) (*Node, error) {
	c, err := configure(options)
	if err != nil {
		return nil, err
	}
	tmp := ""
	if c.node.Dir == "" {
		if tmp, err = os.MkdirTemp("", "pond-"); err != nil {
			return nil, fmt.Errorf("pond: make a data folder: %w", err)
		}
		c.node.Dir = tmp
	}
	n, err := actors.Start(ctx, c.node)
	if err != nil {
		removeTemp(tmp)
		return nil, err
	}
	return &Node{Session: newSession(n.APIAddr(), c), n: n, tmp: tmp}, nil
}

// Connect returns a Session on a running node, given by its base address: HOST
// or HOST:PORT. Nothing is dialled before it is used. The caller closes it.
func Connect(peer string, options ...Option) (*Session, error) {
	c, err := configure(options)
	if err != nil {
		return nil, err
	}
	addr, err := api.Addr(peer)
	if err != nil {
		return nil, err
	}
	return newSession(addr, c), nil
}

func configure(options []Option) (*config, error) {
	c := new(config)
	for _, o := range options {
		if err := o(c); err != nil {
			return nil, err
		}
	}
	var err error
	if c.node.TLS, err = api.Secure(c.node.TLS); err != nil {
		return nil, err
	}
	return c, nil
}

func newSession(addr string, c *config) *Session {
	s := &Session{api: api.NewClient(addr, c.node.TLS), sql: sqlState{initial: c.job, current: c.job, views: c.views}}
	s.blocks = transfer.NewClient(transfer.ClientConfig{TLS: c.node.TLS})
	s.reader = api.NewResultReader(s.api, s.blocks)
	return s
}

// Close drops the session's connections. Jobs go on.
func (s *Session) Close() error {
	s.api.Close()
	return s.blocks.Close()
}

// API is the session's door to the node's HTTP API: members, jobs by id, leave.
func (s *Session) API() *api.Client { return s.api }

// Addr is the node's base address, to be given to others as a peer.
func (n *Node) Addr() string { return n.n.Addr() }

// ID is the node's identity, kept in its data folder.
func (n *Node) ID() string { return n.n.ID() }

// Done is closed when the node has stopped, asked by whomever.
func (n *Node) Done() <-chan struct{} { return n.n.Done() }

// Leave drains the node, tells the others, and stops it. ctx cuts the draining
// short.
func (n *Node) Leave(ctx context.Context) error {
	n.Session.Close()
	err := n.n.Leave(ctx)
	removeTemp(n.tmp)
	return err
}

// Close stops the node at once: others will take it for dead.
func (n *Node) Close() error {
	n.Session.Close()
	err := n.n.Close()
	removeTemp(n.tmp)
	return err
}

func removeTemp(dir string) {
	if dir != "" {
		os.RemoveAll(dir) // of this process alone; what cannot be removed is in the system's temporary folder
	}
}

// Submit hands in a plan as the DataFrame API or a job file makes it.
func (s *Session) Submit(ctx context.Context, p *plan.Plan) (*Job, error) {
	spec := s.spec(p, s.sql.defaults())
	st, err := s.api.Submit(ctx, spec)
	if err != nil {
		if ctx.Err() != nil {
			s.abandon(ctx, spec.ID, abandonTimeout)
		}
		return nil, err
	}
	return &Job{s: s, id: st.ID, writes: p.Sink.Write != nil}, nil
}

// abandonTimeout bounds how long a cancelled Submit sees to its job's end.
const abandonTimeout = 2 * time.Second

// abandon cancels a job that nobody waits for since ctx has ended. While it is
// submitted the node does so too when it sees that the client is gone, but it may
// have answered.
func (s *Session) abandon(ctx context.Context, id plan.JobID, limit time.Duration) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer stop()
	_, _ = s.api.Cancel(ctx, id) // it may never have begun, or have ended
}

// Explain is the stages that a plan would run as, as text or as JSON.
func (s *Session) Explain(ctx context.Context, p *plan.Plan, asJSON bool) (string, error) {
	return s.api.Explain(ctx, s.spec(p, s.sql.defaults()), asJSON)
}

func (s *Session) spec(p *plan.Plan, d jobDefaults) *api.JobSpec {
	return &api.JobSpec{ID: api.NewJobID(), Name: p.Name, Plan: p, Submitted: time.Now().UnixMilli(), Options: api.JobOptions{
		DeadlineMillis: d.deadline.Milliseconds(), NoReuse: d.noReuse, Codec: d.codec, Partitions: d.partitions, Force: d.force, BroadcastBytes: d.broadcast}}
}

// Job is the job of that id, submitted by whomever.
func (s *Session) Job(id string) *Job { return &Job{s: s, id: plan.JobID(id)} }
