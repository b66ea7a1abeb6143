package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pondmesh/pond/actors/endpoints"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/mesh/delay"
)

// NodesHeader is in the replies to clients: the API addresses of some nodes that the
// answering one knows to be alive, with commas between, so that its clients have
// others to ask when it dies.
const NodesHeader = "Pond-Nodes"

// AgainHeader is in a request that another node may have heard before: a job that is
// handed in so is looked for first.
const AgainHeader = "Pond-Again"

type againKey struct{}

// Again marks the requests made with ctx with AgainHeader.
func Again(ctx context.Context) context.Context { return context.WithValue(ctx, againKey{}, true) }

// NodesMax bounds the addresses in it.
const NodesMax = 8

// Bounds of finding out that a node is silent: it takes connections and answers none,
// as a frozen one does, or what is sent to it is lost.
const (
	quietMax     = 2 * time.Second // without a word, before it is asked whether it is there
	probeTimeout = 1500 * time.Millisecond
	probePause   = 500 * time.Millisecond
	probesMax    = 2 // in a row that are not answered
)

// lookupTimeout bounds the looking up of a name.
const lookupTimeout = 2 * time.Second

// reach finds a node that answers among those that a client knows. It is safe for
// concurrent use.
type reach struct {
	patience time.Duration // see ClientConfig
	told     func(string)
	probe    func(ctx context.Context, addr string) error
	lookup   func(ctx context.Context, host string) ([]net.IP, error)
	given    []string
	once     sync.Once // names are looked up at first use

	mu    sync.Mutex
	nodes *endpoints.Set
	gone  map[string]bool // whose silence has been told of
}

// set is the nodes, once names have been looked up.
func (r *reach) set(ctx context.Context) *endpoints.Set {
	r.once.Do(func() {
		var addrs []string
		for _, a := range r.given {
			addrs = append(addrs, r.addresses(ctx, a)...)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.nodes = endpoints.New(addrs)
	})
	return r.nodes
}

// at is the node that is asked first.
func (r *reach) at() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.nodes == nil { // names are not looked up yet
		return r.given[0]
	}
	return r.nodes.At()
}

// addresses are those that a name has, the IPv4 ones if there are any: the others are
// of the same machines. One that is not known stays a name, and dialling it says why.
func (r *reach) addresses(ctx context.Context, addr string) []string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || net.ParseIP(host) != nil {
		return []string{addr}
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	ips, err := r.lookup(ctx, host)
	if err != nil || len(ips) == 0 {
		return []string{addr}
	}
	var v4, all []string
	for _, ip := range ips {
		a := net.JoinHostPort(ip.String(), port)
		if all = append(all, a); ip.To4() != nil {
			v4 = append(v4, a)
		}
	}
	if len(v4) > 0 {
		return v4
	}
	return all
}

// missed is a request of which it is not known what became, or that was not heard.
type missed struct {
	err    *plan.Error
	unsent bool          // nobody has heard it
	begun  bool          // part of the answer has been used
	quiet  time.Duration // for how long nobody at all has answered
}

func (m *missed) Error() string { return m.err.Error() }
func (m *missed) Unwrap() error { return m.err }

// unsure is a node's answer to a request that another node may have heard before.
type unsure struct{ err error }

func (u *unsure) Error() string { return u.err.Error() }
func (u *unsure) Unwrap() error { return u.err }

// Broken reports whether err is of the connection to nodes, and no answer.
func Broken(err error) bool {
	var m *missed
	return errors.As(err, &m)
}

// Unsure reports whether a request that ended in err may have been heard, though the
// error says nothing of what came of it: it broke off, or another node gave the
// answer.
func Unsure(err error) bool {
	var m *missed
	var u *unsure
	return errors.As(err, &u) || errors.As(err, &m) && !m.unsent
}

