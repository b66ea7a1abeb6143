package grains_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pondmesh/pond/actors/grains"
	"github.com/pondmesh/pond/actors/kinds"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs/register"
	"github.com/pondmesh/pond/mesh/offers"
)

// A key lives on one of the nodes that offer its kind and stay, and moves only when that
// one goes, or another comes that is to have it.
func TestOwner(t *testing.T) {
	set, err := offers.New(offers.Actor("session"))
	if err != nil {
		t.Fatal(err)
	}
	all := []grains.Member{{Node: "a", Offers: set}, {Node: "b", Offers: set}, {Node: "c"}, {Node: "d", Offers: set, Leaving: true}}
	owned := map[string]int{}
	for i := range 1000 {
		key := fmt.Sprint("k", i)
		m, ok := grains.Owner(all, "session", key)
		if !ok {
			t.Fatal("a key without an owner")
		}
		owned[m.Node]++
		back := slices.Clone(all)
		slices.Reverse(back)
		if other, _ := grains.Owner(back, "session", key); other != m {
			t.Fatalf("%s is owned by %s or %s, as members are told", key, m.Node, other.Node)
		}
		more, _ := grains.Owner(append(back, grains.Member{Node: "e", Offers: set}), "session", key)
		if more.Node != m.Node && more.Node != "e" {
			t.Fatalf("%s moves from %s to %s because e joins", key, m.Node, more.Node)
		}
	}
	if owned["a"]+owned["b"] != 1000 || owned["a"] < 400 || owned["b"] < 400 {
		t.Errorf("owned: %v", owned)
	}
	if _, ok := grains.Owner(all, "other", "k"); ok {
		t.Error("a kind that nobody offers has an owner")
	}
}

func TestCall(t *testing.T) {
	echo := probe(func(ctx kinds.Context, msg []byte) ([]byte, error) {
		switch string(msg) {
		case "fail":
			return nil, errors.New("no luck")
		case "code":
			return nil, fmt.Errorf("wrapped: %w", &plan.Error{Kind: plan.KindActor, Code: "limit", Text: "too many"})
		case "nested":
			return nil, &plan.Error{Kind: plan.KindUnavailable, Op: kinds.OpActivate, Text: "another actor's"}
		case "huge":
			return make([]byte, kinds.MessageMax+1), nil
		}
		return append([]byte(ctx.Key()+":"), msg...), nil
	})
	p := newPond(t, []string{"a", "b", "c"}, echo)
	p.hosts["c"].Close()
	for _, key := range []string{"k1", "k2", "k3", "k4", "a/b?"} {
		if m, _ := grains.Owner(p.members("a", "b", "c"), "probe", key); m.Node == "c" {
			continue // which is closed
		}
		for _, from := range []string{"a", "b"} {
			if got := p.ask(from, "probe", key, "hi"); got != key+":hi" {
				t.Errorf("%s: %q", key, got)
			}
		}
	}
	p.see("a", "a")
	p.see("b", "a")
	for msg, want := range map[string]struct {
		is   error
		code string
		text string
	}{
		"fail":                                  {plan.ErrActor, "", "no luck"},
		"code":                                  {plan.ErrActor, "limit", "too many"},
		"nested":                                {plan.ErrActor, "", "another actor's"},
		"huge":                                  {plan.ErrActor, "", "too large"},
		strings.Repeat("x", kinds.MessageMax+1): {plan.ErrQuery, "", "bytes are more than"},
	} {
		_, err := p.hosts["b"].Call(t.Context(), "probe", "k", []byte(msg))
		var pe *plan.Error
		if !errors.Is(err, want.is) || !errors.As(err, &pe) || pe.Code != want.code || !strings.Contains(pe.Text, want.text) {
			t.Errorf("%.10q: %v", msg, err)
		}
	}
	if _, err := p.hosts["b"].Call(t.Context(), "nobody", "k", nil); !errors.Is(err, plan.ErrNotFound) {
		t.Errorf("a kind that nobody offers: %v", err)
	}
	if _, err := p.hosts["b"].Call(t.Context(), "probe", "", nil); !errors.Is(err, plan.ErrQuery) {
		t.Errorf("no key: %v", err)
	}
}

