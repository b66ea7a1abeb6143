package web_test

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pondmesh/pond/fs/object"
	"github.com/pondmesh/pond/fs/object/objecttest"
	"github.com/pondmesh/pond/fs/object/web"
)

// files is a web server's files.
type files struct {
	mu   sync.Mutex
	data map[string][]byte // by path
	at   time.Time         // when all were written: two questions about one file have one answer
	cut  int64             // the next answer to GET ends after so many bytes; -1: does not
}

func (f *files) put(t *testing.T, key string, data []byte) {
	t.Helper()
	path, err := url.PathUnescape(key)
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.data["/"+path] = data
}

func (f *files) cutAfter(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut = n
}

func (f *files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	data, ok := f.data[r.URL.Path]
	cut := f.cut
	if r.Method == http.MethodGet {
		f.cut = -1
	}
	f.mu.Unlock()
	switch {
	case r.URL.Path == "/denied":
		w.WriteHeader(http.StatusForbidden)
		return
	case !ok:
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if cut >= 0 && r.Method == http.MethodGet {
		w = &cutWriter{w, cut}
	}
	w.Header().Set("ETag", fmt.Sprintf(`"%x"`, crc32.ChecksumIEEE(data)))
	http.ServeContent(w, r, "", f.at, bytes.NewReader(data))
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

// below names places.
func below(roots ...string) web.Config {
	return web.Config{Named: func(name string) bool {
		for _, root := range roots {
			if strings.HasPrefix(name, root+"/") {
				return true
			}
		}
		return false
	}}
}

func TestWeb(t *testing.T) {
	f := &files{data: map[string][]byte{}, at: time.Now(), cut: -1}
	server := httptest.NewServer(f)
	defer server.Close()
	objecttest.Run(t, objecttest.Place{
		Source: web.Open(below(server.URL)), Prefix: server.URL + "/", Put: objecttest.Each(f.put), Denied: "denied", Cut: f.cutAfter,
		Escape: func(key string) string { return (&url.URL{Path: key}).EscapedPath() },
	})
}

// plain is a server that answers no ranges, and has no ETags.
type plain struct{ at time.Time }

func (p plain) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Last-Modified", p.at.UTC().Format(http.TimeFormat))
	w.Header().Set("Content-Length", "10")
	fmt.Fprint(w, "0123456789")
}

func TestServerWithoutRanges(t *testing.T) {
	server := httptest.NewServer(plain{time.Unix(1e9, 0)})
	defer server.Close()
	w := web.Open(below(server.URL))
	list, err := w.Find(t.Context(), server.URL+"/a?b=c/../d")
	if err != nil || list[0].Size != 10 || !list[0].ModTime.Equal(time.Unix(1e9, 0)) {
		t.Fatalf("%+v, %v", list, err)
	}
	if got, err := object.ReadAll(t.Context(), w, list[0], 3, 4); err != nil || string(got) != "3456" {
		t.Errorf("%q, %v", got, err)
	}
	older, longer := list[0], list[0]
	older.Version, longer.Size = "modified "+time.Unix(1e9+1, 0).UTC().Format(http.TimeFormat), 11
	for _, o := range []object.Object{older, longer} {
		if _, err := w.Open(t.Context(), o, 3, 4); !errors.Is(err, object.ErrChanged) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// odd servers answer something else than they are asked for.
func TestOddAnswers(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"another range": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 5-8/10")
			w.WriteHeader(http.StatusPartialContent)
			fmt.Fprint(w, "5678")
		},
		"no range":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusPartialContent) },
		"packed":      func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Encoding", "gzip") },
		"broken":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"nothing yet": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
	} {
		server := httptest.NewServer(h)
		w := web.Open(below(server.URL))
		if got, err := object.ReadAll(t.Context(), w, object.Object{Name: server.URL + "/a", Size: 10}, 3, 4); !errors.Is(err, object.ErrUnavailable) && !errors.Is(err, object.ErrChanged) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		server.Close()
	}
}

// Addresses of the machine itself are not read unless the operator has named them,
// whatever name or redirection leads there.
func TestInside(t *testing.T) {
	inner := httptest.NewServer(plain{time.Now()})
	defer inner.Close()
	port := inner.URL[strings.LastIndex(inner.URL, ":"):]
	w := web.Open(web.Config{})
	for _, host := range []string{"127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "127.1.2.3", "0.0.0.0", "0.1.2.3", "[::]", "169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "224.0.0.1"} {
		if _, err := w.Find(t.Context(), "http://"+host+port+"/a"); !errors.Is(err, object.ErrDenied) {
			t.Errorf("%s: %v", host, err)
		}
	}
	outer := httptest.NewServer(http.RedirectHandler(inner.URL+"/a", http.StatusFound))
	defer outer.Close()
	if _, err := web.Open(below(outer.URL)).Find(t.Context(), outer.URL+"/a"); !errors.Is(err, object.ErrDenied) {
		t.Errorf("redirected to where the operator has not named: %v", err)
	}
	if _, err := web.Open(below(outer.URL, inner.URL)).Find(t.Context(), outer.URL+"/a"); err != nil {
		t.Errorf("redirected to where the operator has named: %v", err)
	}
}

func TestNames(t *testing.T) {
	w := web.Open(web.Config{})
	for _, name := range []string{"http://user:secret@h/a", "http://h/a#b", "ftp://h/a", "http:///a", "http://h/../a", "http://h/%2e%2e/a", "http://h/a\nb", "http://h/%zz"} {
		_, err := w.Find(t.Context(), name)
		if !errors.Is(err, object.ErrName) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
