package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/pondmesh/pond/actors/plan"
)

func TestCall(t *testing.T) {
	far := startNode(t, nodeSpec{Node: "far", Boot: "b1"})
	w := here()
	for _, addr := range []string{far.addr, w.Addr()} {
		reply, err := w.Call(t.Context(), addr, build("pull", 3))
		g, ok := reply.(*Grant)
		if err != nil || !ok || len(g.Runs) != 3 || g.Runs[2].Task.Partition != 2 {
			t.Fatalf("pull from %s: %v, %v", addr, reply, err)
		}
		if g.Header.Term != 7 || g.Header.Job != testJob {
			t.Errorf("header came back as %v", g.Header)
		}
		reply, err = w.Call(t.Context(), addr, build("stop", 0))
		if _, ok := reply.(*Ack); err != nil || !ok {
			t.Errorf("a handler's nil reply became %v, %v", reply, err)
		}
	}
}

func TestPeerNamesTheSender(t *testing.T) {
	far := startNode(t, nodeSpec{Node: "far", Boot: "b1"})
	reply, err := here().Call(t.Context(), far.addr, build("work", 0))
	if err != nil {
		t.Fatal(err)
	}
	if saw := reply.(*Failed).Error.Text; saw != "here b0" {
		t.Errorf("the handler saw %q", saw)
	}
}

