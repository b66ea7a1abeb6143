package transfer

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// The default Limits of a server.
const (
	DefaultStreams        = 256
	DefaultWants          = 1 << 16
	DefaultRequestTimeout = 10 * time.Second
	DefaultServerStall    = time.Minute
)

// retryAfter is when a client that was refused may come back, in seconds.
const retryAfter = "1"

// Limits bound the work of a server for other nodes. Zero values mean the defaults.
type Limits struct {
	Streams        int           // served at a time; others must come back later. DefaultStreams
	Wants          int           // in one request. DefaultWants, which clients count on
	RequestTimeout time.Duration // to receive a request. DefaultRequestTimeout
	StallTimeout   time.Duration // a stream that takes no byte for so long is cut. DefaultServerStall
}

func (l Limits) withDefaults() Limits {
	if l.Streams <= 0 {
		l.Streams = DefaultStreams
	}
	if l.Wants <= 0 {
		l.Wants = DefaultWants
	}
	if l.RequestTimeout <= 0 {
		l.RequestTimeout = DefaultRequestTimeout
	}
	if l.StallTimeout <= 0 {
		l.StallTimeout = DefaultServerStall
	}
	return l
}

type handler struct {
	of     func(*http.Request) Source
	limits Limits
	log    *slog.Logger
	slots  chan struct{}
	bufs   *sync.Pool // *sendBuffer
}

// Handler answers POST [Path], and nothing else: each request from the Source that is
// for whoever makes it. It sets its own deadlines; the server around it needs a
// ReadHeaderTimeout.
func Handler(of func(*http.Request) Source, limits Limits, log *slog.Logger) http.Handler {
	limits = limits.withDefaults()
	h := &handler{of: of, limits: limits, log: log, slots: make(chan struct{}, limits.Streams), bufs: sendBuffers()}
	mux := http.NewServeMux()
	mux.Handle("POST "+Path, h)
	return mux
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		w.Header().Set("Retry-After", retryAfter)
		http.Error(w, "too many streams", http.StatusServiceUnavailable)
		return
	}
	rq, err := h.receive(w, r)
	if err != nil {
		h.log.Debug("transfer: request refused", "peer", r.RemoteAddr, "err", err)
		code := http.StatusBadRequest
		if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
			code = http.StatusRequestEntityTooLarge
		}
		http.Error(w, statusText(err), code)
		return
	}
	if name := r.URL.Query().Get(readerParam); name != "" {
		r = r.WithContext(For(r.Context(), name))
	}
	h.answer(w, r, h.of(r), rq)
}

// answer sends the blocks of a request.
func (h *handler) answer(w http.ResponseWriter, r *http.Request, src Source, rq *request) {
	buf := h.bufs.Get().(*sendBuffer)
	defer h.bufs.Put(buf)
	s := newSender(r.Context(), src, rq, buf)
	defer s.shelf.close()
	s.log = h.log.With("peer", r.RemoteAddr)
	s.sendfile = r.TLS == nil && !rq.careful
	length, err := s.plan()
	if err != nil {
		return // the consumer has gone
	}
	s.out = &response{w: w, rc: http.NewResponseController(w), stall: h.limits.StallTimeout}
	w.Header().Set("Content-Type", responseType)
	w.Header().Set("Content-Length", strconv.FormatInt(length, 10))
	s.out.extend()
	w.WriteHeader(http.StatusOK)
	if err := s.send(); err != nil {
		s.log.Debug("transfer: stream ended early", "err", err)
		return // short of Content-Length: net/http closes the connection
	}
	s.out.end()
}

// receive reads the request, in bounded time and memory.
func (h *handler) receive(w http.ResponseWriter, r *http.Request) (*request, error) {
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(h.limits.RequestTimeout)) // not every test's writer can
	most := requestLen(h.limits.Wants, h.limits.Wants)
	if r.ContentLength > most {
		return nil, fmt.Errorf("request: %w", &http.MaxBytesError{Limit: most})
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	_ = rc.SetReadDeadline(time.Time{})
	return parseRequest(body, h.limits.Wants)
}

// response is an http.ResponseWriter that cuts off a consumer that reads nothing.
type response struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	stall time.Duration
}

// extend gives the consumer the stall timeout from now on.
func (r *response) extend() { _ = r.rc.SetWriteDeadline(time.Now().Add(r.stall)) }

func (r *response) Write(p []byte) (int, error) {
	r.extend()
	return r.w.Write(p)
}

// end leaves the connection as it was, for another request.
func (r *response) end() {
	if r.rc.Flush() == nil {
		_ = r.rc.SetWriteDeadline(time.Time{})
	}
}

// Everyone may read all of a Source: serve its Handler on loopback or behind mTLS.
func Everyone(src Source) func(*http.Request) Source {
	return func(*http.Request) Source { return src }
}

// NewServer is an http.Server for h with this package's timeouts, HTTP/1.1
// only, for a node that serves blocks on a port of their own. TLS is nil for
// plain HTTP; then ListenAndServe or Serve, else ServeTLS with no files.
func NewServer(h http.Handler, tlsConfig *tls.Config) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	if tlsConfig != nil {
		tlsConfig = tlsConfig.Clone()
		tlsConfig.NextProtos = []string{"http/1.1"}
		tlsConfig.DynamicRecordSizingDisabled = true // bulk from the first byte
	}
	return &http.Server{
		Handler:           h,
		TLSConfig:         tlsConfig,
		Protocols:         protocols,
		ReadHeaderTimeout: DefaultRequestTimeout,
		IdleTimeout:       2 * idleTimeout,
		MaxHeaderBytes:    16 << 10,
	}
}