// Many callers, one message at a time.
func TestOneAtATime(t *testing.T) {
	var inside, most atomic.Int64
	n := 0 // guarded by nothing: the race detector looks at it
	p := newPond(t, []string{"a"}, probe(func(kinds.Context, []byte) ([]byte, error) {
		most.Store(max(most.Load(), inside.Add(1)))
		defer inside.Add(-1)
		n++
		return fmt.Append(nil, n), nil
	}))
	seen := make([]bool, 101)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			var at int
			fmt.Sscan(p.ask("a", "probe", "k", ""), &at)
			mu.Lock()
			defer mu.Unlock()
			seen[at] = true
		})
	}
	wg.Wait()
	if most.Load() != 1 || slices.Index(seen[1:], false) >= 0 {
		t.Errorf("%d at once, seen %v", most.Load(), seen)
	}
}

// The next owner goes on from what the last one has stored, and messages for a node that
// is gone reach the one that is not.
func TestStateMoves(t *testing.T) {
	names := []string{"a", "b", "c"}
	p := newPond(t, names, counter)
	first := p.owner("k", names...)
	rest := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == first })
	for i := range 3 {
		if got := p.ask(rest[0], "counter", "k", "add"); got != fmt.Sprint(i+1) {
			t.Fatalf("add %d: %s", i+1, got)
		}
	}
	gone := p.hosts[first]
	gone.Close()
	delete(p.hosts, first) // nothing listens there now
	done := make(chan string)
	go func() { done <- p.ask(rest[0], "counter", "k", "add") }() // it does not know that yet
	for _, n := range rest {
		p.see(n, rest...)
	}
	if got := <-done; got != "4" {
		t.Errorf("after the owner's end: %s", got)
	}
}

