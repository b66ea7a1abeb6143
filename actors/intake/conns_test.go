package intake

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// Of a process with these many files, connections take 16: 4 of strangers, 4 of
// clients, 8 of nodes.
const (
	testFiles = 32
	testMost  = 4
)

// bounded is a server whose connections are bounded. A request says who makes it, in
// the headers Party and User, and with Hold that its answer is not to end.
type bounded struct {
	t       *testing.T
	bounds  *Conns
	addr    string
	refused chan error
	served  chan int // how many strangers there are when a request is served
}

func newBounded(t *testing.T, secure bool) *bounded {
	t.Helper()
	b := &bounded{t: t, refused: make(chan error, 100), served: make(chan int, 100)}
	b.bounds = NewConns(testFiles, secure, func(_ net.Addr, why error) { b.refused <- why })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	who := func(r *http.Request) Caller {
		for p := range parties {
			if p.String() == r.Header.Get("Party") {
				return Caller{p, r.Header.Get("User")}
			}
		}
		return Caller{}
	}
	refuse := func(w http.ResponseWriter, _ *http.Request, err error) {
		http.Error(w, err.Error(), api.StatusOf(plan.KindOf(err)))
	}
	srv := &http.Server{ConnContext: b.bounds.Context, ReadHeaderTimeout: time.Minute, Handler: b.bounds.Bound(who, refuse, http.HandlerFunc(b.serve))}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(b.bounds.Listen(l.(*net.TCPListener))) }()
	t.Cleanup(func() {
		srv.Close()
		<-done
		b.none()
	})
	b.addr = l.Addr().String()
	return b
}

