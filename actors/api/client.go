package api

import (
	"context"
	"crypto/tls"
	"iter"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond/actors/auth"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/shuffle"
)

// Bounds of a client's waits.
const (
	dialTimeout    = 2 * time.Second
	idleTimeout    = 90 * time.Second
	idlePerHostMax = 8
	watchLineMax   = 64 << 20 // a status names all files that were written
)

// Client calls the API of a pond for a person or a program: of one node, or of any
// that answers among those that it knows. It is safe for concurrent use. What nodes
// ask of one another has Peer.
type Client struct {
	base  string // of the one node
	http  *http.Client
	by    *bearer // nil under TLS: certificates say who calls
	hop   bool
	reach *reach // finds a node; nil: base alone
	// beside knows other nodes than the one at addr, so that its silence can be told
	// from that of all; it may be nil.
	beside *reach
	addr   string
}

// NewClient returns a client of the node whose API is at addr (host:port). tls
// is nil for plain HTTP: the client then has the token of the user's own nodes.
func NewClient(addr string, tlsc *tls.Config) *Client {
	c := newClient(addr, tlsc)
	if tlsc == nil {
		c.by = &bearer{role: auth.Admin}
	}
	return c
}

func newClient(addr string, tlsc *tls.Config) *Client {
	t := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSClientConfig:     tlsc,
		TLSHandshakeTimeout: dialTimeout,
		MaxIdleConnsPerHost: idlePerHostMax,
		IdleConnTimeout:     idleTimeout,
	}
	return &Client{base: baseOf(addr, tlsc), http: &http.Client{Transport: t}}
}

// ClientConfig configures a Client of a pond.
type ClientConfig struct {
	Addrs []string    // APIs of nodes, host:port, in order of preference
	TLS   *tls.Config // nil: plain HTTP
	// Token says without TLS who calls; empty: a secret in TokenFile does; both empty:
	// the user's own.
	Token, TokenFile string
	// Patience is how long a request is tried while no node answers any more. It is
	// asked of nodes that others tell of, too. 0: the node that has answered is the
	// only one that is asked. No request waits for a node before any has answered.
	Patience time.Duration
	// Told hears, in a line, which node does not answer and what is done. Nil: nobody.
	Told func(string)
}

// NewPondClient returns a client of the pond that some nodes belong to. It asks one
// of them, and another when that does not answer: what may be asked twice (see
// repeat.go) is asked again.
func NewPondClient(conf ClientConfig) *Client {
	c := NewClient("", conf.TLS)
	if c.by != nil {
		c.by.text, c.by.file = conf.Token, conf.TokenFile
	}
	c.reach = &reach{patience: conf.Patience, told: conf.Told, given: conf.Addrs, gone: map[string]bool{}}
	c.reach.probe = func(ctx context.Context, addr string) error {
		return (&Client{base: baseOf(addr, conf.TLS), http: c.http, by: c.by}).answers(ctx)
	}
	c.reach.lookup = func(ctx context.Context, host string) ([]net.IP, error) {
		return net.DefaultResolver.LookupIP(ctx, "ip", host)
	}
	return c
}

func baseOf(addr string, tlsc *tls.Config) string {
	if tlsc != nil {
		return "https://" + addr
	}
	return "http://" + addr
}

// answers fails when the node does not answer, whatever.
func (c *Client) answers(ctx context.Context) error {
	_, err := c.Version(ctx)
	if plan.KindOf(err) == plan.KindUnavailable || ctx.Err() != nil {
		return cmpErr(err, ctx.Err())
	}
	return nil
}

// at is the same client for one node, of which no other is asked. They share
// connections, and the node's silence is noticed.
func (c *Client) at(addr string) *Client {
	one := &Client{base: baseOf(addr, c.tls()), http: c.http, by: c.by, hop: c.hop}
	if c.reach != nil {
		one.beside, one.addr = c.reach, addr
	}
	return one
}

func (c *Client) tls() *tls.Config { return c.http.Transport.(*http.Transport).TLSClientConfig }

