package transfer

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/pondmesh/pond/shuffle"
)

// The defaults of a Client.
const (
	DefaultWindow       = 64 << 20
	DefaultStallTimeout = 10 * time.Second
	DefaultRetriesMax   = 5
)

const (
	idleTimeout  = time.Minute // of a connection; the server's is longer
	idlePerHost  = 16
	idleMax      = 1024
	backoffFirst = 100 * time.Millisecond
	backoffMax   = 5 * time.Second
	// busyMax is how long a node may say that it has no stream to spare.
	busyMax = 2 * time.Minute
	// readBuffer is the size of the buffer for frame headers and small blocks.
	readBuffer = 64 << 10
)

// ClientConfig configures a Client. The zero value is usable.
type ClientConfig struct {
	TLS *tls.Config // nil: plain HTTP
	// Authorization is that header of a request of addr; nil, or empty: none.
	Authorization func(addr string) (string, error)
	// Window bounds the bytes of blocks read ahead or not yet released, over
	// all streams of the Client. 0: DefaultWindow.
	Window int64
	// StallTimeout is how long a connection may give no byte while one is
	// wanted. 0: DefaultStallTimeout.
	StallTimeout time.Duration
	// RetriesMax is how often in a row a stream may break without progress. 0:
	// DefaultRetriesMax; negative: never retried.
	RetriesMax int
	// MaxBlock is the largest block accepted. 0: shuffle.MaxBlockLen.
	MaxBlock int64
	// Dial connects to a node. Nil: a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// LocalAddr is the own address: wants for it are read from Local.
	LocalAddr string
	Local     Source
}

func (c ClientConfig) withDefaults() ClientConfig {
	if c.Window <= 0 {
		c.Window = DefaultWindow
	}
	if c.StallTimeout <= 0 {
		c.StallTimeout = DefaultStallTimeout
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{Timeout: c.StallTimeout}).DialContext
	}
	if c.RetriesMax == 0 {
		c.RetriesMax = DefaultRetriesMax
	}
	if c.MaxBlock <= 0 || c.MaxBlock > shuffle.MaxBlockLen {
		c.MaxBlock = shuffle.MaxBlockLen
	}
	return c
}

// Client fetches blocks. It is safe for concurrent use.
type Client struct {
	cfg    ClientConfig
	http   *http.Transport
	pool   *pool
	window *window
	bufs   *sync.Pool // *bufio.Reader of readBuffer
	sends  *sync.Pool // *sendBuffer, for what is relayed
}

// NewClient makes a Client. Close it.
func NewClient(cfg ClientConfig) *Client {
	cfg = cfg.withDefaults()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	t := &http.Transport{
		// No proxy, whatever the environment says: peers are in one mesh.
		DialContext:         cfg.Dial,
		Protocols:           protocols,
		DisableCompression:  true,
		MaxIdleConns:        idleMax,
		MaxIdleConnsPerHost: idlePerHost,
		IdleConnTimeout:     idleTimeout,
	}
	if cfg.TLS != nil {
		t.TLSClientConfig = cfg.TLS.Clone()
		t.TLSClientConfig.NextProtos = []string{"http/1.1"}
	}
	return &Client{cfg: cfg, http: t, pool: new(pool), window: newWindow(cfg.Window), bufs: new(sync.Pool), sends: sendBuffers()}
}

// send makes a request, which says who makes it.
func (c *Client) send(req *http.Request) (*http.Response, error) {
	if c.cfg.Authorization != nil {
		text, err := c.cfg.Authorization(req.URL.Host)
		if err != nil {
			return nil, err
		}
		if text != "" {
			req.Header.Set("Authorization", text)
		}
	}
	return c.http.RoundTrip(req)
}

// Consumer is a Client that shares c's connections and buffers but has a window
// of its own: one for each task, say. It needs no Close.
func (c *Client) Consumer(window int64) *Client {
	if window <= 0 {
		window = DefaultWindow
	}
	consumer := *c
	consumer.window = newWindow(window)
	return &consumer
}

// From is a Client that shares all of c's, but reads what addr holds from src. It needs
// no Close.
func (c *Client) From(addr string, src Source) *Client {
	from := *c
	from.cfg.LocalAddr, from.cfg.Local = addr, src
	return &from
}

// Close closes idle connections. Open streams are not affected.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Fetch starts to fetch wants from the node at addr (host:port) and returns at
// once: Next reports the errors of the node. Cancelling ctx ends the
// stream and its connection. The Stream must be closed. Wants must not be
// changed until then.
func (c *Client) Fetch(ctx context.Context, addr string, wants []Want) (*Stream, error) {
	for i, w := range wants {
		if w.Partition < AllPartitions || w.Partition >= shuffle.MaxPartitions {
			return nil, fmt.Errorf("transfer: fetch from %s: want %d: no partition %d", addr, i, w.Partition)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("transfer: fetch from %s: %w", addr, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	s := newStream(c, addr, wants, cancel)
	go s.run(ctx)
	return s, nil
}
