// Package s3test has a server of S3 in the process, for tests.
package s3test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/pondmesh/pond/fs/object/s3"
)

// Handler is a server with an empty bucket.
func Handler(t testing.TB, bucket string) http.Handler {
	t.Helper()
	back := s3mem.New()
	if err := back.CreateBucket(bucket); err != nil {
		t.Fatal(err)
	}
	return gofakes3.New(back).Server()
}

// Serve serves h until the test ends, and has nodes that start later ask it, by the
// environment.
func Serve(t testing.TB, h http.Handler) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": server.URL, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"} {
		t.Setenv(name, value)
	}
}

// Open serves h until the test ends, and opens it.
func Open(t testing.TB, h http.Handler) *s3.Store {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	s, err := s3.Open(s3.Config{Endpoint: server.URL, Region: "us-east-1", Access: "key", Secret: "secret", From: "from the test"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
