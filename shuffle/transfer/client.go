package transfer

import (
	"context"
	"crypto/tls"
	"time"
)

// ClientConfig configures a Client. The zero value is usable.
type ClientConfig struct {
	TLS *tls.Config // nil: plain HTTP
	// Window bounds the bytes read ahead and not yet released, over all streams
	// of the Client. 0: DefaultWindow.
	Window int64
	// StallTimeout is how long a connection may give no byte while one is
	// wanted. 0: DefaultStallTimeout.
	StallTimeout time.Duration
	// RetriesMax is how often in a row a stream may break without progress. 0:
	// DefaultRetriesMax; negative: never retried.
	RetriesMax int
	// MaxBlock is the largest block accepted. 0: shuffle.MaxBlockLen.
	MaxBlock int64
	// LocalAddr is the own address: wants for it are read from Local.
	LocalAddr string
	Local     Source
}

// Client fetches blocks. It is safe for concurrent use.
type Client struct {
	cfg ClientConfig
}

// NewClient makes a Client. Close it.
func NewClient(cfg ClientConfig) *Client { return &Client{cfg: cfg} }

// Consumer is a Client that shares c's connections and buffers but has a window
// of its own: one for each task, say. It needs no Close.
func (c *Client) Consumer(window int64) *Client { return c }

// Close closes idle connections. Open streams are not affected.
func (c *Client) Close() error { return nil }

// Fetch starts to fetch wants from the node at addr (host:port) and returns at
// once: what goes wrong is told by Next. Cancelling ctx ends the stream and its
// connection. The Stream must be closed.
func (c *Client) Fetch(ctx context.Context, addr string, wants []Want) (*Stream, error) {
	return nil, ErrUnavailable
}
