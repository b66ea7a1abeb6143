// Package web is what web servers serve as a place of objects: names are http:// and
// https:// URLs, as they are sent, percent-encoded. A version is an ETag, or else the
// time of the last change; of a server that tells neither the size alone is compared.
//
// It refuses patterns, since there is nothing to list; names and passwords in URLs; and,
// unless the operator has named the place, addresses of this machine and of its link,
// by which clouds give out secrets: what names resolve to is judged right before each
// connection, and so is each redirection. Read Open next.
package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pondmesh/pond/fs/object"
)

// Config is how servers are reached.
type Config struct {
	Named func(name string) bool  // the operator has named this place: its addresses are not judged; nil: none
	Allow func(name string) error // asked about where redirections lead; nil: anywhere
	TLS   *tls.Config             // nil: the system's
}

// Web is all web servers.
type Web struct {
	c             Config
	named, judged *http.Client // two: a connection to a named place is not used for another
}

// Bounds of requests.
const (
	dialTime     = 10 * time.Second
	headerTime   = 30 * time.Second
	idlePerHost  = 16
	redirectsMax = 5
)

// changedAt begins versions that are no ETags.
const changedAt = "modified "

// Open returns a Web. Nothing is asked yet.
func Open(c Config) *Web {
	if c.Named == nil {
		c.Named = func(string) bool { return false }
	}
	if c.Allow == nil {
		c.Allow = func(string) error { return nil }
	}
	w := &Web{c: c}
	w.named = w.client(nil, func(name string) error {
		if !c.Named(name) {
			return errors.New("the operator has not named that place")
		}
		return nil
	})
	w.judged = w.client(public, c.Allow)
	return w
}

func (w *Web) client(judge func(network, addr string, _ syscall.RawConn) error, allow func(name string) error) *http.Client {
	dialer := &net.Dialer{Timeout: dialTime, Control: judge}
	return &http.Client{
		Transport: &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: w.c.TLS, TLSHandshakeTimeout: dialTime, ResponseHeaderTimeout: headerTime,
			MaxIdleConnsPerHost: idlePerHost, IdleConnTimeout: time.Minute, DisableCompression: true},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > redirectsMax {
				return fmt.Errorf("more than %d redirections", redirectsMax)
			}
			err := allow(r.URL.String())
			if via[0].URL.Scheme == "https" && r.URL.Scheme != "https" {
				err = errors.New("that is no https://")
			}
			if err != nil {
				return &object.Error{Op: "read", Name: via[0].URL.String(), Kind: object.ErrDenied, Detail: "it is redirected to " + r.URL.Host + ": " + err.Error(),
					Hint: "name the URL that it leads to, if the nodes' --read-root allows it"}
			}
			return nil
		},
	}
}

// secrets are addresses outside of link-local ranges by which clouds tell machines
// their secrets.
var secrets = []netip.Addr{netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("192.0.0.192")}

// errInside is why an address is not connected to.
var errInside = errors.New("this is an address of the node's machine, or of its own link")

// public refuses to connect to this machine and its link.
func public(_, addr string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return err
	}
	ip := at.Addr().Unmap().WithZone("")
	if ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() || ip.Is4() && ip.As4()[0] == 0 || slices.Contains(secrets, ip) {
		return errInside
	}
	return nil
}

var _ object.Source = (*Web)(nil)

// Find asks about the object of a URL. A * is a pattern; ? and [ are not.
func (w *Web) Find(ctx context.Context, name string) ([]object.Object, error) {
	if strings.Contains(name, "*") && w.known("find", name) == nil {
		return nil, &object.Error{Op: "find", Name: name, Kind: object.ErrPattern, Detail: "web servers do not list what they have", Hint: "name each file; a * that belongs to the name is written %2A"}
	}
	r, err := w.do(ctx, "find", name, http.Header{"Range": {"bytes=0-0"}}) // a signed URL is often for GET alone
	if err != nil {
		return nil, err
	}
	r.Body.Close()
	_, _, size, ok := contentRange(r)
	if !ok || packed(r.Header) {
		return nil, &object.Error{Op: "find", Name: name, Kind: object.ErrUnavailable, Detail: "the server does not tell its size", Hint: "copy the file to a server that does (with Content-Length, and not compressed on the way), or to where every node can read it"}
	}
	o := object.Object{Name: name, Size: size, Version: version(r.Header)}
	o.ModTime, _ = http.ParseTime(r.Header.Get("Last-Modified")) // zero if it does not say
	return []object.Object{o}, nil
}

// packed reports whether an answer has other bytes than the object. Some servers of S3
// tell how the object came to them.
func packed(h http.Header) bool {
	return !slices.Contains([]string{"", "identity", "aws-chunked"}, h.Get("Content-Encoding"))
}

func version(h http.Header) string {
	if tag := h.Get("ETag"); tag != "" {
		return tag
	}
	if at := h.Get("Last-Modified"); at != "" {
		return changedAt + at
	}
	return ""
}

