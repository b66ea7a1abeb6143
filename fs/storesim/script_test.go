package storesim

import (
	"errors"
	"testing"
)

// script is a world in which only happens what a test says.
type script struct {
	*world
	t *testing.T
}

// play starts a script with some nodes.
func play(t *testing.T, seed uint64, nodes int) script {
	w := bare(seed, noBug, nodes)
	w.calm = true
	t.Cleanup(w.stop)
	s := script{w, t}
	s.wait(5000)
	return s
}

// wait lets simulated milliseconds pass.
func (s script) wait(d int64) {
	s.t.Helper()
	s.until(d, func() bool { return false })
	s.whole()
}

// whole fails if something that was promised is not kept.
func (s script) whole() {
	s.t.Helper()
	if s.truth.checkAll(); s.broken != nil {
		s.t.Fatal(s.broken)
	}
}

// settle waits until everything is where it is to be.
func (s script) settle() {
	s.t.Helper()
	s.until(settleMax, func() bool { return s.truth.settled() == nil })
	if err := s.truth.settled(); err != nil {
		s.t.Fatal(err)
	}
	s.whole()
}

// does runs something at a node to its end.
func (s script) does(n *node, f func(p *proc) error) error {
	s.t.Helper()
	err, over := errOver, false
	s.spawn(n.life, func(p *proc) {
		e := f(p)
		err, over = e, true
	})
	l := n.life
	s.until(settleMax, func() bool { return over || l.dead })
	s.whole()
	return err
}

func (s script) writes(n *node, d *dataset, m mode, files int) error {
	s.t.Helper()
	wr := s.write(n.life, d, m, files, 0)
	var err error
	s.until(settleMax, func() bool { return wr.over || wr.l.dead })
	if v, _ := d.value.Current(); !wr.over || len(wr.tried) == 0 || v.Manifest != wr.tried[len(wr.tried)-1] {
		err = errors.New("it was not published")
	}
	s.whole()
	return err
}

func (s script) publishes(n *node, d *dataset, m mode, files int) {
	s.t.Helper()
	if err := s.writes(n, d, m, files); err != nil {
		s.t.Fatal(err)
	}
}

// readsAll fails unless every node that runs can read the dataset.
func (s script) readsAll(d *dataset) {
	s.t.Helper()
	for _, n := range s.nodes {
		if n.life != nil {
			if err := s.does(n, func(p *proc) error { return s.reads(p, d, true) }); err != nil {
				s.t.Fatalf("at %s: %v", n.name, err)
			}
		}
	}
}

// came fails unless something came about, so many times at least.
func (s script) came(what string, n int) {
	s.t.Helper()
	if s.fired[what] < n {
		s.t.Fatalf("%q came about %d times, want %d: %v", what, s.fired[what], n, s.fired)
	}
}

// holder is a node that has one of the dataset's files, and the file.
func (s script) holder(d *dataset) (*node, *file) {
	s.t.Helper()
	for _, n := range s.nodes {
		for _, f := range n.disk.all() {
			if d.used[f.id] && f.origin.Dataset == d.name {
				return n, f
			}
		}
	}
	s.t.Fatal("nobody has anything")
	return nil, nil
}
