package transfer

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pondmesh/pond/shuffle"
)

// mixedSource has segments of many shapes, and wants that cover them.
func mixedSource(t testing.TB) (*memSource, []Want) {
	r := newRand(t)
	src := &memSource{segs: map[shuffle.SegmentID]*memSegment{
		id(1): makeSegment(r, 1, 8, 3, 2000),
		id(2): makeSegment(r, 3, 5, 2, 300),     // several runs: extents apart
		id(3): makeSegment(r, 1, 2, 2, 700_000), // larger than a frame
		id(4): makeSegment(r, 1, 4, 0, 0),       // nothing
		id(5): makeSegment(r, 1, 300, 1, 100),   // tiny neighbours
		id(6): makeSegment(r, 1, 1, 1, 3_000_000),
	}}
	wants := []Want{{id(3), AllPartitions}, {id(1), 7}, {id(1), 0}, {id(4), 2}, {id(2), 4}, {id(2), AllPartitions}, {id(4), AllPartitions}, {id(6), 0}, {id(1), 7}}
	for p := range 300 {
		wants = append(wants, Want{id(5), p})
	}
	return src, append(wants, Want{id(3), 1})
}

// toFiles puts the segments in files.
func toFiles(t testing.TB, src *memSource) {
	dir := t.TempDir()
	for id, m := range src.segs {
		m.path = filepath.Join(dir, id.String())
		if err := os.WriteFile(m.path, m.data, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if m.shared != nil {
				_ = m.shared.Close()
			}
		})
	}
}

func fetchAll(t testing.TB, c *Client, addr string, wants []Want) ([][]byte, []*LostError, error) {
	t.Helper()
	s, err := c.Fetch(t.Context(), addr, wants)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return collect(s, len(wants))
}

// fullWindow checks that all memory has been given back.
func fullWindow(t testing.TB, c *Client) {
	t.Helper()
	c.window.mu.Lock()
	defer c.window.mu.Unlock()
	if c.window.free != c.cfg.Window {
		t.Fatalf("%d bytes of the window are free, of %d", c.window.free, c.cfg.Window)
	}
}

func TestFetch(t *testing.T) {
	cert, err := selfSigned()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	for _, mode := range []string{"memory", "sendfile", "mtls", "local", "tiny window"} {
		t.Run(mode, func(t *testing.T) {
			src, wants := mixedSource(t)
			cfg := ClientConfig{Window: 8 << 20}
			addr := ""
			switch mode {
			case "mtls":
				toFiles(t, src)
				srv := NewServer(Handler(Everyone(src), Limits{}, logTo(t)), &tls.Config{
					Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots,
				})
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				go func() { _ = srv.ServeTLS(l, "", "") }()
				t.Cleanup(func() { _ = srv.Close() })
				addr, cfg.TLS = l.Addr().String(), &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}}
			case "local":
				addr, cfg.LocalAddr, cfg.Local = "me:1", "me:1", src
			case "tiny window":
				cfg.Window = 1
				addr = addrOf(serve(t, src, Limits{}))
			case "sendfile":
				toFiles(t, src)
				addr = addrOf(serve(t, src, Limits{}))
			default:
				addr = addrOf(serve(t, src, Limits{}))
			}
			c := newTestClient(t, cfg)
			for range 2 {
				got, lost, err := fetchAll(t, c, addr, wants)
				if err != nil || len(lost) > 0 {
					t.Fatalf("lost %v, err %v", lost, err)
				}
				check(t, src, wants, got)
				fullWindow(t, c)
			}
			if n := src.stillOpen(); n != 0 && mode == "local" {
				t.Fatalf("%d segments still open", n)
			}
		})
	}
}

func TestConnectionIsReused(t *testing.T) {
	src, wants := mixedSource(t)
	toFiles(t, src)
	c := newTestClient(t, ClientConfig{})
	var dials atomic.Int32
	dial := c.http.DialContext
	c.http.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		return dial(ctx, network, addr)
	}
	addr := addrOf(serve(t, src, Limits{}))
	for range 5 {
		if _, _, err := fetchAll(t, c, addr, wants); err != nil {
			t.Fatal(err)
		}
	}
	if n := dials.Load(); n != 1 {
		t.Fatalf("%d connections for 5 streams one after another", n)
	}
}

