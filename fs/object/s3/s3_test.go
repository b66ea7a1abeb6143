package s3_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pondmesh/pond/fs/object"
	"github.com/pondmesh/pond/fs/object/objecttest"
	"github.com/pondmesh/pond/fs/object/s3"
	"github.com/pondmesh/pond/fs/object/s3/s3test"
)

// put makes objects through the store itself.
func put(s *s3.Store, prefix string) func(t *testing.T, key string, data []byte) {
	return func(t *testing.T, key string, data []byte) {
		t.Helper()
		if _, err := s.Put(t.Context(), prefix+key, strings.NewReader(string(data)), int64(len(data)), object.If{}); err != nil {
			t.Fatal(err)
		}
	}
}

// cutter ends an answer early, once it is told to.
type cutter struct {
	http.Handler
	after atomic.Int64 // bytes; -1: does not
}

func (c *cutter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if n := c.after.Load(); r.Method == http.MethodGet && r.Header.Get("Range") != "" && n >= 0 {
		c.after.Store(-1)
		w = &cutWriter{w, n}
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		if strings.HasSuffix(r.URL.Path, "/denied") {
			w.WriteHeader(http.StatusForbidden)
			return
		}
	}
	c.Handler.ServeHTTP(w, r)
}

type cutWriter struct {
	http.ResponseWriter
	left int64
}

func (c *cutWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > c.left {
		c.ResponseWriter.Write(p[:c.left])
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= int64(len(p))
	return c.ResponseWriter.Write(p)
}

func TestGofakes3(t *testing.T) {
	c := &cutter{Handler: s3test.Handler(t, "bucket")}
	c.after.Store(-1)
	s := s3test.Open(t, c)
	objecttest.Run(t, objecttest.Place{Source: s, Prefix: "s3://bucket/", Globs: true, Denied: "denied", Loose: true, Cut: c.after.Store, Put: objecttest.Each(put(s, "s3://bucket/"))})
}

// What was written is known to its writer, though the answer is lost and the request made
// again: it did not lose to itself.
func TestLostAnswers(t *testing.T) {
	server, lost := s3test.Handler(t, "bucket"), atomic.Int64{}
	s := s3test.Open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		change := r.Method == http.MethodPut && !r.URL.Query().Has("partNumber") || r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
		if !change || lost.Add(1)%2 == 0 {
			server.ServeHTTP(w, r)
			return
		}
		server.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}))
	o, err := s.Put(t.Context(), "s3://bucket/first", strings.NewReader("a"), 1, object.If{Absent: true})
	if err != nil {
		t.Fatalf("the first: %v", err)
	}
	if o, err = s.Put(t.Context(), o.Name, strings.NewReader("b"), 1, object.If{Version: o.Version}); err != nil {
		t.Errorf("in place of it: %v", err)
	}
	staged, err := s.Stage(t.Context(), "s3://bucket/staged", strings.NewReader("c"), 1)
	if err == nil {
		_, err = s.Show(t.Context(), staged, object.If{})
	}
	if err != nil {
		t.Errorf("staged: %v", err)
	}
	for name, want := range map[string]string{"s3://bucket/first": "b", "s3://bucket/staged": "c"} {
		found, err := s.Find(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := object.ReadAll(t.Context(), s, found[0], 0, 1); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if lost.Load() < 6 {
		t.Errorf("%d requests, of which every other's answer is lost", lost.Load())
	}
	if _, err := s.Put(t.Context(), o.Name, strings.NewReader("c"), 1, object.If{Absent: true}); !errors.Is(err, object.ErrExists) {
		t.Errorf("another writer: %v", err)
	}
}

func TestErrors(t *testing.T) {
	s := s3test.Open(t, s3test.Handler(t, "bucket"))
	if _, err := s.Find(t.Context(), "s3://nowhere/k"); !errors.Is(err, object.ErrNotFound) {
		t.Errorf("no such bucket: %v", err)
	}
	if _, err := s.Find(t.Context(), "s3://nowhere/*"); !errors.Is(err, object.ErrNotFound) || !strings.Contains(err.Error(), "bucket") {
		t.Errorf("no such bucket, listed: %v", err)
	}
	for _, name := range []string{"s3://bucket", "s3://bucket/", "s3:///k", "s3://b*/k", "http://h/k"} {
		if _, err := s.Find(t.Context(), name); !errors.Is(err, object.ErrName) {
			t.Errorf("%s: %v", name, err)
		}
	}
	denied := s3test.Open(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	if _, err := denied.Find(t.Context(), "s3://bucket/*"); !errors.Is(err, object.ErrDenied) || !strings.Contains(err.Error(), "credentials: from the test") {
		t.Errorf("denied: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	gone, err := s3.Open(s3.Config{Endpoint: "http://" + l.Addr().String(), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gone.Find(t.Context(), "s3://b/k"); !errors.Is(err, object.ErrUnavailable) {
		t.Errorf("nobody there: %v", err)
	}
	for _, endpoint := range []string{"host:9000", "ftp://h", "http://", "http://h/path"} {
		if _, err := s3.Open(s3.Config{Endpoint: endpoint}); err == nil {
			t.Errorf("endpoint %q is taken", endpoint)
		}
	}
}

func TestConfigFrom(t *testing.T) {
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, ".aws"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(home, ".aws", "credentials")
	if err := os.WriteFile(file, []byte("[default]\naws_access_key_id = a\naws_secret_access_key = b\n[other]\naws_access_key_id = c\naws_secret_access_key = d\naws_session_token = e\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const none = "none found in AWS_ACCESS_KEY_ID or ~/.aws/credentials"
	for name, c := range map[string]struct {
		env  map[string]string
		want s3.Config
	}{
		"nothing":  {nil, s3.Config{From: none}},
		"a file":   {map[string]string{"HOME": home}, s3.Config{Access: "a", Secret: "b", From: "from " + file}},
		"profile":  {map[string]string{"AWS_SHARED_CREDENTIALS_FILE": file, "AWS_PROFILE": "other"}, s3.Config{Access: "c", Secret: "d", Token: "e", From: "from " + file}},
		"env":      {map[string]string{"HOME": home, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_SESSION_TOKEN": "z"}, s3.Config{Access: "x", Secret: "y", Token: "z", From: "from AWS_ACCESS_KEY_ID"}},
		"endpoint": {map[string]string{"AWS_ENDPOINT_URL": "http://e", "AWS_DEFAULT_REGION": "r"}, s3.Config{Endpoint: "http://e", Region: "r", From: none}},
		"first":    {map[string]string{"AWS_ENDPOINT_URL": "http://e", "AWS_ENDPOINT_URL_S3": "http://s", "AWS_DEFAULT_REGION": "r", "AWS_REGION": "q"}, s3.Config{Endpoint: "http://s", Region: "q", From: none}},
	} {
		if got, err := s3.ConfigFrom(func(n string) string { return c.env[n] }); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := s3.ConfigFrom(func(n string) string { return map[string]string{"HOME": home, "AWS_PROFILE": "absent"}[n] }); err == nil {
		t.Error("a profile that is not there is taken")
	}
}
