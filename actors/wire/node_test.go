package wire

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/pondmesh/pond/actors/plan"
)

// A test's nodes are processes of their own: this test binary, run again with
// this variable set. Several remotes in one process race on gRPC's logger, and
// only a process can be killed.
const nodeEnv = "POND_WIRE_TEST_NODE"

func TestMain(m *testing.M) {
	if spec := os.Getenv(nodeEnv); spec != "" {
		os.Exit(runNode(spec))
	}
	os.Exit(m.Run())
}

// nodeSpec is what a node is started with.
type nodeSpec struct {
	Node, Boot        string
	Port              int
	Cert, Key, CA     string // PEM; none: no TLS
	CallTimeoutMillis int
}

// order is one line that a node reads, result the line it answers.
type order struct {
	Op    string // call, close, send and close, alive
	Addr  string
	What  string
	N     int
	Count int // of calls, all at once; 0: one
}

type result struct {
	Addr    string // of the node, in its first line
	Reply   string // the reply's type
	Err     string
	Kind    plan.Kind
	OK      int // calls that got a reply
	Failed  int // calls that ended with plan.ErrUnavailable
	Other   int // calls that ended otherwise
	Handled int // messages that this node's handler has seen
	Millis  int64
	Alive   bool
}

// runNode is the main function of a test's node.
func runNode(spec string) int {
	var s nodeSpec
	if err := json.Unmarshal([]byte(spec), &s); err != nil {
		return 2
	}
	b := &behaviour{release: make(chan struct{})}
	c := Config{Node: s.Node, Boot: s.Boot, Port: s.Port, Handle: b.handle,
		CallTimeout: time.Duration(s.CallTimeoutMillis) * time.Millisecond,
		Log:         slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	if s.Cert != "" {
		c.TLS = tlsConfig(s.Cert, s.Key, s.CA)
	}
	w, err := Open(context.Background(), c)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	victim := w.System().Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if s, ok := c.Message().(string); ok {
			c.Respond(s)
		}
	}))
	b.wire, b.victim = w, victim
	out := json.NewEncoder(os.Stdout)
	_ = out.Encode(result{Addr: w.Addr(), Reply: victim.Id})
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var o order
		if json.Unmarshal(in.Bytes(), &o) != nil {
			return 2
		}
		_ = out.Encode(b.obey(o))
	}
	return 0
}

// behaviour is what a test's node does with messages and orders.
type behaviour struct {
	wire    *Wire
	victim  *actor.PID
	handled atomic.Int64
	release chan struct{}
	once    sync.Once
}

// The handler obeys the message: it does as a Done's cpu_ms say, and tells a Work whom it is from.
const (
	doHang = iota + 1
	doPanic
	doTooLarge
	doInvalid
	doRelease
	doEcho
	doKind // + a plan.Kind
)

func (b *behaviour) handle(ctx context.Context, from Peer, msg proto.Message) (proto.Message, error) {
	b.handled.Add(1)
	switch m := msg.(type) {
	case *Pull:
		g := &Grant{Header: m.Header}
		for i := range m.Slots {
			g.Runs = append(g.Runs, &Run{Task: &Task{StageId: "s", Partition: i, Attempt: 1}, Memory: 1 << 20})
		}
		return g, nil
	case *Work:
		return said(m.Header, from.Node+" "+from.Boot), nil
	case *Done:
		return b.done(ctx, m)
	}
	return nil, nil
}

// said is a message with a text.
func said(h *Header, text string) *Failed {
	return &Failed{Header: h, Task: &Task{StageId: "s", Attempt: 1}, Error: &TaskError{Text: text}}
}

