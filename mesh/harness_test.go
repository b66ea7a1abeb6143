package mesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"go.uber.org/goleak"
)

// TestMain fails if goroutines are left. memberlist's last ones end with the
// connections they serve, after streamTimeout at most.
func TestMain(m *testing.M) {
	code := m.Run()
	var err error
	for until := time.Now().Add(streamTimeout + 2*time.Second); time.Now().Before(until); {
		if err = goleak.Find(); err == nil {
			break
		}
	}
	if err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// nobody is an address where connections are refused.
const nobody = "127.0.0.1:1"

// slow is for what takes milliseconds on an idle machine.
const slow = time.Minute

// freePort finds a port that is free for TCP and UDP.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		u, err := net.ListenPacket("udp", l.Addr().String())
		l.Close()
		if err == nil {
			u.Close()
			return l.Addr().(*net.TCPAddr).Port
		}
	}
	t.Fatal("no free port")
	return 0
}

// config is a node's on a free port, calling on seeds.
func config(t *testing.T, id NodeID, seeds ...*Mesh) Config {
	t.Helper()
	c := Config{
		Node: id, Port: freePort(t), ActorsPort: 1001, APIPort: 1002, Zone: "z", Version: "v1", Slots: 2, Memory: 1 << 30,
		Log: slog.New(slog.NewTextHandler(testLog(t), nil)).With("on", id),
	}
	for _, s := range seeds {
		c.Seeds = append(c.Seeds, s.Self().GossipAddr())
	}
	return c
}

// testLog is t's log until the test ends: memberlist may say more.
func testLog(t *testing.T) io.Writer {
	w := &untilEnd{w: t.Output()}
	t.Cleanup(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.w = io.Discard
	})
	return w
}

type untilEnd struct {
	mu sync.Mutex
	w  io.Writer
}

func (u *untilEnd) Write(b []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.w.Write(b)
}

// listener is a log that closes heard when a line contains want.
type listener struct {
	want  string
	once  sync.Once
	heard chan struct{}
}

func (l *listener) Write(b []byte) (int, error) {
	if strings.Contains(string(b), l.want) {
		l.once.Do(func() { close(l.heard) })
	}
	return len(b), nil
}

// join joins, on another port if another process was faster, and closes the
// mesh when the test ends.
func join(t *testing.T, c Config) *Mesh {
	t.Helper()
	for range 10 {
		m, err := Join(t.Context(), c)
		if errors.Is(err, ErrPortInUse) {
			c.Port = freePort(t)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := m.Close(); err != nil {
				t.Error("close:", err)
			}
		})
		return m
	}
	t.Fatal("no free port")
	return nil
}

// await returns the first view of m that satisfies ok.
func await(t *testing.T, m *Mesh, within time.Duration, what string, ok func(*View) bool) *View {
	t.Helper()
	deadline := time.After(within)
	for {
		v := m.View()
		if ok(v) {
			return v
		}
		select {
		case <-v.Superseded():
		case <-deadline:
			t.Fatalf("%s: no view with %s after %v, last %+v", m.Self().ID, what, within, m.View().Members)
		}
	}
}

// converge waits until all see exactly one another.
func converge(t *testing.T, all ...*Mesh) {
	t.Helper()
	want := make([]Member, len(all))
	for i, m := range all {
		want[i] = m.Self()
	}
	slices.SortFunc(want, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	for _, m := range all {
		v := await(t, m, slow, fmt.Sprintf("all of %+v", want), func(v *View) bool { return slices.Equal(v.Members, want) })
		if first := all[0].View().Digest; v.Digest != first {
			t.Errorf("%s: digest %x, elsewhere %x", m.Self().ID, v.Digest, first)
		}
	}
}

func without(id NodeID) func(*View) bool {
	return func(v *View) bool { _, ok := v.Find(id); return !ok }
}

// wire joins the nodes of a test. Cutting an address off drops all packets and
// refuses all connections from and to it.
type wire struct {
	mu  sync.Mutex
	cut map[string]bool
}

func (w *wire) set(addr string, cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut == nil {
		w.cut = make(map[string]bool)
	}
	w.cut[addr] = cut
}

func (w *wire) between(a, b string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.cut[a] && !w.cut[b]
}

// plug connects a node.
func (w *wire) plug(t gossipTransport) gossipTransport {
	ip, port, err := t.FinalAdvertiseAddr("", 0)
	if err != nil {
		panic(err)
	}
	return &plug{t, w, hostPort(ip.String(), port)}
}

type plug struct {
	gossipTransport
	wire *wire
	self string
}

var errCut = errors.New("wire cut")

func (p *plug) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	if !p.wire.between(p.self, a.Addr) {
		return time.Now(), nil // lost
	}
	return p.gossipTransport.WriteToAddress(b, a)
}

func (p *plug) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	if !p.wire.between(p.self, a.Addr) {
		return nil, errCut
	}
	return p.gossipTransport.DialAddressTimeout(a, timeout)
}

// expectJoinError joins in vain.
func expectJoinError(t *testing.T, c Config, want error) {
	t.Helper()
	m, err := Join(context.Background(), c)
	if err == nil {
		m.Close()
		t.Fatalf("joined: %+v; want %v", m.View().Members, want)
	}
	if !errors.Is(err, want) {
		t.Errorf("%v; want %v", err, want)
	}
	t.Log(err)
}
