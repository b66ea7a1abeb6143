package transfer

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/pondmesh/pond/shuffle"
)

func TestRequestRoundTrip(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		wants := make([]Want, rapid.IntRange(0, 50).Draw(r, "wants"))
		var todo []int
		for i := range wants {
			wants[i] = Want{id(rapid.IntRange(0, 9).Draw(r, "id")), rapid.IntRange(-1, shuffle.MaxPartitions-1).Draw(r, "p")}
			if rapid.Bool().Draw(r, "todo") {
				todo = append(todo, i)
			}
		}
		offset := rapid.Int64Range(0, maxWantBytes).Draw(r, "offset")
		sent := newRequest(wants, todo, offset, rapid.Bool().Draw(r, "careful"))
		b := sent.encode()
		got, err := parseRequest(b, len(todo))
		if err != nil {
			r.Fatal(err)
		}
		if got.careful != sent.careful || len(got.asks) != len(todo) {
			r.Fatalf("got %+v, sent %+v", got, sent)
		}
		for i, a := range got.asks {
			w := Want{got.segments[a.segment], int(a.partition)}
			if w != wants[todo[i]] || (a.offset != 0) != (i == 0 && offset != 0) {
				r.Fatalf("ask %d: %+v", i, a)
			}
		}
		if len(todo) > 0 {
			if _, err := parseRequest(b, len(todo)-1); !errors.Is(err, ErrProtocol) {
				r.Fatalf("more wants than allowed: %v", err)
			}
		}
	})
}

// goodRequest is a valid request's bytes.
func goodRequest() []byte {
	return newRequest([]Want{{id(1), 0}, {id(2), AllPartitions}, {id(1), 3}}, []int{0, 1, 2}, 7, true).encode()
}

// changed is b with the byte at i set to v.
func changed(b []byte, i int, v byte) []byte {
	b = bytes.Clone(b)
	b[i] = v
	return b
}

func badRequests() map[string][]byte {
	good := goodRequest()
	asks := requestHeaderLen + 2*idLen
	huge := changed(changed(good, 14, 0xff), 15, 0xff)
	return map[string][]byte{
		"empty":                    nil,
		"magic":                    changed(good, 0, 'X'),
		"unknown flag":             changed(good, 4, 2),
		"unknown high flag":        changed(good, 7, 0x80),
		"more segments than wants": changed(good, 8, 200),
		"huge number of segments":  changed(good, 11, 0xff),
		"huge number of wants":     huge,
		"one want too few":         changed(good, 12, 2),
		"cut":                      good[:len(good)-1],
		"longer":                   append(bytes.Clone(good), 0),
		"segment out of range":     changed(good, asks, 2),
		"partition -2":             changed(good, asks+wantLen+4, 0xfe),
		"partition too high":       changed(good, asks+6, 1),
		"negative offset":          changed(good, asks+15, 0x80),
		"offset too high":          changed(good, asks+14, 1),
	}
}