// ask makes a request of one node after another until one answers. Once makes it of
// the node at an address, and calls heard for each sign of life. Who has used part of
// an answer that broke off is told, and goes on by another request.
func (r *reach) ask(ctx context.Context, repeat bool, once func(ctx context.Context, addr string, heard func(http.Header)) error) error {
	r.set(ctx)
	r.mu.Lock()
	try := r.nodes.Try(r.patience)
	r.mu.Unlock()
	var last *missed
	sent, made := false, ctx
	for {
		addr, err := r.next(ctx, try, last)
		if m := (*missed)(nil); errors.As(err, &m) {
			m.unsent = !sent
		}
		if err != nil {
			return err
		}
		err = r.one(made, addr, repeat, once)
		var m *missed
		switch {
		case errors.As(err, &m):
			if !m.unsent && !sent {
				sent, made = true, Again(ctx)
			}
		case err != nil && sent:
			return &unsure{err}
		default:
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r.mu.Lock()
		try.Failed(addr, m, time.Now().Add(-m.quiet))
		next, _, ok := try.Next(time.Now())
		r.mu.Unlock()
		if ok {
			r.tell(addr, next, m)
		}
		if last = m; m.begun || !repeat && !m.unsent {
			return m
		}
	}
}

// next waits for the time to ask the next node.
func (r *reach) next(ctx context.Context, try *endpoints.Try, last *missed) (string, error) {
	r.mu.Lock()
	addr, pause, ok := try.Next(time.Now())
	failures, known := r.nodes.Failures(), r.nodes.Known()
	r.mu.Unlock()
	if !ok {
		return "", r.unreachable(failures, known, last)
	}
	if pause == 0 {
		return addr, nil
	}
	return addr, delay.For(ctx, pause)
}

// tell says that a node does not answer and which is asked next, once until one does.
func (r *reach) tell(silent, next string, why *missed) {
	r.mu.Lock()
	again := r.gone[silent]
	r.gone[silent] = true
	r.mu.Unlock()
	if again || r.told == nil {
		return
	}
	what := "asking " + baseAddr(next)
	if next == silent {
		what = "asking it again, for " + r.patience.String()
	}
	r.told(fmt.Sprintf("node %s does not answer (%s): %s", baseAddr(silent), why.err.Text, what))
}

// unreachable is why nobody answers.
func (r *reach) unreachable(failures []endpoints.Failure, known bool, last *missed) error {
	if last == nil {
		last = &missed{err: notReached("", "no address of a node is known")}
	}
	out := *last.err
	if len(failures) > 1 {
		var all []string
		for _, f := range failures {
			all = append(all, baseAddr(f.Addr)+": "+plan.AsError(f.Why).Text)
		}
		out.Subject, out.Text = "", strings.Join(all, "; ")
	}
	if known && r.patience > 0 {
		out.Text = fmt.Sprintf("no node has answered for %v: %s", r.patience, out.Text)
	}
	return &missed{err: &out}
}

// one asks one node. Where the request can be repeated, a node that falls silent
// while another answers ends it.
func (r *reach) one(ctx context.Context, addr string, repeat bool, once func(ctx context.Context, addr string, heard func(http.Header)) error) error {
	r.set(ctx)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	signs := make(chan struct{}, 1)
	if repeat {
		go r.watch(ctx, addr, signs, cancel)
	}
	return once(ctx, addr, func(h http.Header) {
		select {
		case signs <- struct{}{}:
		default:
		}
		if h != nil {
			r.answered(addr, h)
		}
	})
}

// answered notes a node's answer, and which others it knows.
func (r *reach) answered(addr string, h http.Header) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.nodes.Answered(addr, time.Now())
	clear(r.gone)
	if list := h.Get(NodesHeader); list != "" && r.patience > 0 {
		alive := strings.Split(list, ",")
		r.nodes.Learn(alive[:min(len(alive), NodesMax)])
	}
}

// watch looks after a request until its context ends. A node that is busy answers
// other questions; one that answers nothing is left when another answers, or when
// patience is over.
func (r *reach) watch(ctx context.Context, addr string, signs <-chan struct{}, leave context.CancelCauseFunc) {
	t := time.NewTimer(quietMax)
	defer t.Stop()
	quiet, probes := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-signs:
			quiet, probes = time.Now(), 0
			t.Reset(quietMax)
			continue
		case <-t.C:
		}
		if r.answers(ctx, addr) {
			quiet, probes = time.Now(), 0
			t.Reset(quietMax)
			continue
		}
		if probes++; probes >= probesMax {
			if why := r.silent(ctx, addr, time.Since(quiet)); why != nil {
				leave(why)
				return
			}
		}
		t.Reset(probePause)
	}
}

func (r *reach) answers(ctx context.Context, addr string) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return r.probe(ctx, addr) == nil
}

// silent is the reason to leave a node that has been silent for so long; nil: there
// is nobody better.
func (r *reach) silent(ctx context.Context, addr string, quiet time.Duration) error {
	r.mu.Lock()
	other := r.nodes.Other(addr)
	r.mu.Unlock()
	quiet = quiet.Round(100 * time.Millisecond)
	switch {
	case other != "" && r.answers(ctx, other):
		return &missed{err: notReached(addr, fmt.Sprintf("it has been silent for %v, while %s answers: it is frozen, or cut off from here", quiet, baseAddr(other)))}
	case r.patience > 0 && quiet >= r.patience:
		return &missed{quiet: quiet, err: notReached(addr, fmt.Sprintf("it has been silent for %v, and so are the others: they are frozen, or this machine is cut off", quiet))}
	}
	return nil
}

// Ops of errors of kind unavailable that are no answer to a request.
const (
	OpCall  = "call"  // of the connection to a node
	OpStart = "start" // the node is not up yet, or stops
	// OpReceive is of a node without room for the request, of which it has done nothing.
	// Of other kinds it is an answer: the request is too large, or came too slowly.
	OpReceive = "receive"
)

func notReached(addr, why string) *plan.Error {
	return &plan.Error{Kind: plan.KindUnavailable, Op: OpCall, Subject: addr, Text: why}
}

// baseAddr is what people call the node whose API is at addr.
func baseAddr(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	n, err2 := strconv.Atoi(port)
	if err != nil || err2 != nil || n <= PortOffset {
		return addr
	}
	return net.JoinHostPort(host, strconv.Itoa(n-PortOffset))
}