func (b *bounded) serve(w http.ResponseWriter, r *http.Request) {
	strangers, _ := b.bounds.Open(Stranger)
	b.served <- strangers
	fmt.Fprintln(w, "served")
	if r.Header.Get("Hold") != "" {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

// none waits until no connection is counted.
func (b *bounded) none() {
	for p := range parties {
		b.until(p, 0)
	}
}

// until waits until a party has so many connections.
func (b *bounded) until(p Party, n int) {
	b.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		open, _ := b.bounds.Open(p)
		if open == n {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("%d connections of %ss, want %d", open, p, n)
		}
	}
}

func (b *bounded) dial() net.Conn {
	b.t.Helper()
	c, err := net.Dial("tcp", b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { c.Close() })
	return c
}

// ask makes a request on a connection, and returns the answer's head.
func (b *bounded) ask(c net.Conn, party Party, user, hold string) *http.Response {
	b.t.Helper()
	fmt.Fprintf(c, "GET /x HTTP/1.1\r\nHost: pond\r\nParty: %s\r\nUser: %s\r\nHold: %s\r\n\r\n", party, user, hold)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp
}

// A party that has all its connections is told so, the others go on, and there is
// room again when one ends.
func TestConnsOfParties(t *testing.T) {
	for _, party := range []Party{Client, Node} {
		b := newBounded(t, false)
		most := b.bounds.counts[party].most
		var held []net.Conn
		for range most {
			held = append(held, b.dial())
			if resp := b.ask(held[len(held)-1], party, "", "yes"); resp.StatusCode != 200 {
				t.Fatalf("%s %d of %d: %s", party, len(held), most, resp.Status)
			}
		}
		late := b.dial()
		resp := b.ask(late, party, "", "")
		said, _ := io.ReadAll(resp.Body)
		if want := fmt.Sprintf("%d connections of %ss, as many as it takes: try again", most, party); resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "1" || !strings.Contains(string(said), want) {
			t.Errorf("%s beyond: %s %s, want %q", party, resp.Status, said, want)
		}
		if _, refused := b.bounds.Open(party); refused != 1 {
			t.Errorf("%s: %d refused", party, refused)
		}
		if _, err := late.Read(make([]byte, 1)); err == nil {
			t.Error("a connection that was refused goes on")
		}
		other := Client + Node - party
		if resp := b.ask(b.dial(), other, "", ""); resp.StatusCode != 200 {
			t.Errorf("a %s beside: %s", other, resp.Status)
		}
		held[0].Close()
		b.until(party, most-1)
		if resp := b.ask(b.dial(), party, "", ""); resp.StatusCode != 200 {
			t.Errorf("a %s once there is room: %s", party, resp.Status)
		}
	}
}

// No user has more than half, and none of the others suffers from one that has.
func TestConnsOfUsers(t *testing.T) {
	for _, secure := range []bool{true, false} {
		b := newBounded(t, secure)
		for i, user := range []string{"ann", "ann", "bob", "ann"} {
			want := 200
			if i == 3 {
				want = 503
			}
			if resp := b.ask(b.dial(), Client, user, cmp.Or(map[int]string{3: "no"}[i], "yes")); resp.StatusCode != want {
				t.Errorf("%d, %s: %s", i, user, resp.Status)
			}
			b.until(Stranger, 0)
		}
	}
}

// Who only connects waits in the queue beyond the bound, and is served when another
// leaves.
func TestStrangersWait(t *testing.T) {
	b := newBounded(t, false)
	var silent []net.Conn
	for range testMost {
		silent = append(silent, b.dial())
	}
	b.until(Stranger, testMost)
	late, answered := b.dial(), make(chan int, 1)
	go func() { answered <- b.ask(late, Client, "", "").StatusCode }()
	silent[0].Close()
	if status := <-answered; status != 200 {
		t.Errorf("HTTP %d", status)
	}
	if strangers := <-b.served; strangers >= testMost {
		t.Errorf("%d strangers beside it", strangers)
	}
}

// No address has more strangers than its share. One that makes a request is none.
func TestStrangersOfAnAddress(t *testing.T) {
	b := newBounded(t, true)
	b.dial()
	b.until(Stranger, 1)
	if _, err := b.dial().Read(make([]byte, 1)); err == nil {
		t.Error("one beyond is read from")
	}
	if why := <-b.refused; !strings.Contains(why.Error(), "1 connections of 127.0.0.1, as many as it takes from one") {
		t.Error(why)
	}
	if _, refused := b.bounds.Open(Stranger); refused != 1 {
		t.Errorf("%d refused", refused)
	}
}

// When clients have nearly all their connections, those that end a request are closed.
func TestScarce(t *testing.T) {
	b := newBounded(t, false)
	for i := range testMost {
		resp := b.ask(b.dial(), Client, "", "")
		if last := i == testMost-1; resp.Close != last {
			t.Errorf("%d of %d: closed: %v", i+1, testMost, resp.Close)
		}
	}
	b.until(Client, testMost-1)
}

// A request of nobody that is known ends its connection, whosever that was.
func TestUnknown(t *testing.T) {
	for _, first := range []Party{Stranger, Client, Node} {
		b := newBounded(t, false)
		c := b.dial()
		if first != Stranger {
			b.ask(c, first, "", "")
		}
		if resp := b.ask(c, Stranger, "", ""); resp.StatusCode != 200 || !resp.Close {
			t.Errorf("after a %s's: %s, closed: %v", first, resp.Status, resp.Close)
		}
		b.none()
	}
}

// On one connection, a request of a node makes it a node's.
func TestConnTurnsNode(t *testing.T) {
	b := newBounded(t, false)
	c := b.dial()
	for _, p := range []Party{Client, Node, Client} {
		b.ask(c, p, "", "")
	}
	b.until(Node, 1)
	b.until(Client, 0)
}

// Hosts are told apart by what each can have one of.
func TestAddress(t *testing.T) {
	c := NewConns(testFiles, true, nil)
	for _, pair := range []struct {
		a, b string
		same bool
	}{
		{"10.0.0.1", "10.0.0.1", true}, {"10.0.0.1", "10.0.0.2", false}, {"::ffff:10.0.0.1", "10.0.0.1", true},
		{"2001:db8::1", "2001:db8::ffff:1", true}, {"2001:db8::1", "2001:db8:0:1::1", false},
	} {
		at := func(ip string) string { return c.address(&net.TCPAddr{IP: net.ParseIP(ip), Port: 5}) }
		if (at(pair.a) == at(pair.b)) != pair.same {
			t.Errorf("%s is %s, %s is %s", pair.a, at(pair.a), pair.b, at(pair.b))
		}
	}
}

// Bounds follow from how many files may be open, and are at least one each.
func TestNewConns(t *testing.T) {
	for files, want := range map[uint64][parties]int{
		1 << 62: {strangersMax, clientsMax, nodesMax}, 4096: {512, 512, 1024}, testFiles: {4, 4, 8}, 0: {1, 1, 1},
	} {
		c := NewConns(files, true, nil)
		for p := range parties {
			if c.counts[p].most != want[p] || c.counts[p].share < 1 {
				t.Errorf("%d files: %d of %ss, a share %d", files, c.counts[p].most, p, c.counts[p].share)
			}
		}
	}
}
