package transfer

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"time"
)

// Limits bound what a server does for others. Zero values mean the defaults.
type Limits struct {
	Streams        int           // served at a time; more are told to come back. DefaultStreams
	Wants          int           // in one request. DefaultWants
	RequestTimeout time.Duration // to receive a request. DefaultRequestTimeout
	StallTimeout   time.Duration // a stream that takes no byte for so long is cut. DefaultServerStall
}

// Handler answers POST /v1/blocks from src.
func Handler(src Source, limits Limits, log *slog.Logger) http.Handler { return nil }

// NewServer is an http.Server for h with this package's timeouts, HTTP/1.1
// only, for a node that serves blocks on a port of their own.
func NewServer(h http.Handler, tlsConfig *tls.Config) *http.Server { return nil }
