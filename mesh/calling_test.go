package mesh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// TestCalling: how long seeds are called that do not answer, by what they do.
func TestCalling(t *testing.T) {
	gone, label, key := fmt.Errorf("x: %w", ErrNoSeed), fmt.Errorf("x: %w", ErrWrongLabel), fmt.Errorf("x: %w", ErrWrongKey)
	for _, test := range []struct {
		name   string
		limit  time.Duration
		rounds []error
		takes  time.Duration // of each round
		want   []time.Duration
	}{
		{"once", 0, []error{gone}, 0, []time.Duration{-1}},
		{"for ever", -1, []error{gone, gone, gone, gone, gone, gone, gone}, 0,
			[]time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second}},
		{"for a while", 2 * time.Second, []error{gone, gone, gone, gone}, 0, []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 250 * time.Millisecond}},
		{"rounds that take long", time.Second, []error{gone, gone}, 900 * time.Millisecond, []time.Duration{100 * time.Millisecond, -1}},
		{"another mesh", -1, []error{label, label, label}, 0, []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, -1}},
		{"another key, among others", -1, []error{errors.Join(gone, key), key, key}, 0, []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, -1}},
		{"one that was stopping", -1, []error{label, gone, label, label}, 0, []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second}},
		{"no address", -1, []error{ErrConfig}, 0, []time.Duration{-1}},
	} {
		var c calling
		var at time.Duration
		var got []time.Duration
		for _, err := range test.rounds {
			at += test.takes
			pause, again := c.failed(err, at, test.limit)
			if !again {
				pause = -1
			}
			at += max(pause, 0)
			got = append(got, pause)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	var c calling
	var told []int
	for s := range 300 {
		if c.tell(time.Duration(s) * time.Second) {
			told = append(told, s)
		}
	}
	if want := []int{1, 3, 7, 15, 31, 63, 123, 183, 243}; !slices.Equal(told, want) {
		t.Errorf("told after %v seconds, want %v", told, want)
	}
}

// TestStartedTogether: nodes that have only one another as seeds make one mesh,
// whoever is first.
func TestStartedTogether(t *testing.T) {
	t.Parallel()
	confs := make([]Config, 3)
	for i := range confs {
		confs[i] = config(t, NodeID(fmt.Sprint("n", i)))
		confs[i].JoinFor = -1
	}
	nodes := make([]*Mesh, len(confs))
	var all sync.WaitGroup
	for i := range confs {
		for j := range confs {
			if i != j {
				confs[i].Seeds = append(confs[i].Seeds, net.JoinHostPort("127.0.0.1", strconv.Itoa(confs[j].Port)))
			}
		}
		all.Go(func() {
			m, err := Join(context.Background(), confs[i])
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { m.Close() })
			nodes[i] = m
		})
	}
	all.Wait()
	if !t.Failed() {
		converge(t, nodes...)
	}
}

// TestJoinWaits: a seed that is up later, at one address of a name that has
// several, is found; and who waits says for whom.
func TestJoinWaits(t *testing.T) {
	t.Parallel()
	late, early := config(t, "late"), config(t, "early")
	told := make(chan struct{})
	early.Log = slog.New(slog.NewTextHandler(&listener{want: "no peer answers", heard: told}, nil))
	early.JoinFor, early.Seeds = -1, []string{"pond.example:" + strconv.Itoa(late.Port)}
	early.resolve = func(_ context.Context, host string) ([]net.IP, error) {
		if host != "pond.example" {
			return Lookup(t.Context(), host)
		}
		return []net.IP{net.IPv4(127, 0, 0, 2), net.IPv4(127, 0, 0, 1)}, nil
	}
	joined := make(chan *Mesh, 1)
	go func() {
		m, err := Join(context.Background(), early)
		if err != nil {
			t.Error(err)
		}
		joined <- m
	}()
	select {
	case <-told:
	case <-time.After(slow):
		t.Fatal("nobody is told")
	}
	l := join(t, late)
	select {
	case m := <-joined:
		if m != nil {
			t.Cleanup(func() { m.Close() })
			converge(t, l, m)
		}
	case <-time.After(slow):
		t.Fatal("the seed is up and not found")
	}
}

// TestJoinEndsWithContext: who waits for ever ends when its caller does.
func TestJoinEndsWithContext(t *testing.T) {
	t.Parallel()
	c := config(t, "a")
	c.JoinFor, c.Seeds = -1, []string{nobody}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := Join(ctx, c)
		ended <- err
	}()
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, ErrNoSeed) {
			t.Error(err)
		}
	case <-time.After(slow):
		t.Fatal("it goes on")
	}
}