func TestManyWantsAreSeveralRequests(t *testing.T) {
	src := &memSource{segs: map[shuffle.SegmentID]*memSegment{id(1): makeSegment(newRand(t), 1, 16, 1, 10)}}
	wants := make([]Want, DefaultWants+1000)
	for i := range wants {
		wants[i] = Want{id(1), i % 16}
	}
	got, lost, err := fetchAll(t, newTestClient(t, ClientConfig{}), addrOf(serve(t, src, Limits{})), wants)
	if err != nil || lost != nil {
		t.Fatalf("lost %v, err %v", lost, err)
	}
	check(t, src, wants, got)
	if src.opened != 2 {
		t.Fatalf("segment opened %d times for 2 requests", src.opened)
	}
}

func TestNoWants(t *testing.T) {
	got, lost, err := fetchAll(t, newTestClient(t, ClientConfig{}), "127.0.0.1:1", nil)
	if len(got)+len(lost) > 0 || err != nil {
		t.Fatal(got, lost, err)
	}
}

func TestFetchRefuses(t *testing.T) {
	c := newTestClient(t, ClientConfig{})
	for _, p := range []int{-2, shuffle.MaxPartitions} {
		if _, err := c.Fetch(t.Context(), "x:1", []Want{{id(1), p}}); err == nil {
			t.Errorf("partition %d accepted", p)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Fetch(ctx, "x:1", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	s, err := c.Fetch(t.Context(), "no such/host:1", []Want{{id(1), 0}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Next(); !errors.Is(err, ErrProtocol) && !errors.Is(err, ErrUnavailable) {
		t.Errorf("address that is none: %v", err)
	}
}

// Segments that are bad, each in its own way.
const (
	truncated = 11 + iota
	badSector
	badIndex
	badHeader // valid, and a lie
	cutBlock
	cutHeader
	badEnd
)

// addBad adds the bad segments to src, in files when asked.
func addBad(t *testing.T, src *memSource, files bool) {
	r := rand.New(rand.NewPCG(1, 1))
	for n := truncated; n < badEnd; n++ {
		src.segs[id(n)] = makeSegment(r, 1, 2, 3, 600_000)
	}
	head := src.segs[id(badHeader)]
	header(head.data[head.parts[0][0].Offset:], 100<<20)
	src.segs[id(badSector)].badAt = int64(len(src.segs[id(badSector)].data) - 50)
	src.segs[id(badIndex)].indexE = fmt.Errorf("index: %w", shuffle.ErrCorrupt)
	src.segs[id(cutBlock)].parts[1][0].Length -= 7
	src.segs[id(cutHeader)].parts[0][0].Length += 10 // into the next block's header
	const missing = sendfileMin + 50_000             // enough for sendfile to fail again
	m := src.segs[id(truncated)]
	if !files {
		m.data = m.data[:len(m.data)-missing]
		return
	}
	toFiles(t, src)
	if err := os.Truncate(m.path, int64(len(m.data)-missing)); err != nil {
		t.Fatal(err)
	}
}

// TestLost: what is lost is told at once, by segment and reason, and everything
// else is delivered.
func TestLost(t *testing.T) {
	for _, mode := range []string{"memory", "sendfile", "local"} {
		t.Run(mode, func(t *testing.T) {
			src, wants := mixedSource(t)
			addBad(t, src, mode == "sendfile")
			gone, denied := Want{id(99), 3}, Want{id(97), 0}
			src.onOpen = func(_ int, s shuffle.SegmentID) error {
				if s == denied.Segment {
					return fmt.Errorf("open %s: %w", s, ErrDenied)
				}
				return nil
			}
			bad := []Want{{id(truncated), AllPartitions}, gone, denied, {id(badSector), 1}, {id(badIndex), 0}, {id(98), 0}, {id(badHeader), 0}, {id(cutBlock), 1}, {id(cutHeader), 0}, gone}
			all := slices.Concat(wants[:4], bad[:4], wants[4:8], bad[4:], wants[8:])
			addr := "me"
			if mode != "local" {
				addr = addrOf(serve(t, src, Limits{}))
			}
			c := newTestClient(t, ClientConfig{LocalAddr: "me", Local: src, RetriesMax: 1})
			got, lost, err := fetchAll(t, c, addr, all)
			if err != nil {
				t.Fatal(err)
			}
			check(t, src, wants[:4], got[:4])
			check(t, src, wants[4:8], got[8:])
			check(t, src, wants[8:], got[len(got)-len(wants)+8:])
			reasons := map[shuffle.SegmentID]error{}
			for _, l := range lost {
				for _, s := range l.Segments {
					reasons[s] = l.Reason
				}
			}
			want := map[shuffle.SegmentID]error{id(97): ErrDenied, id(98): ErrGone, id(99): ErrGone}
			for n := truncated; n < badEnd; n++ {
				want[id(n)] = shuffle.ErrCorrupt
			}
			if mode == "sendfile" { // a sector that only ReadAt finds bad may pass
				delete(want, id(badSector))
				delete(reasons, id(badSector))
			}
			if fmt.Sprint(reasons) != fmt.Sprint(want) {
				t.Errorf("lost %v, want %v", reasons, want)
			}
			if mode != "local" && (len(lost[0].Segments) != 2 || !errors.Is(lost[0], ErrGone)) {
				t.Errorf("first loss told: %v, want both gone segments", lost[0])
			}
			fullWindow(t, c)
		})
	}
}

// TestGoneBetween: a segment that vanishes after its length was promised is
// lost, and nothing else is.
func TestGoneBetween(t *testing.T) {
	r := newRand(t)
	src := &memSource{segs: map[shuffle.SegmentID]*memSegment{}}
	var wants []Want
	for i := range maxOpen + 3 { // more than stay open, so all are opened again
		src.segs[id(i)] = makeSegment(r, 1, 1, 2, 400)
		wants = append(wants, Want{id(i), 0})
	}
	seen := map[shuffle.SegmentID]int{}
	src.onOpen = func(_ int, s shuffle.SegmentID) error {
		if seen[s]++; s == id(5) && seen[s] > 1 {
			return fmt.Errorf("deleted: %w", ErrGone)
		}
		return nil
	}
	got, lost, err := fetchAll(t, newTestClient(t, ClientConfig{}), addrOf(serve(t, src, Limits{})), wants)
	if err != nil || len(lost) != 1 || !slices.Equal(lost[0].Segments, []shuffle.SegmentID{id(5)}) {
		t.Fatalf("lost %v, err %v", lost, err)
	}
	check(t, src, wants[:5], got[:5])
	check(t, src, wants[6:], got[6:])
}

func TestPassingFailuresAreRetried(t *testing.T) {
	for _, local := range []bool{false, true} {
		src, wants := mixedSource(t)
		src.onOpen = func(n int, _ shuffle.SegmentID) error {
			if n == 3 || n == 8 {
				return errors.New("too many open files")
			}
			return nil
		}
		addr := "me"
		if !local {
			addr = addrOf(serve(t, src, Limits{}))
		}
		got, lost, err := fetchAll(t, newTestClient(t, ClientConfig{LocalAddr: "me", Local: src}), addr, wants)
		if err != nil || lost != nil {
			t.Fatalf("lost %v, err %v", lost, err)
		}
		check(t, src, wants, got)
	}
}

func TestFailuresThatStay(t *testing.T) {
	src, wants := mixedSource(t)
	src.onOpen = func(int, shuffle.SegmentID) error { return errors.New("no luck\ntoday") }
	c := newTestClient(t, ClientConfig{RetriesMax: -1})
	_, _, err := fetchAll(t, c, addrOf(serve(t, src, Limits{})), wants)
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "no luck today") {
		t.Fatal(err)
	}
}

func TestBlocksAreTheirOwnersUntilReleased(t *testing.T) {
	src, wants := mixedSource(t)
	c := newTestClient(t, ClientConfig{Window: 1 << 20})
	s, err := c.Fetch(t.Context(), addrOf(serve(t, src, Limits{})), wants)
	if err != nil {
		t.Fatal(err)
	}
	var held []Block // far more than the window
	got := make([][]byte, len(wants))
	for {
		b, err := s.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, b)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, b := range held {
		got[b.Want] = append(got[b.Want], b.Data...)
	}
	check(t, src, wants, got)
	for _, b := range held {
		b.Release()
		b.Release()
	}
	fullWindow(t, c)
	if _, err := s.Next(); !errors.Is(err, os.ErrClosed) {
		t.Fatalf("Next after Close: %v", err)
	}
}

// TestReleaseTwice: the second call does nothing to a neighbour.
func TestReleaseTwice(t *testing.T) {
	src := &memSource{segs: map[shuffle.SegmentID]*memSegment{id(1): makeSegment(newRand(t), 1, 1, 2, 100)}}
	c := newTestClient(t, ClientConfig{LocalAddr: "me", Local: src})
	s, err := c.Fetch(t.Context(), "me", []Want{{id(1), 0}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	<-s.done
	one, err := s.Next()
	if err != nil {
		t.Fatal(err)
	}
	two, err := s.Next()
	if err != nil {
		t.Fatal(err)
	}
	one.Release()
	one.Release()
	if c.window.free == c.cfg.Window {
		t.Error("a block in use was given back")
	}
	two.Release()
	fullWindow(t, c)
}

// TestStreamsInAnyOrder: many streams share a window that holds one of them,
// and are read one after another.
func TestStreamsInAnyOrder(t *testing.T) {
	src, wants := mixedSource(t)
	srv := serve(t, src, Limits{})
	c := newTestClient(t, ClientConfig{Window: slabMin}).Consumer(slabMin)
	var streams []*Stream
	for range 8 {
		s, err := c.Fetch(t.Context(), addrOf(srv), wants)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		streams = append(streams, s)
	}
	for _, s := range slices.Backward(streams) {
		got, _, err := collect(s, len(wants))
		if err != nil {
			t.Fatal(err)
		}
		check(t, src, wants, got)
	}
}

func TestCancelAndClose(t *testing.T) {
	src, wants := mixedSource(t)
	for _, local := range []bool{false, true} {
		for _, how := range []string{"cancel", "close"} {
			t.Run(fmt.Sprint(how, local), func(t *testing.T) {
				addr := "me"
				var srv *httptest.Server
				if !local {
					srv = serve(t, src, Limits{})
					addr = addrOf(srv)
				}
				c := newTestClient(t, ClientConfig{Window: 100, LocalAddr: "me", Local: src})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				s, err := c.Fetch(ctx, addr, wants)
				if err != nil {
					t.Fatal(err)
				}
				b, err := s.Next()
				if err != nil {
					t.Fatal(err)
				}
				before := bytes.Clone(b.Data)
				want := error(os.ErrClosed)
				if how == "cancel" {
					cancel()
					want = context.Canceled
					<-s.done
				} else if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if _, err := s.Next(); !errors.Is(err, want) {
					t.Errorf("Next: %v", err)
				}
				if !bytes.Equal(b.Data, before) {
					t.Error("a block changed before its release")
				}
				b.Release()
				fullWindow(t, c) // also when nobody calls Close
				if srv != nil {
					srv.Close() // returns when the handlers have
				}
				if n := src.stillOpen(); n != 0 {
					t.Errorf("%d segments still open", n)
				}
			})
		}
	}
}

func TestLostErrorText(t *testing.T) {
	e := &LostError{Addr: "a:1", Segments: []shuffle.SegmentID{id(1), id(2), id(3), id(4), id(5)}, Reason: ErrGone, Detail: "why"}
	if s := e.Error(); !strings.Contains(s, "segment gone") || !strings.HasSuffix(s, "and 2 more: why") {
		t.Error(s)
	}
}
