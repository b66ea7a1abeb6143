package wire

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/pondmesh/pond/actors/plan"
)

// three opens nodes a, b and c of one process.
func three(t *testing.T) (wires [3]*Wire, does [3]*behaviour) {
	t.Helper()
	var s Switch
	for i, name := range []string{"a", "b", "c"} {
		does[i] = &behaviour{release: make(chan struct{})}
		w, err := Open(t.Context(), Config{Node: name, Boot: "b1", Handle: does[i].handle, Switch: &s, CallTimeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		wires[i] = w
	}
	return wires, does
}

func TestSwitch(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	w, does := three(t)
	a, b, c := w[0], w[1], w[2]
	if r := callMany(a, order{Addr: b.Addr(), What: "pull", N: 2, Count: 500}); r.OK != 500 || r.Reply != "GRANT" {
		t.Errorf("calls: %+v", r)
	}
	reply, err := c.Call(t.Context(), b.Addr(), build("work", 0))
	if err != nil || reply.(*Failed).Error.Text != "c b1" {
		t.Errorf("the sender: %v, %v", reply, err)
	}
	if _, err := a.Call(t.Context(), b.Addr(), build("done", doKind+int(plan.KindFetch))); !errors.Is(err, plan.ErrFetch) {
		t.Errorf("a typed error: %v", err)
	}
	if err := a.Send(t.Context(), c.Addr(), build("stop", 0)); err != nil {
		t.Error(err)
	}
	eventually(t, "the one-way message is handled", func() bool { return does[2].handled.Load() == 1 })
	if err := a.Send(t.Context(), "127.0.0.1:999", build("stop", 0)); !errors.Is(err, plan.ErrUnavailable) {
		t.Errorf("nobody's address: %v", err)
	}

	hanging := make(chan error)
	for _, end := range []func(){
		func() { a.Lost(b.Addr()) },
		func() {
			ctx, stop := context.WithCancel(context.Background())
			stop()
			if err := b.Close(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("close: %v", err)
			}
		},
	} {
		before := does[1].handled.Load()
		go func() {
			_, err := a.Call(context.Background(), b.Addr(), build("done", doHang))
			hanging <- err
		}()
		eventually(t, "the call hangs", func() bool { return does[1].handled.Load() == before+1 })
		end()
		if err := <-hanging; !errors.Is(err, plan.ErrUnavailable) {
			t.Errorf("ended with %v", err)
		}
	}
	if _, err := a.Call(t.Context(), b.Addr(), build("stop", 0)); !errors.Is(err, plan.ErrUnavailable) {
		t.Errorf("a call to a closed node: %v", err)
	}
	for _, w := range []*Wire{a, c} {
		if err := w.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestSwitchPorts(t *testing.T) {
	var s Switch
	conf := Config{Node: "n", Boot: "b", Switch: &s, Handle: func(context.Context, Peer, proto.Message) (proto.Message, error) { return nil, nil }}
	open := func(port int) (*Wire, error) {
		c := conf
		c.Port = port
		return Open(t.Context(), c)
	}
	first, err := open(2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(2); !errors.Is(err, ErrPortInUse) {
		t.Errorf("a taken port: %v", err)
	}
	seen := map[string]bool{first.Addr(): true}
	for range 3 {
		w, err := open(0)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close(t.Context())
		if seen[w.Addr()] {
			t.Errorf("%s was given away twice", w.Addr())
		}
		seen[w.Addr()] = true
	}
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, err := open(2)
	if err != nil {
		t.Fatalf("a port that is free again: %v", err)
	}
	_ = again.Close(t.Context())
}
