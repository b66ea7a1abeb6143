// Package intake bounds what a node takes in with the requests that it serves: the
// connections (Conns), the size of a body, the time in which it comes, and the bytes of
// all bodies together (Gate). What a web page makes a browser send is not let in at all
// (Origin).
//
// It refuses to judge which user asks, and what for. Headers have net/http's own bounds, and
// replies may take as long as they like.
package intake

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// Bounds of a node.
const (
	// TotalMax bounds the bytes of bodies that are being received or decoded.
	TotalMax = 512 << 20
	// A body that came slower than rateMin, after a grace, is cut off: whoever sends a
	// byte a minute would hold a connection, and what has come, for ever.
	grace   = 10 * time.Second
	rateMin = 64 << 10 // bytes a second
	// retryAfter is when a client that was turned away may come again, in seconds.
	retryAfter = 1
)

// Gate is what bodies of one node pass. The zero value is ready.
type Gate struct {
	held atomic.Int64 // bytes of bodies that are not closed, at most TotalMax and what one read brings
	max  int64        // of held; 0: TotalMax
}

// Bound has next serve requests whose bodies keep the bounds, of size that which
// sizeMax says; where it is negative, next has bounds of its own. Reading beyond one
// fails with a plan.Error. A handler closes the body when it has no more use for the
// bytes; at its end the rest is let go.
func (g *Gate) Bound(sizeMax func(*http.Request) int64, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		most := sizeMax(r)
		if r.Body == nil || r.Body == http.NoBody || most < 0 {
			next.ServeHTTP(w, r)
			return
		}
		b := &body{gate: g, w: w, begun: time.Now(), sizeMax: most, what: r.Method + " " + r.URL.Path}
		b.in = http.MaxBytesReader(w, r.Body, b.sizeMax)
		b.deadline(b.begun.Add(grace)) // holds for a body that no handler reads as well: the server does
		defer b.release()
		bounded := r.WithContext(r.Context())
		bounded.Body = b
		next.ServeHTTP(w, bounded)
	})
}

// body is a request's, while it is read.
type body struct {
	in      io.ReadCloser
	gate    *Gate
	w       http.ResponseWriter
	what    string
	begun   time.Time
	sizeMax int64

	mu   sync.Mutex
	got  int64 // bytes read, counted in gate.held until over
	over bool
}

func (b *body) Read(p []byte) (int, error) {
	b.deadline(b.begun.Add(grace + time.Duration(b.came())*time.Second/rateMin))
	n, err := b.in.Read(p)
	switch full, over := b.count(int64(n)); {
	case over:
		return 0, http.ErrBodyReadAfterClose
	case full && (err == nil || errors.Is(err, io.EOF)):
		b.w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
		return n, b.refused(plan.KindUnavailable, "this node receives as much as it can at once, %d bytes: try again in a while", b.gate.most())
	}
	return n, b.explain(err)
}

func (b *body) came() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.got
}

// count adds bytes that have come. It reports whether all bodies of the node are too
// many then, and whether this one is over.
func (b *body) count(n int64) (full, over bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return false, true
	}
	b.got += n
	return b.gate.held.Add(n) > b.gate.most(), false
}

// explain makes an error of ours of one of net/http's.
func (b *body) explain(err error) error {
	large := (*http.MaxBytesError)(nil)
	switch {
	case errors.Is(err, io.EOF):
		b.deadline(time.Time{}) // the reply may take long, and the server listens for the client's end meanwhile
		return err
	case errors.As(err, &large):
		e := b.refused(plan.KindUser, "the request's body has more than the %d bytes that this node takes", b.sizeMax)
		e.Hint = "put what it carries into files, and read those"
		return e
	case errors.Is(err, os.ErrDeadlineExceeded):
		e := b.refused(plan.KindDeadline, "the request's body came too slowly: %d bytes in %v", b.came(), time.Since(b.begun).Round(time.Second))
		e.Hint = "put what it carries into files that the nodes can read, or send it over a faster line"
		return e
	}
	return err
}

func (b *body) refused(kind plan.Kind, format string, args ...any) *plan.Error {
	return &plan.Error{Kind: kind, Op: api.OpReceive, Subject: b.what, Text: fmt.Sprintf(format, args...)}
}

// deadline sets the time by which bytes must have come. Writers of tests may have none.
func (b *body) deadline(t time.Time) { _ = http.NewResponseController(b.w).SetReadDeadline(t) }

func (b *body) Close() error {
	b.release()
	return b.in.Close()
}

func (b *body) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over {
		b.over = true
		b.gate.held.Add(-b.got)
	}
}

func (g *Gate) most() int64 {
	if g.max > 0 {
		return g.max
	}
	return TotalMax
}