func TestBadRequests(t *testing.T) {
	if _, err := parseRequest(goodRequest(), 3); err != nil {
		t.Fatal(err)
	}
	srv := serve(t, &memSource{}, Limits{Wants: 1000})
	for name, b := range badRequests() {
		if rq, err := parseRequest(b, 1000); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %+v, %v", name, rq, err)
		}
		if code := post(t, srv, bytes.NewReader(b)); code != http.StatusBadRequest {
			t.Errorf("%s: status %d", name, code)
		}
	}
	if code := post(t, srv, strings.NewReader(strings.Repeat("x", 100_000))); code != http.StatusRequestEntityTooLarge {
		t.Errorf("large request: status %d", code)
	}
	if code := post(t, srv, io.LimitReader(endless{}, 1<<30)); code != http.StatusRequestEntityTooLarge {
		t.Errorf("endless request: status %d", code)
	}
	if resp, err := srv.Client().Get(srv.URL + Path); err != nil || resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %v, %v", resp, err)
	} else {
		_ = resp.Body.Close()
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// post is the status of a POST, or 413 when the server cut it short.
func post(t *testing.T, srv *httptest.Server, body io.Reader) int {
	resp, err := srv.Client().Post(srv.URL+Path, requestType, body)
	if err != nil {
		t.Logf("post: %v", err)
		return http.StatusRequestEntityTooLarge
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func FuzzParseRequest(f *testing.F) {
	f.Add(goodRequest())
	for _, b := range badRequests() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRequest(b, 100)
		if err != nil {
			if !errors.Is(err, ErrProtocol) {
				t.Fatal(err)
			}
			return
		}
		if len(r.asks) > 100 || len(r.segments) > len(r.asks) || !bytes.Equal(r.encode(), b) {
			t.Fatalf("%x is read as %+v", b, r)
		}
	})
}

func FuzzParseFrame(f *testing.F) {
	b := make([]byte, frameHeaderLen)
	for _, fr := range []frame{{kind: kindData, length: 5, total: 9, offset: 4}, {kind: kindEnd, offset: 9, total: 9}, {kind: kindEnd, status: statusGone, length: 3}} {
		fr.put(b)
		f.Add(bytes.Clone(b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != frameHeaderLen {
			return
		}
		fr, err := parseFrame(b)
		if err != nil {
			return
		}
		again := make([]byte, frameHeaderLen)
		if fr.put(again); !bytes.Equal(again, b) {
			t.Fatalf("%x is read as %+v", b, fr)
		}
		if fr.length < 0 || fr.offset < 0 || fr.offset > fr.total || fr.total > maxWantBytes || fr.kind == kindData && fr.offset+fr.length > fr.total {
			t.Fatalf("accepted %+v", fr)
		}
	})
}

// said is a response: frames and their bytes.
type said struct{ bytes.Buffer }

func (s *said) frame(f frame, data []byte) *said {
	var h [frameHeaderLen]byte
	f.put(h[:])
	s.Write(h[:])
	s.Write(data)
	return s
}

func (s *said) data(want uint32, offset, total int64, data []byte) *said {
	return s.frame(frame{want: want, kind: kindData, offset: offset, total: total, length: int64(len(data))}, data)
}

func (s *said) end(want uint32, total int64) *said {
	return s.frame(frame{want: want, kind: kindEnd, offset: total, total: total}, nil)
}

// TestLyingServers: a server that breaks a rule is found out, and never asked
// again.
func TestLyingServers(t *testing.T) {
	b := block(rand.New(rand.NewPCG(1, 1)), 100)
	n := int64(len(b))
	responses := map[string]*said{
		"not frames":           {*bytes.NewBufferString(strings.Repeat("hello", 20))},
		"want out of range":    new(said).end(2, 0),
		"wants in wrong order": new(said).end(1, 0).end(0, 0),
		"want ended twice":     new(said).end(0, 0).end(0, 0),
		"data after the end":   new(said).end(0, 0).data(0, 0, n, b),
		"a gap":                new(said).data(0, 10, n+10, b),
		"twice the same":       new(said).data(0, 0, 2*n, b).data(0, 0, 2*n, b),
		"total changes":        new(said).data(0, 0, 2*n, b).data(0, n, 3*n, b),
		"total changes at end": new(said).data(0, 0, 2*n, b).end(0, n),
		"ends early":           new(said).data(0, 0, 2*n, b).frame(frame{kind: kindEnd, offset: n, total: 2 * n}, nil),
		"longer than total":    new(said).frame(frame{kind: kindData, total: n, length: n + 1}, b),
		"negative length":      new(said).frame(frame{kind: kindData, total: n, length: -1}, b),
		"negative offset":      new(said).frame(frame{kind: kindData, total: n, offset: -n, length: n}, b),
		"empty data":           new(said).frame(frame{kind: kindData, total: n}, b),
		"total too large":      new(said).frame(frame{kind: kindData, total: maxWantBytes + 1, length: n}, b),
		"unknown kind":         new(said).frame(frame{kind: 3}, b),
		"unknown status":       new(said).frame(frame{kind: kindEnd, status: statusCount}, b),
		"long text":            new(said).frame(frame{kind: kindEnd, status: statusGone, length: maxText + 1}, make([]byte, maxText+1)),
		"more after the end":   new(said).end(0, 0).end(1, 0).end(1, 0),
	}
	for name, r := range responses {
		t.Run(name, func(t *testing.T) {
			err := hear(t, http.StatusOK, responseType, r.Bytes())
			if !errors.Is(err, ErrProtocol) {
				t.Fatal(err)
			}
		})
	}
	for name, err := range map[string]error{
		"html":       hear(t, http.StatusOK, "text/html", nil),
		"not found":  hear(t, http.StatusNotFound, "text/plain", []byte("no\nsuch\x00thing")),
		"no content": hear(t, http.StatusNoContent, responseType, nil),
	} {
		if !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := hear(t, http.StatusBadGateway, "", nil); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
}

// hear is the error of a stream of two wants whose server says body.
func hear(t *testing.T, code int, kind string, body []byte) error {
	t.Helper()
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(code)
		_, _ = w.Write(body)
	}))
	defer srv.Close()
	c := newTestClient(t, ClientConfig{RetriesMax: 1})
	_, _, err := fetchAll(t, c, addrOf(srv), []Want{{id(1), 0}, {id(2), 0}})
	fullWindow(t, c)
	if asked != 1 && !errors.Is(err, ErrUnavailable) {
		t.Errorf("asked %d times", asked)
	}
	return err
}

