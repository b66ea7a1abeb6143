package transfer

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/pondmesh/pond/shuffle"
)

// Relay answers POST Path for another process that may have no connections of its
// own: the request's Host is the node that is asked, by the client's connections, or
// its own store. allow tells whether that node may be asked for a segment: nothing else
// is asked, and no other node.
func (c *Client) Relay(allow func(addr string, id shuffle.SegmentID) bool, log *slog.Logger) http.Handler {
	r := &relay{client: c, allow: allow, log: log, local: &handler{log: log, limits: Limits{}.withDefaults(), bufs: c.sends}}
	mux := http.NewServeMux()
	mux.Handle("POST "+Path, r)
	return mux
}

type relay struct {
	client *Client
	allow  func(addr string, id shuffle.SegmentID) bool
	log    *slog.Logger
	local  *handler // for its buffers and limits
}

func (r *relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	most := requestLen(r.local.limits.Wants, r.local.limits.Wants)
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, most))
	var asked *request
	if err == nil {
		asked, err = parseRequest(body, r.local.limits.Wants)
	}
	if err != nil {
		http.Error(w, statusText(err), http.StatusBadRequest)
		return
	}
	for _, id := range asked.segments {
		if !r.allow(req.Host, id) {
			http.Error(w, fmt.Sprintf("segment %s of %s is not one that this task reads", id, req.Host), http.StatusForbidden)
			return
		}
	}
	if req.Host == r.client.cfg.LocalAddr && r.client.cfg.Local != nil {
		r.local.answer(w, req, r.client.cfg.Local, asked)
		return
	}
	r.forward(w, req, body)
}

// forward has the node that is asked answer.
func (r *relay) forward(w http.ResponseWriter, req *http.Request, body []byte) {
	u := url.URL{Scheme: "http", Host: req.Host, Path: Path}
	if r.client.cfg.TLS != nil {
		u.Scheme = "https"
	}
	out, err := http.NewRequestWithContext(req.Context(), http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		http.Error(w, statusText(err), http.StatusBadRequest)
		return
	}
	out.Header.Set("Content-Type", requestType)
	out.Header["Idempotency-Key"] = nil
	resp, err := r.client.send(out)
	if err != nil {
		http.Error(w, statusText(err), http.StatusBadGateway)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	for _, name := range []string{"Content-Type", "Content-Length", "Retry-After"} {
		if v := resp.Header.Get(name); v != "" {
			w.Header().Set(name, v)
		}
	}
	w.WriteHeader(resp.StatusCode)
	buf := r.client.sends.Get().(*sendBuffer)
	defer r.client.sends.Put(buf)
	if _, err := io.CopyBuffer(flushed{w, http.NewResponseController(w)}, resp.Body, buf.out[:relayBuffer]); err != nil {
		r.log.Debug("transfer: relaying ended early", "from", req.Host, "err", err)
		panic(http.ErrAbortHandler) // net/http's way to cut the connection: it is short of Content-Length
	}
}

// relayBuffer is how many bytes are handed on at once.
const relayBuffer = 256 << 10

// flushed hands on what it is given at once, and cuts off a reader that takes nothing.
type flushed struct {
	w  io.Writer
	rc *http.ResponseController
}

func (f flushed) Write(p []byte) (int, error) {
	_ = f.rc.SetWriteDeadline(time.Now().Add(DefaultServerStall)) // not every writer can
	n, err := f.w.Write(p)
	if err == nil {
		err = f.rc.Flush()
	}
	return n, err
}