// Two nodes each believe that they own a key, as after a pause or a cut. Only one is
// believed: what the other saves is refused, and so is its stale reply.
func TestTwoOwners(t *testing.T) {
	p := newPond(t, []string{"old", "new"}, counter)
	p.see("old", "old")
	p.see("new", "new")
	for _, want := range []string{"1", "2"} {
		if got := p.ask("old", "counter", "k", "add"); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
	if got := p.ask("new", "counter", "k", "add"); got != "3" {
		t.Fatalf("the new owner counts %s", got)
	}
	for _, msg := range []string{"add", "get"} {
		if _, err := p.hosts["old"].Call(t.Context(), "counter", "k", []byte(msg)); !errors.Is(err, plan.ErrFenced) {
			t.Errorf("%s of the old owner: %v", msg, err)
		}
		if got := p.ask("new", "counter", "k", "get"); got != "3" {
			t.Errorf("the new owner counts %s after a refused %s", got, msg)
		}
		if got := p.ask("old", "counter", "k", "get"); got != "3" { // a new activation, which takes over
			t.Errorf("the old owner counts %s", got)
		}
		if _, err := p.hosts["new"].Call(t.Context(), "counter", "k", []byte("get")); !errors.Is(err, plan.ErrFenced) {
			t.Errorf("the new owner is believed though it lost the register: %v", err)
		}
		p.ask("new", "counter", "k", "get")
	}
}

// Any interleaving of two that believe they own a key counts right.
func TestTwoOwnersAtOnce(t *testing.T) {
	p := newPond(t, []string{"a", "b"}, counter)
	p.see("a", "a")
	p.see("b", "b")
	var mu sync.Mutex
	seen := map[string]bool{}
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b"} {
		for range 4 {
			wg.Go(func() {
				for range 50 {
					reply, err := p.hosts[name].Call(t.Context(), "counter", "k", []byte("add"))
					if errors.Is(err, plan.ErrFenced) || errors.Is(err, plan.ErrUnavailable) {
						continue
					}
					mu.Lock()
					if err != nil || seen[string(reply)] {
						t.Errorf("%q twice, or %v", reply, err)
					}
					seen[string(reply)] = true
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	p.see("b", "a")
	p.see("a", "a")
	var total string
	for { // the last word may be b's
		reply, err := p.hosts["a"].Call(t.Context(), "counter", "k", []byte("get"))
		if err == nil {
			total = string(reply)
			break
		}
		if !errors.Is(err, plan.ErrFenced) {
			t.Fatal(err)
		}
	}
	if total != fmt.Sprint(len(seen)) {
		t.Errorf("%s were counted, %d were told", total, len(seen))
	}
}

// A state that could not be stored is not believed.
func TestSaveFails(t *testing.T) {
	for _, fault := range []error{register.ErrMinority, register.ErrUnknown, fmt.Errorf("%w and %w", register.ErrConflict, register.ErrUnknown)} {
		p := newPond(t, []string{"a"}, counter)
		p.ask("a", "counter", "k", "add")
		p.registers.Before(func() error { return fault })
		if _, err := p.hosts["a"].Call(t.Context(), "counter", "k", []byte("add")); !errors.Is(err, plan.ErrUnavailable) {
			t.Errorf("%v: %v", fault, err)
		}
		p.registers.Before(nil)
		if got := p.ask("a", "counter", "k", "add"); got != "2" {
			t.Errorf("after %v: %s", fault, got)
		}
	}
}

func TestStateBound(t *testing.T) {
	size := 0
	p := newPond(t, []string{"a"}, probe(func(ctx kinds.Context, msg []byte) ([]byte, error) {
		return nil, ctx.Save(bytes.Repeat([]byte("x"), size))
	}))
	size = kinds.StateMax
	p.ask("a", "probe", "k", "")
	size++
	if _, err := p.hosts["a"].Call(t.Context(), "probe", "k", nil); !errors.Is(err, plan.ErrActor) || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a state of %d bytes: %v", size, err)
	}
}

// A mailbox that is full refuses, and takes more once it is not.
func TestMailboxBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		p := newPond(t, []string{"a"}, probe(func(kinds.Context, []byte) ([]byte, error) {
			<-release
			return nil, nil
		}))
		var wg sync.WaitGroup
		var busy, fine atomic.Int64
		for range 300 {
			wg.Go(func() {
				switch _, err := p.hosts["a"].Call(t.Context(), "probe", "k", nil); {
				case err == nil:
					fine.Add(1)
				case errors.Is(err, plan.ErrBusy):
					busy.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if busy.Load() != 300-256 {
			t.Errorf("%d of 300 were refused, the mailbox holds 256", busy.Load())
		}
		close(release)
		wg.Wait()
		p.ask("a", "probe", "k", "")
		if fine.Load() != 256 {
			t.Errorf("%d were received", fine.Load())
		}
	})
}

// A panic is the caller's error; the next message finds a new actor, after a pause that
// grows, and one that panics again and again rests.
func TestPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made := 0
		p := newPond(t, []string{"a"}, kinds.Kind{Name: "probe", New: func(string) kinds.Actor {
			made++
			n := 0
			return receive(func(_ kinds.Context, msg []byte) ([]byte, error) {
				if string(msg) == "boom" {
					panic("boom")
				}
				n++
				return fmt.Append(nil, n), nil
			})
		}})
		p.ask("a", "probe", "k", "")
		boom := func() time.Duration {
			t.Helper()
			begun := time.Now()
			_, err := p.hosts["a"].Call(t.Context(), "probe", "k", []byte("boom"))
			var pe *plan.Error
			if !errors.Is(err, plan.ErrActor) || !errors.As(err, &pe) || pe.Code != grains.CodePanic {
				t.Fatalf("a panic is %v", err)
			}
			return time.Since(begun)
		}
		boom()
		if got := p.ask("a", "probe", "k", ""); got != "1" || made != 2 {
			t.Errorf("after a panic the actor counts %s, %d were made", got, made)
		}
		var waits []time.Duration
		for range 5 {
			waits = append(waits, boom())
		}
		if !slices.IsSorted(waits) || waits[4] < 8*waits[1] {
			t.Errorf("pauses: %v", waits)
		}
		synctest.Wait()
		begun := time.Now()
		if _, err := p.hosts["a"].Call(t.Context(), "probe", "k", nil); !errors.Is(err, plan.ErrActor) || time.Since(begun) > 0 {
			t.Errorf("an actor that rests: %v, after %v", err, time.Since(begun))
		}
		p.ask("a", "probe", "another", "")
		settle(11 * time.Second)
		if got := p.ask("a", "probe", "k", ""); got != "1" {
			t.Errorf("after its rest the actor counts %s", got)
		}
	})
}

// An activation that is idle ends, one that has a timer does not; the timer's function
// runs between messages.
func TestIdleAndTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fired []string
		p := newPond(t, []string{"a"}, probe(func(ctx kinds.Context, msg []byte) ([]byte, error) {
			switch string(msg) {
			case "":
				return nil, nil
			case "late": // it fires while this is received, and is stopped all the same
				stop, err := ctx.After(time.Second, func(kinds.Context) error { fired = append(fired, "late"); return nil })
				settle(2 * time.Second)
				stop()
				return nil, err
			}
			d, err := time.ParseDuration(string(msg))
			if err != nil {
				return nil, err
			}
			stop, err := ctx.After(d, func(ctx kinds.Context) error {
				fired = append(fired, ctx.Key()+" "+d.String())
				return nil
			})
			if d == time.Second {
				stop()
			}
			return nil, err
		}))
		active := func(want int) {
			t.Helper()
			synctest.Wait()
			if got := p.hosts["a"].Active(); got != want {
				t.Fatalf("%d are active, want %d", got, want)
			}
		}
		p.ask("a", "probe", "x", "late")
		p.ask("a", "probe", "y", "15m")
		p.ask("a", "probe", "y", "1s")
		active(2)
		settle(11 * time.Minute)
		active(1)
		settle(5 * time.Minute)
		active(1)
		if len(fired) != 1 || fired[0] != "y 15m0s" {
			t.Errorf("fired: %v", fired)
		}
		settle(11 * time.Minute)
		active(0)
		for i := range 64 {
			p.ask("a", "probe", "z", fmt.Sprint(i+2, "h"))
		}
		if _, err := p.hosts["a"].Call(t.Context(), "probe", "z", []byte("1h")); !errors.Is(err, plan.ErrActor) || !strings.Contains(err.Error(), "64 timers") {
			t.Errorf("one timer too many: %v", err)
		}
		p.hosts["a"].Abandon()
		active(0)
		settle(100 * time.Hour)
		if len(fired) != 1 {
			t.Errorf("timers of an activation that has ended fired: %v", fired)
		}
	})
}

