package transfer

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/pondmesh/pond/shuffle"
)

// fault is what becomes of one connection's bytes to the consumer.
type fault struct {
	after int  // bytes that pass
	stall bool // then nothing comes; else the connection is cut
}

// flaky is a network of one server, on which connection i meets faults[i] and
// later ones none. Everything is in memory, so that time can be synctest's.
type flaky struct {
	accept chan net.Conn
	closed chan struct{}
	once   sync.Once

	mu     sync.Mutex
	faults []fault
	dials  int
	passed []int // bytes by connection
}

func newFlaky(faults ...fault) *flaky {
	return &flaky{accept: make(chan net.Conn), closed: make(chan struct{}), faults: faults}
}

func (n *flaky) Accept() (net.Conn, error) {
	select {
	case c := <-n.accept:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}
func (n *flaky) Close() error   { n.once.Do(func() { close(n.closed) }); return nil }
func (n *flaky) Addr() net.Addr { return &net.TCPAddr{} }

func (n *flaky) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case n.accept <- server:
	case <-n.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	c := &flakyConn{Conn: client, net: n, index: n.dials, left: -1, gone: make(chan struct{})}
	if n.dials < len(n.faults) {
		c.left, c.stall = n.faults[n.dials].after, n.faults[n.dials].stall
	}
	n.dials++
	n.passed = append(n.passed, 0)
	return c, nil
}

type flakyConn struct {
	net.Conn
	net   *flaky
	index int
	left  int // -1: no fault
	stall bool
	gone  chan struct{}
	once  sync.Once
}

func (c *flakyConn) Read(p []byte) (int, error) {
	if c.left == 0 {
		if c.stall {
			<-c.gone
			return 0, net.ErrClosed
		}
		_ = c.Conn.Close()
		return 0, io.EOF
	}
	if c.left > 0 && len(p) > c.left {
		p = p[:c.left]
	}
	n, err := c.Conn.Read(p)
	if c.left > 0 {
		c.left -= n
	}
	c.net.mu.Lock()
	c.net.passed[c.index] += n
	c.net.mu.Unlock()
	return n, err
}

func (c *flakyConn) Close() error {
	c.once.Do(func() { close(c.gone) })
	return c.Conn.Close()
}

// over runs f in a bubble with a client of src over the network n.
func over(t testing.TB, n *flaky, src Source, limits Limits, cfg ClientConfig, f func(c *Client)) {
	srv := NewServer(Handler(Everyone(src), limits, logTo(t)), nil)
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(n) }()
	c := NewClient(cfg)
	c.http.DialContext = n.dial
	f(c)
	_ = c.Close()
	_ = n.Close()
	_ = srv.Close()
	<-done
	synctest.Wait()
}

// smallSource answers in a few KiB, with everything that a response can hold.
func smallSource(t testing.TB) (*memSource, []Want) {
	r := newRand(t)
	src := &memSource{segs: map[shuffle.SegmentID]*memSegment{
		id(1): makeSegment(r, 2, 3, 2, 60), id(2): makeSegment(r, 1, 2, 1, 20), id(3): makeSegment(r, 1, 1, 0, 0),
	}}
	return src, []Want{{id(1), 2}, {id(3), 0}, {id(2), AllPartitions}, {id(9), 0}, {id(1), 0}}
}

func checkSmall(t testing.TB, src *memSource, wants []Want, got [][]byte, lost []*LostError, err error) {
	t.Helper()
	if err != nil || len(lost) != 1 || lost[0].Segments[0] != id(9) {
		t.Fatalf("lost %v, err %v", lost, err)
	}
	check(t, src, wants[:3], got[:3])
	check(t, src, wants[4:], got[4:])
}

// TestCutEverywhere cuts and stalls the first connection at every byte.
func TestCutEverywhere(t *testing.T) {
	src, wants := smallSource(t)
	end := 0
	for at, clean := 0, false; !clean; at++ {
		for _, stall := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				n := newFlaky(fault{at, stall})
				over(t, n, src, Limits{}, ClientConfig{}, func(c *Client) {
					got, lost, err := fetchAll(t, c, "peer:1", wants)
					checkSmall(t, src, wants, got, lost, err)
					fullWindow(t, c)
				})
				if clean = n.dials == 1; clean && end == 0 {
					end = at
				}
				if !clean && n.dials != 2 {
					t.Fatalf("cut at byte %d: %d connections", at, n.dials)
				}
			})
		}
	}
	t.Logf("%d bytes of response", end)
	if end < 500 {
		t.Fatalf("the response had %d bytes only: nothing was proved", end)
	}
}