// TestLyingHeader: a block larger than its want takes no memory.
func TestLyingHeader(t *testing.T) {
	lie := block(rand.New(rand.NewPCG(1, 1)), 100)
	header(lie, shuffle.MaxBlockRaw)
	response := new(said).data(0, 0, int64(len(lie)), lie).end(0, int64(len(lie)))
	c := NewClient(ClientConfig{})
	s := newStream(c, "liar", []Want{{id(1), 0}}, func() {})
	err := s.frames(context.Background(), bufio.NewReader(response), s.todo())
	if err != nil || s.lost == nil || !errors.Is(s.lost, shuffle.ErrCorrupt) {
		t.Fatal(s.lost, err)
	}
	if used := c.cfg.Window - c.window.free; used > slabMin+slabExtra {
		t.Errorf("%d bytes taken for a block of %d", used, len(lie))
	}
}

// FuzzFrames feeds a client any response: it ends with an error or whole blocks,
// and takes no more memory than its limits say.
func FuzzFrames(f *testing.F) {
	b := block(rand.New(rand.NewPCG(1, 1)), 100)
	n := int64(len(b))
	lie := bytes.Clone(b)
	header(lie, 200<<20)
	f.Add(new(said).data(0, 0, 2*n, append(bytes.Clone(b), b[:50]...)).data(0, n+50, 2*n, b[50:]).end(0, 2*n).end(1, 0).Bytes())
	f.Add(new(said).frame(frame{want: 1, kind: kindEnd, status: statusGone, length: 3}, []byte("why")).end(0, 0).Bytes())
	f.Add(new(said).data(0, 0, 1<<40, lie).Bytes())
	f.Add(new(said).data(0, 0, n, lie).end(0, n).Bytes())
	f.Fuzz(func(t *testing.T, response []byte) {
		const maxBlock = 4096
		if len(response) > 256<<10 {
			return // would fill the window, and nobody reads
		}
		c := NewClient(ClientConfig{Window: 1 << 20, MaxBlock: maxBlock})
		wants := []Want{{id(1), 0}, {id(2), 0}}
		s := newStream(c, "fuzz", wants, func() {})
		close(s.done)
		tracked := &sparse{r: bytes.NewReader(response), t: t, c: c}
		err := s.frames(context.Background(), bufio.NewReaderSize(tracked, 64), s.todo())
		s.asm.end()
		s.tellLost()
		if err == nil {
			err = io.EOF
		}
		s.finish(err, false)
		got, _, _ := collect(s, len(wants))
		if sum := len(got[0]) + len(got[1]); sum > len(response) {
			t.Fatalf("%d bytes delivered of %d", sum, len(response))
		}
		fullWindow(t, c)
	})
}

// sparse reads, and looks at what the client holds whenever it reads.
type sparse struct {
	r io.Reader
	t *testing.T
	c *Client
}

func (s *sparse) Read(p []byte) (int, error) {
	if held := s.c.cfg.Window - s.c.window.free; held > s.c.cfg.Window {
		s.t.Fatalf("%d bytes held", held)
	}
	return s.r.Read(p)
}

func TestSlabSizes(t *testing.T) {
	for _, n := range []int64{0, 1, slabMin, slabMin + slabExtra, slabMin + slabExtra + 1, 256 << 10, 1 << 20, 1<<20 + shuffle.BlockHeaderLen, shuffle.MaxBlockLen} {
		class, size := slabSize(n)
		if size < n || class >= slabTypes || class > 0 && slabMin<<(class-1)+slabExtra >= n {
			t.Errorf("%d bytes: class %d of %d", n, class, size)
		}
	}
	if _, size := slabSize(shuffle.MaxBlockLen); size > shuffle.MaxBlockLen+slabExtra {
		t.Errorf("the largest block takes %d", size)
	}
}

func TestStatusText(t *testing.T) {
	for _, s := range []string{"", "plain", "two\nlines\x00\x7f", "\xff\xfe", strings.Repeat("é", 1000), strings.Repeat("\xff", 1000)} {
		got := statusText(fmt.Errorf("%s", s))
		if len(got) > maxText || !utf8.ValidString(got) || strings.ContainsAny(got, "\n\x00\x7f") {
			t.Errorf("%.20q becomes %q", s, got)
		}
	}
}

// TestRequestLimitIsTheClients: what a client asks at once is what a server
// takes by default.
func TestRequestLimitIsTheClients(t *testing.T) {
	s := newStream(NewClient(ClientConfig{}), "", make([]Want, 2*DefaultWants), func() {})
	if n := len(s.todo()); n != (Limits{}).withDefaults().Wants {
		t.Error(n)
	}
	if got := binary.Size(ask{}.segment) + 4 + 8; got != wantLen || !reflect.DeepEqual(requestLen(1, 1), int64(48)) {
		t.Error(got)
	}
}
