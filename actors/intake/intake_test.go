package intake

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// pipes is a listener whose connections are pipes, which have the clock of a test.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	shut  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), shut: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.shut:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.shut) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours
}

// serve serves next behind a gate, on pipes.
func serve(t *testing.T, g *Gate, sizeMax int64, next http.HandlerFunc) *pipes {
	t.Helper()
	l := newPipes()
	srv := &http.Server{Handler: g.Bound(func(*http.Request) int64 { return sizeMax }, next), ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return l
}

// readAll answers with how many bytes it got, or with why it got no more.
func readAll(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), api.StatusOf(plan.KindOf(err)))
		return
	}
	fmt.Fprint(w, len(b))
}

// answer reads a reply: its status and text.
func answer(t *testing.T, c net.Conn) (int, string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, err.Error()
	}
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

// send writes a request's head and then, a piece at a time, its body. It stops when
// the other side hangs up.
func send(c net.Conn, length int, piece string, every time.Duration) {
	fmt.Fprintf(c, "POST /x HTTP/1.1\r\nHost: pond\r\nContent-Length: %d\r\n\r\n", length)
	for sent := 0; sent < length; sent += len(piece) {
		time.Sleep(every)
		if _, err := io.WriteString(c, piece); err != nil {
			return
		}
	}
}

// A body that drips is cut off, a slow but steady one is not, and one that nobody
// reads does not hold its connection.
func TestSlowBodies(t *testing.T) {
	ignore := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "unread") }
	for _, c := range []struct {
		name   string
		next   http.HandlerFunc
		length int
		piece  string
		every  time.Duration
		status int
		says   string
		within time.Duration
	}{
		{"a byte a second", readAll, 1 << 20, "x", time.Second, 504, "came too slowly: 10 bytes in 10s", grace + 2*time.Second},
		{"nothing after the head", readAll, 100, "", time.Hour, 504, "too slowly: 0 bytes", grace + time.Second},
		{"slow but steady", readAll, 4 << 20, strings.Repeat("x", rateMin), 999 * time.Millisecond, 200, fmt.Sprint(4 << 20), 70 * time.Second},
		{"at once", readAll, 1000, strings.Repeat("x", 1000), 0, 200, "1000", time.Second},
		{"unread, and dripping", ignore, 1000, "x", 3 * time.Second, 200, "unread", grace + 4*time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			var g Gate
			conn := serve(t, &g, 8<<20, c.next).dial()
			defer conn.Close()
			begun := time.Now()
			go send(conn, c.length, c.piece, c.every)
			status, text := answer(t, conn)
			if took := time.Since(begun); status != c.status || !strings.Contains(text, c.says) || took > c.within {
				t.Errorf("%s: %d %q after %v", c.name, status, text, took)
			}
			conn.Close()
			synctest.Wait()
			if held := g.held.Load(); held != 0 {
				t.Errorf("%s: %d bytes are held at the end", c.name, held)
			}
			time.Sleep(time.Hour) // whoever still sends ends
		})
	}
}

// A head that drips is net/http's to end; the bounds leave it so.
func TestSlowHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := serve(t, new(Gate), 1<<20, readAll).dial()
		defer conn.Close()
		go func() {
			for _, b := range "GET / HTTP/1.1\r\nHost: pond\r\n\r\n" {
				time.Sleep(time.Second)
				if _, err := io.WriteString(conn, string(b)); err != nil {
					return
				}
			}
		}()
		begun := time.Now()
		if status, text := answer(t, conn); status == 200 || time.Since(begun) > 6*time.Second {
			t.Errorf("%d %s after %v", status, text, time.Since(begun))
		}
		conn.Close()
		time.Sleep(time.Minute) // whoever still sends ends
	})
}

// A reply may take hours after its request's body, and its client's end is noticed
// then as ever.
func TestLongReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := make(chan time.Duration, 1)
		conn := serve(t, new(Gate), 1<<20, func(w http.ResponseWriter, r *http.Request) {
			begun := time.Now()
			_, _ = io.ReadAll(r.Body)
			r.Body.Close()
			for range 10 {
				time.Sleep(time.Hour)
				if r.Context().Err() != nil {
					break
				}
				fmt.Fprintln(w, "line")
				_ = http.NewResponseController(w).Flush()
			}
			<-r.Context().Done()
			gone <- time.Since(begun)
		}).dial()
		go send(conn, 5, "hello", 0)
		lines := bufio.NewScanner(conn)
		for n := 0; n < 10 && lines.Scan(); {
			if lines.Text() == "line" {
				n++
			}
		}
		conn.Close()
		if after := <-gone; after.Round(time.Minute) != 10*time.Hour {
			t.Errorf("the client's end was noticed after %v", after)
		}
	})
}

// Bodies have a size each and one together; what is closed makes room again.
func TestSizes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, closed := &Gate{max: 1500}, make(chan struct{})
		l := serve(t, g, 1000, func(w http.ResponseWriter, r *http.Request) {
			readAll(w, r)
			if r.Header.Get("Hold") != "" {
				_ = http.NewResponseController(w).Flush()
				<-closed
			}
		})
		post := func(size int, hold string) (int, string) {
			conn := l.dial()
			defer conn.Close()
			go fmt.Fprintf(conn, "POST /x HTTP/1.1\r\nHost: pond\r\nHold: %s\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", hold, size, strings.Repeat("x", size))
			if hold == "" {
				return answer(t, conn)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			return resp.StatusCode, ""
		}
		if status, text := post(1000, ""); status != 200 || text != "1000" {
			t.Errorf("as large as may be: %d %s", status, text)
		}
		if status, text := post(1001, ""); status != 422 || !strings.Contains(text, "more than the 1000 bytes") {
			t.Errorf("larger: %d %s", status, text)
		}
		if status, _ := post(1000, "yes"); status != 200 {
			t.Errorf("one that is held: %d", status)
		}
		if status, text := post(1000, ""); status != 503 || !strings.Contains(text, "try again") {
			t.Errorf("a second one: %d %s", status, text)
		}
		if status, text := post(400, ""); status != 200 {
			t.Errorf("a small one beside it: %d %s", status, text)
		}
		close(closed)
		synctest.Wait()
		if status, text := post(1000, ""); status != 200 || g.held.Load() != 0 {
			t.Errorf("once there is room: %d %s, %d held", status, text, g.held.Load())
		}
		time.Sleep(time.Minute) // net/http lingers on connections that it cut off
	})
}

// A body that another goroutine still reads at the end of its handler, as a proxy's
// transport may, is not counted any more.
func TestReadAfterEnd(t *testing.T) {
	var g Gate
	late := make(chan io.Reader, 1)
	g.Bound(func(*http.Request) int64 { return 100 }, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { late <- r.Body })).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/x", strings.NewReader("0123456789")))
	if n, err := (<-late).Read(make([]byte, 10)); n != 0 || err == nil || g.held.Load() != 0 {
		t.Errorf("%d bytes, %v, %d held", n, err, g.held.Load())
	}
}