// TestAnyCuts: for every schedule of cuts and stalls, what is delivered is what
// the source has.
func TestAnyCuts(t *testing.T) {
	memory, wants := mixedSource(t)
	files := &memSource{segs: map[shuffle.SegmentID]*memSegment{}}
	for id, m := range memory.segs {
		files.segs[id] = &memSegment{data: m.data, parts: m.parts}
	}
	toFiles(t, files)
	rapid.Check(t, func(r *rapid.T) {
		src := rapid.SampledFrom([]*memSource{memory, files}).Draw(r, "source")
		var faults []fault
		for range rapid.IntRange(1, 12).Draw(r, "faults") {
			most := rapid.SampledFrom([]int{10, 1000, 100_000, 3_000_000}).Draw(r, "most")
			faults = append(faults, fault{rapid.IntRange(0, most).Draw(r, "after"), rapid.Bool().Draw(r, "stall")})
		}
		window := rapid.SampledFrom([]int64{1, 100_000, DefaultWindow}).Draw(r, "window")
		wants := wants[rapid.IntRange(0, 8).Draw(r, "first"):rapid.IntRange(9, len(wants)).Draw(r, "last")]
		synctest.Test(t, func(t *testing.T) {
			over(t, newFlaky(faults...), src, Limits{}, ClientConfig{RetriesMax: len(faults), Window: window}, func(c *Client) {
				got, lost, err := fetchAll(t, c, "peer:1", wants)
				if err != nil || lost != nil {
					r.Fatalf("lost %v, err %v", lost, err)
				}
				for i, w := range wants {
					if !bytes.Equal(got[i], src.segs[w.Segment].bytes(w.Partition)) {
						r.Fatalf("want %d differs", i)
					}
				}
				fullWindow(t, c)
			})
		})
	})
}

// TestNothingTwice: what a resumed stream sends again is less than a read's
// worth a cut, whatever the size of the want.
func TestNothingTwice(t *testing.T) {
	src := &memSource{segs: map[shuffle.SegmentID]*memSegment{id(1): makeSegment(newRand(t), 1, 1, 40, 200_000)}}
	wants := []Want{{id(1), 0}}
	var faults []fault
	for range 10 {
		faults = append(faults, fault{after: 300_001})
	}
	synctest.Test(t, func(t *testing.T) {
		n := newFlaky(faults...)
		over(t, n, src, Limits{}, ClientConfig{RetriesMax: 1}, func(c *Client) { // progress makes up for 10 cuts
			got, _, err := fetchAll(t, c, "peer:1", wants)
			if err != nil {
				t.Fatal(err)
			}
			check(t, src, wants, got)
		})
		sum := 0
		for _, p := range n.passed {
			sum += p
		}
		total := len(src.segs[id(1)].bytes(0))
		if most := total + n.dials*4096; sum > most {
			t.Errorf("%d bytes passed for %d", sum, total)
		}
	})
}

func TestRetriesAreBounded(t *testing.T) {
	src, wants := smallSource(t)
	for _, stall := range []bool{false, true} {
		var faults []fault
		for range 20 {
			faults = append(faults, fault{after: 30, stall: stall})
		}
		synctest.Test(t, func(t *testing.T) {
			n := newFlaky(faults...)
			over(t, n, src, Limits{}, ClientConfig{RetriesMax: 3}, func(c *Client) {
				_, _, err := fetchAll(t, c, "peer:1", wants)
				want := ErrUnavailable
				if stall {
					want = ErrStalled
				}
				if !errors.Is(err, want) || n.dials != 4 {
					t.Errorf("stall %v: %v after %d connections", stall, err, n.dials)
				}
			})
		})
	}
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	_, _, err = fetchAll(t, newTestClient(t, ClientConfig{RetriesMax: 1}), addr, []Want{{id(1), 0}})
	if !errors.Is(err, ErrUnavailable) {
		t.Fatal(err)
	}
}

