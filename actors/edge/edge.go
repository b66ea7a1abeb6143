// Package edge is a node's HTTP server but for what it answers: who calls and what role
// a route takes, from which page and under which name, over how many connections and
// with how large a body; how a reply and an error are written, and how a request is
// passed on to another node.
//
// It refuses to know routes and nodes: whoever makes an Edge registers the ones, and says
// of the other what Config asks for. Read edge.go, then callers.go and reply.go.
package edge

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/auth"
	"github.com/pondmesh/pond/actors/intake"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/refusals"
	"github.com/pondmesh/pond/actors/token"
)

// Bounds of the HTTP server.
const (
	readHeaderTimeout = 5 * time.Second
	idleConnTimeout   = 2 * time.Minute
	headerBytesMax    = 64 << 10
	// otherBytesMax bounds bodies of routes that Config.Bodies does not name, of which
	// none reads any.
	otherBytesMax = 4 << 10
)

// Prefix is of all routes that need a node that is ready.
const Prefix = "/v1/"

// Config is what an Edge needs to know.
type Config struct {
	Node   string       // its id, which errors name
	TLS    *tls.Config  // certificates say who calls; nil: tokens do
	Secret token.Secret // of which tokens are made
	Names  []string     // by which the node may be called, beside its machine's
	Files  uint64       // how many the process may have open; 0: as the system says
	// Bodies bounds bodies by the patterns of routes, in bytes; below 0: the handler has
	// bounds of its own.
	Bodies map[string]int64
	// Ready says why routes of the API are not to be answered yet, and adds to a reply's
	// header what each tells.
	Ready func(reply http.Header, r *http.Request) error
	// Denied hears who may not use a route; nil: nobody does.
	Denied  func(r *http.Request, by auth.Identity, why error)
	Peer    *api.Peer     // calls other nodes
	Refused *refusals.Log // of what is turned away
	Log     *slog.Logger
}

// Edge serves the routes that are registered before Serve is called.
type Edge struct {
	cfg    Config
	mux    *http.ServeMux
	gate   intake.Gate
	conns  *intake.Conns
	server *http.Server
}

// New returns an Edge without routes.
func New(cfg Config) *Edge {
	e := &Edge{cfg: cfg, mux: http.NewServeMux()}
	e.conns = intake.NewConns(cmp.Or(cfg.Files, intake.Files()), cfg.TLS != nil, func(from net.Addr, why error) {
		cfg.Refused.Note("a connection", "from", from, "err", why)
	})
	e.mux.HandleFunc("/", e.nothing)
	e.server = &http.Server{
		Handler:           e.conns.Bound(e.whose, e.refuse, e.guard(e.gate.Bound(e.bodyMax, e.mux))),
		ConnContext:       e.conns.Context,
		TLSConfig:         cfg.TLS.Clone(), // serving adds protocols to it that the clients do not speak
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleConnTimeout,
		MaxHeaderBytes:    headerBytesMax,
		Protocols:         http1(),
		ErrorLog:          cfg.Refused.ErrorLog(),
	}
	return e
}

// http1 is all that nodes and clients speak: each protocol more is one more to bound.
func http1() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	return p
}

// Route registers a route for callers whose role is least or more.
func (e *Edge) Route(pattern string, least auth.Role, a Answer) {
	e.mux.HandleFunc(pattern, e.only(least, e.handle(a)))
}

// Hidden registers a route that does not exist for requests that it is not shown to.
func (e *Edge) Hidden(pattern string, least auth.Role, shown func(*http.Request) bool, a Answer) {
	h := e.only(least, e.handle(a))
	e.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if !shown(r) {
			e.nothing(w, r)
			return
		}
		h(w, r)
	})
}

// Anyone registers a route for whoever asks, without a certificate's role or a token.
func (e *Edge) Anyone(pattern string, a Answer) { e.mux.HandleFunc(pattern, e.handle(a)) }

// Handler serves a request as it comes in.
func (e *Edge) Handler() http.Handler { return e.server.Handler }

// Serve answers what comes in at l until Close is called, and closes l.
func (e *Edge) Serve(l *net.TCPListener) (err error) {
	if in := e.conns.Listen(l); e.cfg.TLS != nil {
		err = e.server.ServeTLS(in, "", "")
	} else {
		err = e.server.Serve(in)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Close takes no more requests and waits for those that are being answered; when ctx ends
// it hangs up on them.
func (e *Edge) Close(ctx context.Context) error {
	if e.server.Shutdown(ctx) == nil {
		return nil
	}
	return e.server.Close()
}

// Connections are those of each party, and how many it was denied.
func (e *Edge) Connections() (open map[string]int, refused map[string]int64) {
	open, refused = map[string]int{}, map[string]int64{}
	for _, p := range []intake.Party{intake.Stranger, intake.Client, intake.Node} {
		open[p.String()], refused[p.String()] = e.conns.Open(p)
	}
	return open, refused
}

// guard refuses requests that a web page makes a browser send, and those of the API
// until the node is ready.
func (e *Edge) guard(next http.Handler) http.Handler {
	origin := intake.NewOrigin(e.cfg.Names...)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := origin.Check(r); err != nil {
			e.refuse(w, r, err)
			return
		}
		if strings.HasPrefix(r.URL.Path, Prefix) {
			if err := e.cfg.Ready(w.Header(), r); err != nil {
				e.fail(w, err)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// bodyMax bounds the body of a request by its route.
func (e *Edge) bodyMax(r *http.Request) int64 {
	_, pattern := e.mux.Handler(r)
	if most, ok := e.cfg.Bodies[pattern]; ok {
		return most
	}
	return otherBytesMax
}

// nothing is what there is where no route is.
func (e *Edge) nothing(w http.ResponseWriter, r *http.Request) {
	e.fail(w, &plan.Error{Kind: plan.KindNotFound, Op: r.Method, Subject: r.URL.Path, Text: "no such endpoint"})
}
