package register

import (
	"errors"
	"testing"
)

func TestBallots(t *testing.T) {
	order := []Ballot{{}, {1, "a"}, {1, "b"}, {2, "a"}}
	for i, a := range order {
		for j, b := range order {
			if got := a.Compare(b); (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("%v, %v: %d", a, b, got)
			}
		}
	}
}

func TestQuorum(t *testing.T) {
	has := func(ids ...KeeperID) func(KeeperID) bool {
		set := map[KeeperID]bool{}
		for _, id := range ids {
			set[id] = true
		}
		return func(k KeeperID) bool { return set[k] }
	}
	one, two, three := Roster{Version: 1, Keepers: []KeeperID{"a"}}, Roster{Version: 1, Keepers: []KeeperID{"a", "b"}}, Roster{Version: 1, Keepers: []KeeperID{"a", "b", "c"}}
	joint := Roster{Version: 2, Keepers: []KeeperID{"a"}, Next: []KeeperID{"b", "c", "d"}}
	for _, c := range []struct {
		r    Roster
		has  func(KeeperID) bool
		want bool
	}{
		{one, has("a"), true}, {one, has("b"), false}, {two, has("a"), false}, {two, has("a", "b"), true},
		{three, has("a"), false}, {three, has("a", "c"), true}, {three, has("a", "d"), false},
		{joint, has("a", "b"), false}, {joint, has("b", "c", "d"), false}, {joint, has("a", "b", "c"), true}, {Roster{}, has("a"), false},
	} {
		if got := c.r.Quorum(c.has); got != c.want {
			t.Errorf("%+v: %v", c.r, got)
		}
	}
}

// What is no roster is refused.
func TestDecodeRoster(t *testing.T) {
	joint := Roster{Version: 3, Keepers: []KeeperID{"a"}, Next: []KeeperID{"b"}}
	if r, err := DecodeRoster(joint.Encode()); err != nil || !r.Joint() || r.Version != 3 || len(r.All()) != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := DecodeRoster(nil); err != nil || r.Version != 0 {
		t.Errorf("none: %+v, %v", r, err)
	}
	for _, bad := range []string{"x", `{}`, `{"Version":1}`, `{"Version":1,"Keepers":["a","a"]}`, `{"Version":1,"Keepers":[""]}`, `{"Version":1,"Keepers":["1","2","3","4","5","6","7","8"]}`} {
		if r, err := DecodeRoster([]byte(bad)); err == nil {
			t.Errorf("%s: %+v", bad, r)
		}
	}
}

// deliver carries the messages of an operation without loss; only those of down get
// none.
func deliver(o *Operation, keepers map[KeeperID]*Acceptor, out []Request) {
	for len(out) > 0 {
		r := out[0]
		out = out[1:]
		if a := keepers[r.To]; a != nil {
			reply, _ := a.Step(r)
			more, _ := o.Step(reply)
			out = append(out, more...)
		}
	}
}

// A register is read and changed; a retry sees its own success, even after others
// have changed the value; a minority is told as one.
func TestOperations(t *testing.T) {
	r := Roster{Version: 1, Keepers: []KeeperID{"a", "b", "c"}}
	keepers := map[KeeperID]*Acceptor{}
	for _, id := range r.Keepers {
		keepers[id] = NewAcceptor(State{ID: id, Roster: r})
	}
	p, q := NewProposer("p", r), NewProposer("q", r)
	do := func(o *Operation) (Value, error) {
		for out := o.Start(); len(out) > 0; out = o.Again() {
			if deliver(o, keepers, out); o.status != Outbid {
				break
			}
		}
		return o.Result()
	}
	if v, err := do(p.Get("k")); err != nil || v.Version != 0 {
		t.Errorf("never written: %+v, %v", v, err)
	}
	if v, err := do(p.CAS("k", "1", 0, []byte("x"))); err != nil || v.Version != 1 || string(v.Data) != "x" {
		t.Errorf("first: %+v, %v", v, err)
	}
	if v, err := do(q.CAS("k", "2", 0, []byte("y"))); !errors.Is(err, ErrConflict) || v.Version != 1 || string(v.Data) != "x" {
		t.Errorf("of an old version: %+v, %v", v, err)
	}
	if v, err := do(q.CAS("k", "3", 1, []byte("z"))); err != nil || v.Version != 2 {
		t.Errorf("second: %+v, %v", v, err)
	}
	if v, err := do(p.CAS("k", "1", 0, []byte("x"))); err != nil || v.Version != 2 || string(v.Data) != "z" {
		t.Errorf("the first again: %+v, %v", v, err)
	}
	delete(keepers, "a")
	delete(keepers, "b")
	if _, err := do(p.Get("k")); !errors.Is(err, ErrMinority) {
		t.Errorf("a minority: %v", err)
	} else if want := `register: no majority of the keepers: 1 of 3 keepers answered, for register "k"`; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}