// TestStallIsNotAPause: a consumer that takes its time is no stall, though the
// server may cut it and serve it again.
func TestStallIsNotAPause(t *testing.T) {
	src, wants := mixedSource(t)
	synctest.Test(t, func(t *testing.T) {
		n := newFlaky()
		over(t, n, src, Limits{StallTimeout: time.Minute}, ClientConfig{Window: 1, RetriesMax: -1, StallTimeout: 5 * time.Second}, func(c *Client) {
			s, err := c.Fetch(t.Context(), "peer:1", wants)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			b, err := s.Next()
			if err != nil {
				t.Fatal(err)
			}
			b.Release()
			<-time.After(30 * time.Second) // less than the server waits
			if _, _, err := collect(s, len(wants)); err != nil || n.dials != 1 {
				t.Fatalf("after a short pause: %v, %d connections", err, n.dials)
			}
		})
	})
	synctest.Test(t, func(t *testing.T) {
		n := newFlaky()
		over(t, n, src, Limits{StallTimeout: time.Minute}, ClientConfig{Window: 1, StallTimeout: 5 * time.Second}, func(c *Client) {
			s, err := c.Fetch(t.Context(), "peer:1", wants)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			b, err := s.Next()
			if err != nil {
				t.Fatal(err)
			}
			first := bytes.Clone(b.Data)
			b.Release()
			<-time.After(time.Hour)
			if src.stillOpen() != 0 {
				t.Error("the server still serves a consumer that took nothing for an hour")
			}
			got, _, err := collect(s, len(wants))
			if err != nil || n.dials != 2 {
				t.Fatalf("after an hour: %v, %d connections", err, n.dials)
			}
			got[0] = append(first, got[0]...)
			check(t, src, wants, got)
		})
	})
}

// TestBusy: a server that is full is waited for, but not for ever.
func TestBusy(t *testing.T) {
	src, wants := mixedSource(t)
	for _, frees := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			n := newFlaky()
			over(t, n, src, Limits{Streams: 1, StallTimeout: time.Hour}, ClientConfig{Window: 1, RetriesMax: -1}, func(c *Client) {
				first, err := c.Fetch(t.Context(), "peer:1", wants)
				if err != nil {
					t.Fatal(err)
				}
				defer first.Close()
				synctest.Wait()
				second, err := c.Consumer(0).Fetch(t.Context(), "peer:1", wants)
				if err != nil {
					t.Fatal(err)
				}
				defer second.Close()
				if frees {
					<-time.After(20 * time.Second)
					_ = first.Close()
				}
				got, _, err := collect(second, len(wants))
				if frees {
					if err != nil {
						t.Fatal(err)
					}
					check(t, src, wants, got)
				} else if !errors.Is(err, ErrUnavailable) {
					t.Fatalf("a server busy for ever: %v", err)
				}
			})
		})
	}
}

// TestBackPressure: with nobody reading, a stream takes its window and no more.
func TestBackPressure(t *testing.T) {
	src := &memSource{segs: map[shuffle.SegmentID]*memSegment{id(1): makeSegment(newRand(t), 1, 1, 100, 100_000)}}
	synctest.Test(t, func(t *testing.T) {
		n := newFlaky()
		over(t, n, src, Limits{}, ClientConfig{Window: 1 << 20}, func(c *Client) {
			s, err := c.Fetch(t.Context(), "peer:1", []Want{{id(1), 0}})
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			n.mu.Lock()
			passed := n.passed[0]
			n.mu.Unlock()
			if passed < 500_000 || passed > 1<<20+readBuffer+4096 {
				t.Errorf("%d bytes passed for a window of 1 MiB", passed)
			}
			if c.window.free < 0 {
				t.Errorf("window overdrawn: %d", c.window.free)
			}
			_ = s.Close()
			fullWindow(t, c)
		})
	})
}

// TestSlowRequests: who sends a request too slowly is cut.
func TestSlowRequests(t *testing.T) {
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n", Path)
	for _, start := range []string{"", "PO", head, head + "\r\n", head + "\r\nPBQ1"} {
		synctest.Test(t, func(t *testing.T) {
			n := newFlaky()
			over(t, n, &memSource{}, Limits{}, ClientConfig{}, func(*Client) {
				conn, err := n.dial(t.Context(), "", "")
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				begun := time.Now()
				_, _ = io.WriteString(conn, start)
				_, _ = io.Copy(io.Discard, conn) // ends when the server cuts
				if took := time.Since(begun); took > 3*time.Minute {
					t.Errorf("%q was waited for %v", start, took)
				}
			})
		})
	}
}

func TestNewServer(t *testing.T) {
	given := &tls.Config{NextProtos: []string{"h2"}}
	srv := NewServer(http.NotFoundHandler(), given)
	if srv.Protocols.HTTP2() || srv.TLSConfig.NextProtos[0] != "http/1.1" || given.NextProtos[0] != "h2" {
		t.Error("not HTTP/1.1 only, or the caller's config was changed")
	}
}
