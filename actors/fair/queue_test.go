package fair

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
)

func enter(q *Queue, user string, n int) (out []*Turn) {
	for i := range n {
		out = append(out, q.Enter(Entrant{ID: plan.JobID(fmt.Sprint(user, i)), User: user}))
	}
	return out
}

func ids(ts []*Turn) (out []string) {
	for _, t := range ts {
		out = append(out, string(t.ID))
	}
	return out
}

// drain ends one job after the other, and says in which order the others are admitted.
func drain(q *Queue, running ...*Turn) (order []string) {
	for len(running) > 0 {
		next := q.Leave(running[0])
		order = append(order, ids(next)...)
		running = append(running[1:], next...)
	}
	return order
}

func TestQueueOrder(t *testing.T) {
	q := NewQueue(Limits{Jobs: 2, Waiting: 10})
	a := enter(q, "a", 5)
	b := enter(q, "b", 2)
	c := enter(q, "c", 1)
	for i, want := range []struct {
		turn  *Turn
		place int
	}{{a[0], 0}, {a[1], 0}, {a[2], 1}, {b[0], 2}, {c[0], 3}, {a[3], 4}, {b[1], 5}, {a[4], 6}} {
		if got := q.Place(want.turn); got != want.place || want.turn.Admitted() != (want.place == 0) {
			t.Errorf("job %d is at place %d, not %d", i, got, want.place)
		}
	}
	if got, want := drain(q, a[0], a[1]), []string{"a2", "b0", "c0", "a3", "b1", "a4"}; !slices.Equal(got, want) {
		t.Errorf("the order was %v", got)
	}
	if q.Waiting() != 0 || len(q.users) != 0 || len(q.round) != 0 || q.held != 0 {
		t.Errorf("left: %+v", q)
	}
}

func TestQueueBounds(t *testing.T) {
	q := NewQueue(Limits{Jobs: 1, User: 1, Waiting: 2})
	a := enter(q, "a", 4)
	if a[0] == nil || a[2] == nil || a[3] != nil || q.Waiting() != 2 || !q.Full(Entrant{User: "b"}) || q.Full(Entrant{Kept: true}) {
		t.Fatalf("%d wait, the last is %v", q.Waiting(), a[3])
	}
	if !q.HeldUp(a[1]) {
		t.Error("a second job of the user is not held up by the first")
	}
	kept := q.Enter(Entrant{ID: "kept", User: "k", Kept: true})
	begun := q.Enter(Entrant{ID: "begun", User: "k", Begun: true})
	if kept == nil || kept.Admitted() || !begun.Admitted() {
		t.Error("a job that was taken in elsewhere is refused, or does not go on")
	}
	if next := q.Leave(a[0]); next != nil { // the node drives one job still
		t.Errorf("%v are admitted beyond the limit", ids(next))
	}
	if next := q.Leave(a[1]); next != nil || q.Waiting() != 2 {
		t.Errorf("one that waited left, and %v are admitted", ids(next))
	}
	if got := ids(q.Leave(begun)); !slices.Equal(got, []string{"a2"}) {
		t.Errorf("%v are admitted", got)
	}
	if q.Leave(begun) != nil || q.held != 1 {
		t.Error("leaving twice frees two places")
	}
}

// A job that a client waits for is not held up by long ones.
func TestQueueQuick(t *testing.T) {
	q := NewQueue(Limits{Jobs: 2, Quick: 1, Waiting: 9})
	long := enter(q, "a", 4)
	ask := func(id plan.JobID, user string) *Turn { return q.Enter(Entrant{ID: id, User: user, Attended: true}) }
	s1, s2, s3 := ask("s1", "b"), ask("s2", "b"), ask("s3", "c")
	if !s1.Admitted() || s2.Admitted() {
		t.Fatal("there is one quick place")
	}
	if got := ids(q.Leave(s1)); !slices.Equal(got, []string{"s3"}) {
		t.Errorf("%v are next: c has had no quick place", got)
	}
	if got := ids(q.Leave(long[0])); !slices.Equal(got, []string{"s2"}) || s3.quick {
		t.Errorf("%v are next: the place that fell free is taken over, and the quick one is free", got)
	}
	if got := ids(q.Leave(long[1])); !slices.Equal(got, []string{"a2"}) || !s2.quick {
		t.Errorf("%v are next: every other place is for those that wait", got)
	}
}