// When another node is to own the key, the message that is being received is answered,
// those behind it go to the other node, and none is received twice.
func TestMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var mu sync.Mutex
		received := map[string]int{}
		p := newPond(t, []string{"a", "b"}, probe(func(_ kinds.Context, msg []byte) ([]byte, error) {
			mu.Lock()
			received[string(msg)]++
			mu.Unlock()
			if string(msg) == "first" {
				<-release
			}
			return msg, nil
		}))
		p.see("a", "a")
		p.see("b", "a")
		var wg sync.WaitGroup
		wg.Go(func() { p.ask("b", "probe", "k", "first") })
		synctest.Wait()
		for i := range 10 {
			wg.Go(func() { p.ask("a", "probe", "k", fmt.Sprint(i)) })
		}
		synctest.Wait()
		p.see("a", "b")
		p.see("b", "b")
		synctest.Wait()
		if p.hosts["b"].Active() != 0 || len(received) != 1 {
			t.Errorf("received before the owner has answered: %v", received)
		}
		close(release)
		wg.Wait()
		if len(received) != 11 || p.hosts["a"].Active() != 0 || p.hosts["b"].Active() != 1 {
			t.Errorf("received: %v, %d and %d active", received, p.hosts["a"].Active(), p.hosts["b"].Active())
		}
		for msg, n := range received {
			if n != 1 {
				t.Errorf("%s was received %d times", msg, n)
			}
		}
	})
}

// A caller that leaves before its message is received has never been there; one whose
// message is being received ends the actor's context. An actor that does not return does
// not keep its host.
func TestCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		received := make(chan string, 3)
		stuck := make(chan struct{})
		defer close(stuck)
		p := newPond(t, []string{"a"}, probe(func(ctx kinds.Context, msg []byte) ([]byte, error) {
			received <- string(msg)
			if string(msg) == "stuck" {
				<-stuck
			} else {
				<-ctx.Done()
			}
			return nil, ctx.Err()
		}))
		var wg sync.WaitGroup
		call := func(msg string, d time.Duration) {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			if _, err := p.hosts["a"].Call(ctx, "probe", "k", []byte(msg)); !errors.Is(err, plan.ErrDeadline) {
				t.Errorf("%s: %v", msg, err)
			}
		}
		wg.Go(func() { call("first", 2*time.Second) })
		synctest.Wait()
		wg.Go(func() { call("second", time.Second) })
		wg.Wait()
		synctest.Wait()
		call("stuck", time.Second)
		if len(received) != 2 || <-received != "first" || <-received != "stuck" {
			t.Error("a message of a caller that has left was received")
		}
		begun := time.Now()
		p.hosts["a"].Close()
		if took := time.Since(begun); took > 6*time.Second {
			t.Errorf("closing took %v", took)
		}
	})
}
