package api

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/mesh/delay"
)

// Bounds of one call.
const (
	errorBodyMax = 1 << 20
	// A node without room for a request is asked again after a pause that doubles.
	busyPause    = 100 * time.Millisecond
	busyPauseMax = 3200 * time.Millisecond // the last: about six seconds in all
)

// call sends in as JSON and decodes the reply as a T.
func call[T any](ctx context.Context, c *Client, method, path string, in any) (*T, error) {
	out := new(T)
	err := c.exchange(ctx, method, path, in, func(r *reply) error {
		if r.StatusCode == http.StatusNoContent {
			return nil
		}
		*out = *new(T) // of an attempt before
		if err := json.NewDecoder(io.LimitReader(r.Body, PacketBytesMax)).Decode(out); err != nil {
			return r.broken(fmt.Errorf("reading the reply to %s %s: %w", method, path, err), false)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *Client) text(ctx context.Context, method, path string, in any) (text string, err error) {
	err = c.exchange(ctx, method, path, in, func(r *reply) error {
		b, err := io.ReadAll(io.LimitReader(r.Body, replyBytesMax))
		if err != nil {
			return r.broken(err, false)
		}
		text = string(b)
		return nil
	})
	return text, err
}

// exchange makes a request and has use take the answer. Every failure becomes a
// plan.Error.
func (c *Client) exchange(ctx context.Context, method, path string, in any, use func(*reply) error) error {
	var body []byte
	if b, ok := in.(raw); ok {
		body = b
	} else if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("api: encode %s: %w", path, err)
		}
	}
	switch {
	case c.beside != nil:
		return c.beside.one(ctx, c.addr, true, func(ctx context.Context, _ string, heard func(http.Header)) error {
			return c.send(ctx, c.base, method, path, body, func(http.Header) { heard(nil) }, use)
		})
	case c.reach == nil:
		return c.send(ctx, c.base, method, path, body, func(http.Header) {}, use)
	}
	return c.reach.ask(ctx, mayRepeat(method, path, in), func(ctx context.Context, addr string, heard func(http.Header)) error {
		return c.send(ctx, baseOf(addr, c.tls()), method, path, body, heard, use)
	})
}

// send makes a request of one node. While the node has no room for it, it is sent
// again after a pause.
func (c *Client) send(ctx context.Context, base, method, path string, body []byte, heard func(http.Header), use func(*reply) error) error {
	for pause := busyPause; ; pause *= 2 {
		err := c.sendOnce(ctx, base, method, path, body, heard, use)
		var m *missed
		if !errors.As(err, &m) || m.err.Op != OpReceive || pause > busyPauseMax {
			return err
		}
		heard(nil)
		if err := delay.For(ctx, pause/2+rand.N(pause)); err != nil {
			return err
		}
	}
}

func (c *Client) sendOnce(ctx context.Context, base, method, path string, body []byte, heard func(http.Header), use func(*reply) error) error {
	var in io.Reader
	if body != nil {
		in = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path, in)
	if err != nil {
		return fmt.Errorf("api: %s: %w", path, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if err := c.authorize(req); err != nil {
		return untrusted(base, "it is to know who calls: "+err.Error(), TokenHint)
	}
	if c.hop {
		req.Header.Set(HopHeader, "1")
	}
	if ctx.Value(againKey{}) != nil {
		req.Header.Set(AgainHeader, "1")
	}
	if key, ok := ctx.Value(chaosKey{}).(string); ok {
		req.Header.Set(ChaosKeyHeader, key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return unavailable(base, err, false)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 300 {
		heard(resp.Header)
		return use(&reply{resp, base, heard, ctx})
	}
	err = refusal(base, method, path, resp)
	if m := (*missed)(nil); !errors.As(err, &m) {
		heard(resp.Header)
	}
	return err
}

// reply is a node's good answer.
type reply struct {
	*http.Response
	base  string
	heard func(http.Header) // to be called for each sign of life
	ctx   context.Context
}

// broken is an answer that has broken off, when part of it may have been used.
func (r *reply) broken(err error, begun bool) error {
	if r.ctx.Err() != nil {
		err = context.Cause(r.ctx)
		var m *missed
		if !errors.As(err, &m) { // the caller's doing
			return err
		}
		return &missed{err: m.err, begun: begun}
	}
	return unavailable(r.base, err, begun)
}

// statuses yields lines until the last one, or until nobody wants more.
func (r *reply) statuses(yield func(*JobStatus, error) bool) error {
	lines, begun := bufio.NewScanner(r.Body), false
	lines.Buffer(make([]byte, 64<<10), watchLineMax)
	for lines.Scan() {
		r.heard(nil)
		s := new(JobStatus)
		if err := json.Unmarshal(lines.Bytes(), s); err != nil {
			return r.broken(err, begun)
		}
		if s.State == "" && s.Error != nil {
			return s.Error.Err()
		}
		begun = true
		if !yield(s, nil) || s.State.Ended() {
			return nil
		}
	}
	return r.broken(cmpErr(lines.Err(), io.ErrUnexpectedEOF), begun)
}

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// refusal is the error that a node answers with.
func refusal(base, method, path string, resp *http.Response) error {
	e := new(Error)
	b, _ := io.ReadAll(io.LimitReader(resp.Body, errorBodyMax))
	if json.Unmarshal(b, e) != nil || e.Kind == "" {
		if bytes.Contains(b, []byte("HTTP request to an HTTPS server")) {
			return untrusted(base, "it speaks only TLS", "give --tls-cert, --tls-key and --tls-ca; pond.WithTLS in a program")
		}
		return unavailable(base, fmt.Errorf("%s %s: HTTP %d: is this the port of a Pond node?", method, path, resp.StatusCode), false)
	}
	err := e.Err()
	if pe := plan.AsError(err); pe.Kind == plan.KindUnavailable && (pe.Op == OpStart || pe.Op == OpReceive) {
		return &missed{err: pe, unsent: pe.Op == OpReceive}
	}
	return err
}

// untrusted is a node that answers, but not us.
func untrusted(base, why, hint string) error {
	_, addr, _ := strings.Cut(base, "://")
	return &plan.Error{Kind: plan.KindDenied, Op: "call", Subject: addr, Text: why, Hint: hint}
}

// notHTTP reports whether a server answered, but not as HTTP has it: it speaks
// another protocol, or before it is asked. The standard library has no type for it.
func notHTTP(err error) bool {
	text := err.Error()
	return strings.Contains(text, "malformed HTTP") || strings.Contains(text, "readLoopPeekFailLocked")
}

// unavailable is a node that cannot be reached, or does not talk as one should. That
// it is gone, cut off, or has broken off are told apart.
func unavailable(base string, err error, begun bool) error {
	var ne *net.OpError
	var verify *tls.CertificateVerificationError
	_, addr, _ := strings.Cut(base, "://")
	text := err.Error()
	switch {
	case errors.Is(err, http.ErrSchemeMismatch):
		return untrusted(base, "it is without TLS", "give no TLS certificate, or start it with one")
	case errors.As(err, &verify):
		return untrusted(base, "its certificate is not trusted: "+verify.Err.Error(), "give the authority that signed it with --tls-ca")
	case errors.As(err, &ne) && ne.Op == "remote error": // as crypto/tls has alerts
		return untrusted(base, "it does not trust our certificate: "+ne.Err.Error(), "give a certificate with --tls-cert that the authority of its --tls-ca has signed")
	case errors.Is(err, syscall.ECONNREFUSED):
		text = "nothing listens there: the node is gone, or not up yet"
	case ne != nil && ne.Op == "dial" && ne.Timeout():
		text = "nothing there answers a call: its machine is gone, or cut off from here"
	case ne != nil && ne.Op == "dial":
		text = ne.Err.Error()
	case notHTTP(err):
		text = "what answers there is no HTTP server: is this the port of a Pond node?"
	case ne != nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		text = "the connection broke before the whole answer was there: " + cause(err).Error()
	}
	return &missed{err: notReached(addr, text), unsent: ne != nil && ne.Op == "dial", begun: begun}
}

// cause is what is below an error's layers of context.
func cause(err error) error {
	for {
		below := errors.Unwrap(err)
		if below == nil {
			return err
		}
		err = below
	}
}