func TestSendArrives(t *testing.T) {
	far := startNode(t, nodeSpec{Node: "far", Boot: "b1"})
	for range 100 {
		if err := here().Send(t.Context(), far.addr, build("stop", 0)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "100 messages handled", func() bool { return far.order(order{Op: "alive"}).Handled == 100 })
}

// sentinels are those of all kinds.
func sentinels() map[plan.Kind]error {
	out := map[plan.Kind]error{}
	for k := plan.Kind(0); (&plan.Error{Kind: k}).Unwrap() != nil; k++ {
		out[k] = (&plan.Error{Kind: k}).Unwrap()
	}
	return out
}

func TestErrorsCrossTyped(t *testing.T) {
	far := startNode(t, nodeSpec{Node: "far", Boot: "b1"})
	for _, addr := range []string{far.addr, here().Addr()} {
		for kind, sentinel := range sentinels() {
			_, err := here().Call(t.Context(), addr, build("done", doKind+int(kind)))
			for other, s := range sentinels() {
				if errors.Is(err, s) != (other == kind) {
					t.Errorf("%v: errors.Is(%v) = %v, sentinel %v", kind, other, errors.Is(err, s), sentinel)
				}
			}
			var te *plan.Error
			if !errors.As(err, &te) {
				t.Fatalf("%v: %v is no TaskError", kind, err)
			}
			if te.Error() != "fetch s/3: as told (on node far)" || te.Hint != "none" || len(te.Lost) != 3 || te.Lost[1].Partition != 4 {
				t.Errorf("%v came back as %+v", kind, te)
			}
		}
	}
}

func TestHandlersFaultsAreErrors(t *testing.T) {
	far := startNode(t, nodeSpec{Node: "far", Boot: "b1"})
	for _, c := range []struct {
		name string
		rows int
		want string
	}{
		{"a panic", doPanic, "panic: as told"},
		{"a reply that is too large", doTooLarge, "too large"},
		{"a reply that is invalid", doInvalid, "header is missing"},
	} {
		for _, addr := range []string{far.addr, here().Addr()} {
			_, err := here().Call(t.Context(), addr, build("done", c.rows))
			if !errors.Is(err, plan.ErrInternal) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
	if r, err := here().Call(t.Context(), far.addr, build("stop", 0)); err != nil {
		t.Errorf("afterwards: %v, %v", r, err)
	}
}

func TestBadMessagesAreNotSent(t *testing.T) {
	long := said(header(), strings.Repeat("x", MessageBytesMax))
	for _, c := range []struct {
		name string
		msg  proto.Message
		want error
	}{
		{"too large", long, ErrTooLarge},
		{"a foreign type", wrapperspb.String("x"), ErrInvalid},
		{"an envelope", &Envelope{}, ErrInvalid},
		{"no header", &Stop{}, ErrInvalid},
		{"a negative number", build("done", -1), ErrInvalid},
	} {
		for _, addr := range []string{here().Addr(), "127.0.0.1:1"} {
			if _, err := here().Call(t.Context(), addr, c.msg); !errors.Is(err, c.want) {
				t.Errorf("call %s: %v", c.name, err)
			}
			if err := here().Send(t.Context(), addr, c.msg); !errors.Is(err, c.want) {
				t.Errorf("send %s: %v", c.name, err)
			}
		}
	}
}

func TestFencedByBootAndDeadline(t *testing.T) {
	far := startNode(t, nodeSpec{Node: "far", Boot: "b1"})
	for _, c := range []struct {
		name string
		h    *Header
		want error
	}{
		{"another boot", &Header{Job: testJob, ToBoot: "b2"}, plan.ErrFenced},
		{"this boot", &Header{Job: testJob, ToBoot: "b1"}, nil},
		{"past", &Header{Job: testJob, DeadlineUnixMs: 1}, plan.ErrDeadline},
		{"ahead", &Header{Job: testJob, DeadlineUnixMs: time.Now().Add(time.Hour).UnixMilli()}, nil},
	} {
		_, err := here().Call(t.Context(), far.addr, &Stop{Header: c.h})
		if c.want == nil && err != nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// hang makes calls that are not answered, and waits until the node has them.
func hang(t *testing.T, far *node, calls int) <-chan error {
	t.Helper()
	before := far.order(order{Op: "alive"}).Handled
	errs := make(chan error, calls)
	for range calls {
		go func() {
			_, err := here().Call(context.Background(), far.addr, build("done", doHang))
			errs <- err
		}()
	}
	eventually(t, "the calls hang", func() bool {
		return far.order(order{Op: "alive"}).Handled-before == calls
	})
	return errs
}

func TestKilledPeerEndsItsCalls(t *testing.T) {
	far := startNode(t, nodeSpec{Node: "far", Boot: "b1"})
	errs := hang(t, far, 10)
	start := time.Now()
	far.kill()
	for range 10 {
		if err := <-errs; !errors.Is(err, plan.ErrUnavailable) {
			t.Errorf("ended with %v", err)
		}
	}
	t.Logf("10 calls ended %v after kill -9", time.Since(start))
	if _, err := here().Call(t.Context(), far.addr, build("stop", 0)); !errors.Is(err, plan.ErrUnavailable) {
		t.Errorf("a call to a dead peer: %v", err)
	}
}

func TestRestartOnTheSamePort(t *testing.T) {
	far := startNode(t, nodeSpec{Node: "far", Boot: "b1"})
	if _, err := here().Call(t.Context(), far.addr, build("stop", 0)); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(far.addr)
	p, _ := net.LookupPort("tcp", port)
	far.kill()
	again := startNode(t, nodeSpec{Node: "far", Boot: "b2", Port: p})
	old, fresh := &Stop{Header: header()}, &Stop{Header: header()}
	old.Header.ToBoot, fresh.Header.ToBoot = "b1", "b2"
	eventually(t, "the new boot answers", func() bool {
		_, err := here().Call(t.Context(), again.addr, fresh)
		return err == nil
	})
	if _, err := here().Call(t.Context(), again.addr, old); !errors.Is(err, plan.ErrFenced) {
		t.Errorf("a call for the old boot: %v", err)
	}
}

func TestLost(t *testing.T) {
	far := startNode(t, nodeSpec{Node: "far", Boot: "b1"})
	errs := hang(t, far, 5)
	far.signal(syscall.SIGSTOP) // its connections stay open
	here().Lost(far.addr)
	for range 5 {
		if err := <-errs; !errors.Is(err, plan.ErrUnavailable) {
			t.Errorf("ended with %v", err)
		}
	}
	// While it is stopped, dialing fails in the connect timeout.
	eventually(t, "a call without connection fails", func() bool {
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		_, err := here().Call(ctx, far.addr, build("stop", 0))
		return errors.Is(err, plan.ErrUnavailable)
	})
	far.signal(syscall.SIGCONT)
	eventually(t, "it answers again", func() bool {
		_, err := here().Call(t.Context(), far.addr, build("stop", 0))
		return err == nil
	})
	here().Lost("127.0.0.1:9") // an address that nobody has talked to
}

// Lost under traffic must not make the connections that follow fail for ever:
// every call may fail once for each Lost, and then calls get through.
func TestLostUnderTraffic(t *testing.T) {
	far := startNode(t, nodeSpec{Node: "far", Boot: "b1"})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_, _ = here().Call(context.Background(), far.addr, build("stop", 0))
				}
			}
		})
	}
	for range 20 {
		here().Lost(far.addr)
		eventually(t, "a call gets through", func() bool {
			_, err := here().Call(t.Context(), far.addr, build("stop", 0))
			return err == nil
		})
	}
	for range 200 { // and stays so
		if _, err := here().Call(t.Context(), far.addr, build("stop", 0)); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
}

func TestCallEndsWithItsContext(t *testing.T) {
	far := startNode(t, nodeSpec{Node: "far", Boot: "b1", CallTimeoutMillis: 200})
	for _, addr := range []string{far.addr, here().Addr()} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := here().Call(ctx, addr, build("done", doHang))
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("past its deadline: %v", err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		cancel()
		if _, err := here().Call(ctx, addr, build("stop", 0)); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	}
	if calls, _ := here().links.waiting(); calls != 0 {
		t.Errorf("%d calls are left over", calls)
	}
	// The far node's own patience, and its handlers', is 200 ms.
	r := far.order(order{Op: "call", Addr: here().Addr(), What: "done", N: doHang})
	if r.Kind != plan.KindUnavailable || r.Millis > 2000 {
		t.Errorf("a call without deadline ended with %+v", r)
	}
}

func TestBusyPeerSaysSo(t *testing.T) {
	far := startNode(t, nodeSpec{Node: "far", Boot: "b1"})
	const calls = handlersMax + handlersQueueMax + 100
	errs := make(chan error, calls)
	for range calls {
		go func() {
			_, err := here().Call(context.Background(), far.addr, build("done", doHang))
			errs <- err
		}()
	}
	for range 100 { // only the refused ones end
		if err := <-errs; !errors.Is(err, plan.ErrUnavailable) || !strings.Contains(err.Error(), "busy") {
			t.Fatalf("ended with %v", err)
		}
	}
	// Every handler hangs, and the queue is full: a one-way message that frees
	// them would be dropped, so they end by the call timeout of their callers'
	// process; cut that short.
	here().Lost(far.addr)
	for range calls - 100 {
		if err := <-errs; !errors.Is(err, plan.ErrUnavailable) {
			t.Fatalf("ended with %v", err)
		}
	}
	far.kill()
}

func TestUnsentMessagesAreBounded(t *testing.T) {
	far := startNode(t, nodeSpec{Node: "far", Boot: "b1"})
	if _, err := here().Call(t.Context(), far.addr, build("stop", 0)); err != nil {
		t.Fatal(err)
	}
	far.signal(syscall.SIGSTOP)
	msg := &TaskError{Text: strings.Repeat("x", ErrorTextBytesMax)}
	sent := 0
	for ; sent < 100<<20/ErrorTextBytesMax; sent++ {
		if err := here().Send(t.Context(), far.addr, msg); err != nil {
			if !errors.Is(err, plan.ErrUnavailable) {
				t.Fatal(err)
			}
			break
		}
	}
	if most := (outboundBytesMax + 32<<20) / ErrorTextBytesMax; sent > most {
		t.Errorf("%d messages of %d bytes were taken for a peer that reads none", sent, ErrorTextBytesMax)
	}
	far.kill()
}

func TestThousandCallsAtOnce(t *testing.T) {
	far := startNode(t, nodeSpec{Node: "far", Boot: "b1"})
	near := startNode(t, nodeSpec{Node: "near", Boot: "b1"})
	start := time.Now()
	near.tell(order{Op: "call", Addr: here().Addr(), What: "done", N: doEcho, Count: 1000})
	r := callMany(here(), order{Addr: far.addr, What: "done", N: doEcho, Count: 1000})
	if r.OK != 1000 || r.Reply != "DONE" {
		t.Errorf("from here: %+v", r)
	}
	if r := near.read(); r.OK != 1000 {
		t.Errorf("to here, from a third node: %+v", r)
	}
	t.Logf("2 x 1,000 calls in %v", time.Since(start))
}

// What a closing node has handled its callers have an answer to, and every
// other call ends at once.
func TestCloseDuringTraffic(t *testing.T) {
	far := startNode(t, nodeSpec{Node: "far", Boot: "b1"})
	var mu sync.Mutex
	var wg sync.WaitGroup
	ok, started := 0, make(chan struct{}, 32)
	for range 32 {
		wg.Go(func() {
			for i := 0; ; i++ {
				_, err := here().Call(context.Background(), far.addr, build("stop", 0))
				if err != nil {
					if !errors.Is(err, plan.ErrUnavailable) {
						t.Errorf("ended with %v", err)
					}
					return
				}
				mu.Lock()
				ok++
				mu.Unlock()
				if i == 20 {
					started <- struct{}{}
				}
			}
		})
	}
	for range 32 {
		<-started
	}
	r := far.order(order{Op: "close", N: 5000})
	wg.Wait()
	if r.Err != "" {
		t.Errorf("close: %s", r.Err)
	}
	if r.Handled != ok {
		t.Errorf("%d handled, %d answered", r.Handled, ok)
	}
	t.Logf("%d calls, closed in %d ms", ok, r.Millis)
}

// Close lets out what was sent before it.
func TestCloseLosesNothing(t *testing.T) {
	const messages = 300
	far := startNode(t, nodeSpec{Node: "far", Boot: "b1"})
	before := hereDoes.handled.Load()
	if r := far.order(order{Op: "send and close", Addr: here().Addr(), Count: messages, N: 5000}); r.Err != "" {
		t.Fatal(r.Err)
	}
	eventually(t, "every message arrives", func() bool { return hereDoes.handled.Load()-before == messages })
}

func TestCloseCutsShort(t *testing.T) {
	far := startNode(t, nodeSpec{Node: "far", Boot: "b1"})
	errs := hang(t, far, 3)
	r := far.order(order{Op: "close", N: 100})
	if !strings.Contains(r.Err, "cut short") || r.Millis > 3000 {
		t.Errorf("close with hanging handlers: %+v", r)
	}
	for range 3 {
		if err := <-errs; !errors.Is(err, plan.ErrUnavailable) {
			t.Errorf("ended with %v", err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	h := func(context.Context, Peer, proto.Message) (proto.Message, error) { return nil, nil }
	_, port, _ := net.SplitHostPort(here().Addr())
	taken, _ := net.LookupPort("tcp", port)
	pool := tlsConfigOf(t, newCA(t))
	lax, blind := pool.Clone(), pool.Clone()
	lax.ClientAuth = tls.VerifyClientCertIfGiven
	blind.InsecureSkipVerify = true
	for _, c := range []struct {
		name string
		conf Config
		want error
	}{
		{"a taken port", Config{Node: "n", Boot: "b", Handle: h, Port: taken}, ErrPortInUse},
		{"the network without TLS", Config{Node: "n", Boot: "b", Handle: h, Bind: "0.0.0.0", Advertise: "127.0.0.1"}, plan.ErrDenied},
		{"clients without certificate", Config{Node: "n", Boot: "b", Handle: h, TLS: lax}, plan.ErrDenied},
		{"unverified servers", Config{Node: "n", Boot: "b", Handle: h, TLS: blind}, plan.ErrDenied},
		{"an address to advertise that cannot be dialed", Config{Node: "n", Boot: "b", Handle: h, Bind: "0.0.0.0", TLS: pool}, nil},
		{"no node", Config{Boot: "b", Handle: h}, nil},
		{"no boot", Config{Node: "n", Handle: h}, nil},
		{"no handler", Config{Node: "n", Boot: "b"}, nil},
	} {
		w, err := Open(t.Context(), c.conf)
		if err == nil {
			_ = w.Close(t.Context())
			t.Errorf("%s: opened", c.name)
		} else if c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