// Open reads a range. What a server that answers no ranges gives before it is dropped.
func (w *Web) Open(ctx context.Context, o object.Object, off, n int64) (io.ReadCloser, error) {
	if err := object.CheckRange(o, off, n); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if n == 0 {
		return io.NopCloser(strings.NewReader("")), nil
	}
	h := http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", off, off+n-1)}}
	if strings.HasPrefix(o.Version, `"`) { // weak tags do not match
		h.Set("If-Match", o.Version)
	}
	r, err := w.do(ctx, "read", o.Name, h)
	if err != nil {
		return nil, err
	}
	kind, detail := object.ErrUnavailable, ""
	from, to, size, ok := contentRange(r)
	switch {
	case version(r.Header) != o.Version, ok && size != o.Size:
		kind = object.ErrChanged
	case !ok || packed(r.Header):
		detail = "the server answers neither the range nor the file as it is"
	case from > off || to < off+n:
		detail = "the server answers another range"
	default:
		if _, err = io.CopyN(io.Discard, r.Body, off-from); err == nil {
			return object.Exactly(o, r.Body, n), nil
		}
		detail = err.Error()
	}
	r.Body.Close()
	return nil, &object.Error{Op: "read", Name: o.Name, Kind: kind, Detail: detail}
}

// contentRange is the range [from, to) of an answer, of an object of size bytes.
func contentRange(r *http.Response) (from, to, size int64, ok bool) {
	switch {
	case r.StatusCode == http.StatusOK:
		return 0, r.ContentLength, r.ContentLength, r.ContentLength >= 0
	case r.Header.Get("Content-Range") == emptyRange:
		return 0, 0, 0, true
	}
	text, ok1 := strings.CutPrefix(r.Header.Get("Content-Range"), "bytes ")
	span, all, ok2 := strings.Cut(text, "/")
	first, last, ok3 := strings.Cut(span, "-")
	from, err1 := strconv.ParseInt(first, 10, 64)
	to, err2 := strconv.ParseInt(last, 10, 64)
	size, err3 := strconv.ParseInt(all, 10, 64)
	return from, to + 1, size, ok1 && ok2 && ok3 && errors.Join(err1, err2, err3) == nil
}

// emptyRange is what servers say of a range of an empty file: it has none.
const emptyRange = "bytes */0"

// do asks once. An answer is one of success, or that the file is empty.
func (w *Web) do(ctx context.Context, op, name string, h http.Header) (*http.Response, error) {
	if err := w.known(op, name); err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, name, nil)
	if err != nil {
		return nil, &object.Error{Op: op, Name: name, Kind: object.ErrName, Detail: err.Error()}
	}
	r.Header = h
	client := w.judged
	if w.c.Named(name) {
		client = w.named
	}
	resp, err := client.Do(r)
	if err != nil {
		return nil, failed(ctx, op, name, err)
	}
	if kind := kindOf(resp.StatusCode); kind != nil && resp.Header.Get("Content-Range") != emptyRange {
		resp.Body.Close()
		return nil, &object.Error{Op: op, Name: name, Kind: kind, Detail: resp.Status}
	}
	return resp, nil
}

// known refuses URLs that are no names of objects.
func (w *Web) known(op, name string) error {
	bad := func(why string) error { return &object.Error{Op: op, Name: name, Kind: object.ErrName, Detail: why} }
	u, err := url.Parse(name)
	switch {
	case err == nil && u.User != nil:
		name = u.Redacted()
		return bad("it has a user in it")
	case !strings.HasPrefix(name, "http://") && !strings.HasPrefix(name, "https://"):
		return bad("names here begin with http:// or https://")
	case err != nil:
		return bad("it is no URL")
	case u.Host == "":
		return bad("it has no host")
	case strings.Contains(name, "#"):
		return bad("it has a # in it: write %23")
	}
	return object.CheckName(op, name)
}

func kindOf(status int) error {
	switch {
	case status == http.StatusOK || status == http.StatusPartialContent:
		return nil
	case status == http.StatusNotFound || status == http.StatusGone:
		return object.ErrNotFound
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return object.ErrDenied
	case status == http.StatusPreconditionFailed || status == http.StatusRequestedRangeNotSatisfiable:
		return object.ErrChanged
	}
	return object.ErrUnavailable
}

// failed is an error on the way to a server.
func failed(ctx context.Context, op, name string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var refused *object.Error
	if errors.As(err, &refused) {
		return refused
	}
	var ue *url.Error
	if errors.As(err, &ue) { // which says the whole URL again
		err = ue.Err
	}
	e := &object.Error{Op: op, Name: name, Kind: object.ErrUnavailable, Detail: err.Error()}
	if errors.Is(err, errInside) {
		e.Kind, e.Detail, e.Hint = object.ErrDenied, errInside.Error(), "start the nodes with --read-root for the URL that it begins with"
	}
	return e
}