// Whatever comes and goes: the limits are kept, no place is free while somebody may
// have it, and whoever waits is admitted within as many ends as others may pass it.
func TestQueueProperties(t *testing.T) {
	for seed := range uint64(300) {
		if err := crowd(rand.New(rand.NewPCG(seed, 1))); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func crowd(rng *rand.Rand) error {
	l := Limits{Jobs: 1 + rng.IntN(4), Quick: rng.IntN(3), User: rng.IntN(3), Waiting: 1 + rng.IntN(20)}
	q := NewQueue(l)
	var in []*Turn
	over := 0                    // places that were given beyond the limits
	passed := map[*Turn]int{}    // jobs without quick places that were admitted before it
	order := map[string][]int{}  // admissions of each user's unattended jobs
	admit := func(ts ...*Turn) { // as they are told
		for _, t := range ts {
			if t.Attended {
				continue
			}
			var n int
			fmt.Sscanf(string(t.ID), "%d", &n)
			order[t.User] = append(order[t.User], n)
			for _, o := range in {
				if !o.Admitted() {
					passed[o]++
				}
			}
		}
	}
	for step := range 400 {
		if rng.IntN(2) == 0 || len(in) == 0 {
			e := Entrant{ID: plan.JobID(fmt.Sprint(step)), User: fmt.Sprint("u", rng.IntN(5)), Attended: rng.IntN(4) == 0, Begun: rng.IntN(40) == 0}
			full := q.Full(e)
			t := q.Enter(e)
			if (t == nil) != full || full && q.waiting < l.Waiting {
				return fmt.Errorf("step %d: refused: %v, said to be full: %v, while %d of %d wait", step, t == nil, full, q.waiting, l.Waiting)
			}
			if t == nil {
				continue
			}
			if in = append(in, t); t.Begun {
				over++
			} else if t.Admitted() {
				admit(t)
			}
		} else {
			i := rng.IntN(len(in))
			t := in[i]
			in = slices.Delete(in, i, i+1)
			admit(q.Leave(t)...)
		}
		if err := sound(q, in, over); err != nil {
			return fmt.Errorf("step %d: %w", step, err)
		}
	}
	for user, ns := range order {
		if !slices.IsSorted(ns) {
			return fmt.Errorf("jobs of %s were admitted as %v", user, ns)
		}
	}
	for t, n := range passed {
		if most := (l.Waiting + 1) * 5; l.User == 0 && n > most {
			return fmt.Errorf("%d jobs were admitted before %s, more than %d", n, t.ID, most)
		}
	}
	return emptied(q, in)
}

// sound looks at the queue from outside.
func sound(q *Queue, in []*Turn, over int) error {
	held, quick, waiting := 0, 0, 0
	users := map[string]int{}
	places := map[int]bool{}
	for _, t := range in {
		switch {
		case !t.Admitted():
			waiting++
			places[q.Place(t)] = true
			continue
		case t.quick:
			quick++
		default:
			held++
		}
		if users[t.User]++; q.limits.User > 0 && users[t.User] > q.limits.User+over {
			return fmt.Errorf("%s has %d places", t.User, users[t.User])
		}
	}
	if held > q.limits.Jobs+over || quick > q.limits.Quick || held != q.held || waiting != q.Waiting() {
		return fmt.Errorf("%d places, %d quick ones, %d wait", held, quick, waiting)
	}
	if waiting > q.limits.Waiting {
		return fmt.Errorf("%d wait", waiting)
	}
	for i := range waiting {
		if !places[i+1] {
			return fmt.Errorf("nobody is at place %d of %d", i+1, waiting)
		}
	}
	if q.held < q.limits.Jobs && q.next() != nil {
		return fmt.Errorf("%s waits while a place is free", q.next().ID)
	}
	return nil
}

// emptied ends all that run until nobody is left: nobody waits for ever.
func emptied(q *Queue, in []*Turn) error {
	for ends := 0; len(in) > 0; ends++ {
		i := slices.IndexFunc(in, (*Turn).Admitted)
		if i < 0 {
			return fmt.Errorf("%d wait, and nothing runs", len(in))
		}
		t := in[i]
		in = slices.Delete(in, i, i+1)
		q.Leave(t)
	}
	if q.held != 0 || q.waiting != 0 || len(q.users) != 0 || len(q.round) != 0 || len(q.quick) != 0 {
		return fmt.Errorf("left: %+v", q)
	}
	return nil
}