// Peer is the base address of the node that is asked.
func (c *Client) Peer() string {
	if c.reach == nil {
		_, addr, _ := strings.Cut(c.base, "://")
		return baseAddr(addr)
	}
	return baseAddr(c.reach.at())
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// NewJobID is an id for a job that is to be handed in. By it the node drives the job
// itself, if it has the time: what client and coordinator say to one another then
// takes none.
func (c *Client) NewJobID(ctx context.Context) (plan.JobID, error) {
	id, err := call[plan.JobID](ctx, c, http.MethodGet, "/v1/job-id", nil)
	if err != nil {
		return "", err
	}
	return *id, nil
}

// Submit hands in a job. It returns when the job is recorded and compiled; an
// error of kind user or not-found then means that nothing runs.
func (c *Client) Submit(ctx context.Context, spec *JobSpec) (*JobStatus, error) {
	return call[JobStatus](ctx, c, http.MethodPost, "/v1/jobs", spec)
}

// Jobs lists every job that the pond remembers, newest first.
func (c *Client) Jobs(ctx context.Context) ([]JobStatus, error) {
	js, err := call[[]JobStatus](ctx, c, http.MethodGet, "/v1/jobs", nil)
	if err != nil {
		return nil, err
	}
	return *js, nil
}

// Job is a job's status.
func (c *Client) Job(ctx context.Context, id plan.JobID) (*JobStatus, error) {
	path := jobPath(id, "")
	if c.hop { // which need not know when rows were read, and must not wait for it
		path += "?" + BriefQuery
	}
	return call[JobStatus](ctx, c, http.MethodGet, path, nil)
}

// Spec is a job as it was submitted.
func (c *Client) Spec(ctx context.Context, id plan.JobID) (*JobSpec, error) {
	return call[JobSpec](ctx, c, http.MethodGet, jobPath(id, "/spec"), nil)
}

// Cancel asks that a job end. Cancelling an ended job changes nothing.
func (c *Client) Cancel(ctx context.Context, id plan.JobID) (*JobStatus, error) {
	return call[JobStatus](ctx, c, http.MethodPost, jobPath(id, "/cancel"), struct{}{})
}

// Renew says that the client still waits for a job that was submitted with a lease.
func (c *Client) Renew(ctx context.Context, id plan.JobID) error {
	_, err := call[struct{}](ctx, c, http.MethodPost, jobPath(id, "/renew"), struct{}{})
	return err
}

// Explain returns a plan's stages as text, or as JSON, without running it.
func (c *Client) Explain(ctx context.Context, spec *JobSpec, asJSON bool) (string, error) {
	return c.text(ctx, http.MethodPost, "/v1/explain"+jsonQuery(asJSON), spec)
}

// ExplainJob is Explain for a submitted job.
func (c *Client) ExplainJob(ctx context.Context, id plan.JobID, asJSON bool) (string, error) {
	return c.text(ctx, http.MethodGet, jobPath(id, "/explain")+jsonQuery(asJSON), nil)
}

// Describe names and types the columns of a query, which is not run.
func (c *Client) Describe(ctx context.Context, req *Query) (*Description, error) {
	return call[Description](ctx, c, http.MethodPost, "/v1/describe", req)
}

func jsonQuery(asJSON bool) string {
	if asJSON {
		return "?format=json"
	}
	return ""
}

// Members is the node's view.
func (c *Client) Members(ctx context.Context) (*Members, error) {
	return call[Members](ctx, c, http.MethodGet, "/v1/members", nil)
}

// Usage is what each node of the pond holds on disk; of a call between nodes, what
// that one does.
func (c *Client) Usage(ctx context.Context) ([]Usage, error) {
	u, err := call[[]Usage](ctx, c, http.MethodGet, "/v1/usage", nil)
	if err != nil {
		return nil, err
	}
	return *u, nil
}

// Leave makes the node drain, leave the pond and stop. It returns when the node
// no longer takes work; the node's process ends soon after.
func (c *Client) Leave(ctx context.Context) error {
	_, err := call[struct{}](ctx, c, http.MethodPost, "/v1/leave", struct{}{})
	return err
}

// Recover makes new keepers of the registers where most are gone for good; without force
// it only tells what it would do.
func (c *Client) Recover(ctx context.Context, force bool) (*Recovery, error) {
	path := "/v1/registers/recover"
	if force {
		path += "?" + ForceQuery
	}
	return call[Recovery](ctx, c, http.MethodPost, path, struct{}{})
}

// ForceQuery is the caller's consent to what loses data.
const ForceQuery = "force"

// Version returns the versions of the node's software.
func (c *Client) Version(ctx context.Context) (*Version, error) {
	return call[Version](ctx, c, http.MethodGet, "/v1/version", nil)
}

// Run hands in a job and follows it in one request. The first status has the job's
// id and the next one's, before anything is done about it; the second comes once the
// job is recorded and compiled. A job that is refused is an error of the node's, as Submit's; an
// error of Op "call" is a connection that broke.
func (c *Client) Run(ctx context.Context, spec *JobSpec) iter.Seq2[*JobStatus, error] {
	return c.statuses(ctx, http.MethodPost, "/v1/jobs?watch", spec)
}

// Watch yields a job's status whenever it changes, the last one ended. It ends
// with an error when the connection breaks or ctx ends before the job does.
func (c *Client) Watch(ctx context.Context, id plan.JobID) iter.Seq2[*JobStatus, error] {
	return c.statuses(ctx, http.MethodGet, jobPath(id, "/watch"), nil)
}

// statuses reads a job's status line by line.
func (c *Client) statuses(ctx context.Context, method, path string, in any) iter.Seq2[*JobStatus, error] {
	return func(yield func(*JobStatus, error) bool) {
		err := c.exchange(ctx, method, path, in, func(r *reply) error { return r.statuses(yield) })
		if err != nil {
			yield(nil, err)
		}
	}
}

// schema is a segment's columns; with check, once its holder has found all of it
// readable.
func (c *Client) schema(ctx context.Context, segment string, check bool) (*arrow.Schema, error) {
	path := "/v1/segments/" + segment + "/schema"
	if check {
		path += "?check=true"
	}
	s, err := c.text(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	return shuffle.DecodeSchema([]byte(s))
}

func jobPath(id plan.JobID, rest string) string { return "/v1/jobs/" + string(id) + rest }
