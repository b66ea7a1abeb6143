package bounded

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// TestConns: a place is free once its connection is closed, however often that is done.
func TestConns(t *testing.T) {
	c := Conns{Most: 2}
	for i := range 4 {
		if took := c.Take(); took != (i < 2) {
			t.Fatalf("two may be open; connection %d: %t", i+1, took)
		}
	}
	a, b := net.Pipe()
	defer b.Close()
	counted := c.Count(a)
	for range 3 {
		counted.Close()
	}
	if !c.Take() || c.Take() {
		t.Error("one was closed, one is open")
	}
	c.Give()
	if !c.Take() || c.Take() {
		t.Error("one was given back, one is open")
	}
}

// TestAtOnce: never more than may be, however many come at once.
func TestAtOnce(t *testing.T) {
	c := Conns{Most: 10}
	var open, most atomic.Int64
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			for range 100 {
				if !c.Take() {
					continue
				}
				n := open.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				open.Add(-1)
				c.Give()
			}
		})
	}
	all.Wait()
	if most.Load() > 10 || !c.Take() {
		t.Errorf("%d were open at once", most.Load())
	}
}
