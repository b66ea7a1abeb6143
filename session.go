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
	reader *actors.ResultReader
	job    jobDefaults
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
	addr, err := actors.APIAddr(peer)
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
	return c, nil
}

func newSession(addr string, c *config) *Session {
	s := &Session{api: api.NewClient(addr, c.node.TLS), job: c.job}
	s.blocks = transfer.NewClient(transfer.ClientConfig{TLS: c.node.TLS})
	s.reader = actors.NewResultReader(s.api, s.blocks)
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

// PlanSQL makes a plan of one SELECT over files. Relative file names are looked
// up in dir.
func (s *Session) PlanSQL(ctx context.Context, sql, dir string) (*plan.Plan, error) {
	return s.api.PlanSQL(ctx, sql, dir)
}

// SQL runs one SELECT over files and opens its rows. Relative file names are
// looked up in this process's working directory.
func (s *Session) SQL(ctx context.Context, sql string) (*Rows, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("pond: working directory: %w", err)
	}
	p, err := s.PlanSQL(ctx, sql, dir)
	if err != nil {
		return nil, err
	}
	job, err := s.Submit(ctx, p)
	if err != nil {
		return nil, err
	}
	return job.Rows(ctx)
}

// Submit hands in a plan as the DataFrame API or a job file makes it.
func (s *Session) Submit(ctx context.Context, p *plan.Plan) (*Job, error) {
	spec := s.spec(p)
	st, err := s.api.Submit(ctx, spec)
	if err != nil {
		return nil, err
	}
	return &Job{s: s, id: st.ID, writes: p.Sink.Write != nil}, nil
}

// Explain is the stages that a plan would run as, as text or as JSON.
func (s *Session) Explain(ctx context.Context, p *plan.Plan, asJSON bool) (string, error) {
	return s.api.Explain(ctx, s.spec(p), asJSON)
}

func (s *Session) spec(p *plan.Plan) *api.JobSpec {
	return &api.JobSpec{ID: actors.NewJobID(), Name: p.Name, Plan: p, Submitted: time.Now().UnixMilli(), Options: api.JobOptions{
		DeadlineMillis: s.job.deadline.Milliseconds(), NoReuse: s.job.noReuse, Codec: s.job.codec, Partitions: s.job.partitions}}
}

// Job is the job of that id, submitted by whomever.
func (s *Session) Job(id string) *Job { return &Job{s: s, id: plan.JobID(id)} }