func (b *behaviour) done(ctx context.Context, m *Done) (proto.Message, error) {
	switch m.CpuMs {
	case doHang:
		select {
		case <-b.release:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	case doPanic:
		panic("as told")
	case doTooLarge:
		return said(m.Header, strings.Repeat("x", MessageBytesMax)), nil
	case doInvalid:
		return &Grant{}, nil
	case doRelease:
		b.once.Do(func() { close(b.release) })
		return nil, nil
	case doEcho:
		return m, nil
	}
	return nil, &plan.Error{
		Kind: plan.Kind(m.CpuMs - doKind), Op: "fetch", Subject: "s/3", Node: "far", Text: "as told", Hint: "none",
		Lost: []plan.TaskID{{Stage: "s", Partition: 3}, {Stage: "t", Partition: 1}, {Stage: "s", Partition: 4}},
	}
}

func (b *behaviour) obey(o order) result {
	start := time.Now()
	r := b.do(o)
	r.Millis, r.Handled = time.Since(start).Milliseconds(), int(b.handled.Load())
	return r
}

func (b *behaviour) do(o order) (r result) {
	switch o.Op {
	case "call":
		return callMany(b.wire, o)
	case "send and close":
		for range o.Count {
			if err := b.wire.Send(context.Background(), o.Addr, build("big", 0)); err != nil {
				r.Err = err.Error()
				return r
			}
		}
		return b.do(order{Op: "close", N: o.N})
	case "close":
		ctx, stop := context.WithTimeout(context.Background(), time.Duration(o.N)*time.Millisecond)
		defer stop()
		err := b.wire.Close(ctx)
		if again := b.wire.Close(context.Background()); again != err {
			r.Err = fmt.Sprintf("closed twice: %v, then %v", err, again)
			return r
		}
		if _, late := b.wire.Call(context.Background(), b.wire.Addr(), &Ack{}); !errors.Is(late, ErrClosed) || !errors.Is(late, plan.ErrUnavailable) {
			r.Err = fmt.Sprintf("call after close: %v", late)
			return r
		}
		if err == nil {
			// Library leftovers that end by themselves, in two seconds at most: the
			// throttle of dead letters' logging, an endpoint whose dial has failed.
			err = goleak.Find(goleak.IgnoreAnyFunction("github.com/asynkron/protoactor-go/actor.NewThrottle.func1.1"))
		}
		if err != nil {
			r.Err = err.Error()
		}
	case "alive":
		_, err := b.wire.System().Root.RequestFuture(b.victim, "hello", time.Second).Result()
		r.Alive = err == nil
	}
	return r
}

// callMany makes o.Count calls at once and counts how they end.
func callMany(w *Wire, o order) (r result) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range max(o.Count, 1) {
		wg.Go(func() {
			reply, err := w.Call(context.Background(), o.Addr, build(o.What, o.N))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				r.OK++
				r.Reply = typeOf(reply).String()
			case errors.Is(err, plan.ErrUnavailable):
				r.Failed++
			default:
				r.Other++
			}
			if err != nil {
				r.Err, r.Kind = err.Error(), plan.KindOf(err)
			}
		})
	}
	wg.Wait()
	return r
}

const testJob = "00112233445566778899aabbccddeeff"

func header() *Header { return &Header{Job: testJob, Term: 7} }

// build makes the message that an order or a test names.
func build(what string, n int) proto.Message {
	switch what {
	case "pull":
		return &Pull{Header: header(), Slots: int32(n)}
	case "work":
		return &Work{Header: header(), CoordinatorAddr: "h:1"}
	case "done":
		return &Done{Header: header(), Task: &Task{StageId: "s", Attempt: 1}, CpuMs: int64(n)}
	}
	if what == "big" {
		return &TaskError{Text: strings.Repeat("x", ErrorTextBytesMax)}
	}
	return &Stop{Header: header()}
}

// node is a test's handle on a node's process.
type node struct {
	t      testing.TB
	spec   nodeSpec
	addr   string
	victim string // id of an actor of its own
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *json.Decoder
	stderr strings.Builder
	killed bool
}

func startNode(t testing.TB, s nodeSpec) *node {
	t.Helper()
	spec, _ := json.Marshal(s)
	n := &node{t: t, spec: s, cmd: exec.Command(os.Args[0])}
	n.cmd.Env = append(os.Environ(), nodeEnv+"="+string(spec), "GORACE=halt_on_error=1 atexit_sleep_ms=0")
	n.cmd.Stderr = &n.stderr
	n.in, _ = n.cmd.StdinPipe()
	out, _ := n.cmd.StdoutPipe()
	n.out = json.NewDecoder(out)
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.stop)
	first := n.read()
	n.addr, n.victim = first.Addr, first.Reply
	return n
}

func (n *node) read() result {
	n.t.Helper()
	var r result
	if err := n.out.Decode(&r); err != nil {
		n.t.Fatalf("node %s died: %v\n%s", n.spec.Node, err, n.stderr.String())
	}
	return r
}

// order makes the node do something and waits for the result.
func (n *node) order(o order) result {
	n.t.Helper()
	n.tell(o)
	return n.read()
}

func (n *node) tell(o order) {
	n.t.Helper()
	if err := json.NewEncoder(n.in).Encode(o); err != nil {
		n.t.Fatalf("node %s: %v\n%s", n.spec.Node, err, n.stderr.String())
	}
}

func (n *node) signal(s syscall.Signal) {
	n.t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil {
		n.t.Fatal(err)
	}
}

// kill ends the process as a crash does, and waits until it is gone.
func (n *node) kill() {
	if !n.killed {
		n.killed = true
		_ = n.cmd.Process.Kill()
		_ = n.cmd.Wait()
	}
}

// stop ends the node, which must have come through the test unharmed.
func (n *node) stop() {
	if n.killed {
		return
	}
	n.killed = true
	_ = n.cmd.Process.Signal(syscall.SIGCONT)
	_ = n.in.Close()
	if err := n.cmd.Wait(); err != nil {
		n.t.Errorf("node %s: %v\n%s", n.spec.Node, err, n.stderr.String())
	}
}

// here is this process's one Wire: nodes are its peers.
var (
	hereDoes = &behaviour{release: make(chan struct{})}
	here     = sync.OnceValue(openHere)
)

func openHere() *Wire {
	w, err := Open(context.Background(), Config{Node: "here", Boot: "b0", Handle: hereDoes.handle, CallTimeout: time.Minute})
	if err != nil {
		panic(err)
	}
	return w
}

// eventually repeats f until it is content.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	end := time.After(time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("never: %s", what)
		}
	}
}

func tlsConfig(cert, key, ca string) *tls.Config {
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(ca))
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
}
