// Package versitytest runs the suite of places of objects over a second server of S3,
// Versity's gateway, in this process: what holds at one server alone is no promise.
//
// It is a module of its own, so that programs that use Pond do not get the gateway's sixty
// modules with it. When versions in Pond's go.mod change, go mod tidy is run here too.
package versitytest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"

	"github.com/pondmesh/pond/fs/object"
	"github.com/pondmesh/pond/fs/object/objecttest"
	"github.com/pondmesh/pond/fs/object/s3"
)

const bucket = "bucket"

// connections are as many as the gateway takes at once.
const connections = 256

// gateway starts the server, with an empty bucket, and returns the socket that it listens
// on: its port it would not tell.
func gateway(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s3") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Chdir(dir) // and back: the server changes into its folder
	data, side := filepath.Join(dir, "data"), filepath.Join(dir, "side")
	for _, d := range []string{filepath.Join(data, bucket), side} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	tags, err := meta.NewSideCar(side) // not every file system has extended attributes
	if err != nil {
		t.Fatal(err)
	}
	files, err := posix.New(data, tags, posix.PosixOpts{SideCarDir: side, Concurrency: connections})
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "socket")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- embedgw.RunVersityGW(ctx, files, &embedgw.Config{
			RootUserAccess: "key", RootUserSecret: "secret", Ports: []string{socket}, Quiet: true, KeepAlive: true,
			MaxConnections: connections, MaxRequests: connections, MultipartMaxParts: 10_000,
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the gateway ended: %v", err)
		}
	})
	for {
		c, err := net.Dial("unix", socket)
		if err == nil {
			c.Close()
			return socket
		}
		select {
		case err := <-ended:
			t.Fatalf("the gateway ended: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// front is the URL of a server that passes requests on to a socket.
func front(t *testing.T, socket string) string {
	t.Helper()
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { // the host is signed: it stays
			r.SetURL(&url.URL{Scheme: "http", Host: "gateway"})
			r.Out.Host = r.In.Host
		},
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}},
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.URL
}

func TestVersitygw(t *testing.T) {
	s, err := s3.Open(s3.Config{Endpoint: front(t, gateway(t)), Region: "us-east-1", Access: "key", Secret: "secret", From: "from the test"})
	if err != nil {
		t.Fatal(err)
	}
	const prefix = "s3://" + bucket + "/"
	objecttest.Run(t, objecttest.Place{Source: s, Prefix: prefix, Globs: true, Put: objecttest.Each(func(t *testing.T, key string, data []byte) {
		t.Helper()
		if _, err := s.Put(t.Context(), prefix+key, strings.NewReader(string(data)), int64(len(data)), object.If{}); err != nil {
			t.Fatal(err)
		}
	})})
}

// The server compares signatures: what is signed with another secret is denied.
func TestDenied(t *testing.T) {
	s, err := s3.Open(s3.Config{Endpoint: front(t, gateway(t)), Region: "us-east-1", Access: "key", Secret: "another", From: "from the test"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Find(t.Context(), "s3://"+bucket+"/*"); !errors.Is(err, object.ErrDenied) {
		t.Errorf("a wrong secret: %v", err)
	}
}
