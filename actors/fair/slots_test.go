package fair

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
)

// world is a node whose jobs always have another task, until they have run all.
type world struct {
	t     *testing.T
	s     *Slots
	now   int64
	tasks map[plan.JobID][]int64 // milliseconds of those to come
	runs  []run
	got   map[plan.JobID]int64 // milliseconds of slots
	began map[plan.JobID]int64 // the first task's start
	ends  int                  // of tasks
}

type run struct {
	h    *Hold
	end  int64
	from int64
}

func newWorld(t *testing.T, slots int, lane bool) *world {
	return &world{t: t, s: New(slots, lane), tasks: map[plan.JobID][]int64{}, got: map[plan.JobID]int64{}, began: map[plan.JobID]int64{}}
}

func (w *world) submit(id plan.JobID, user string, small bool, tasks ...int64) {
	w.tasks[id] = tasks
	w.s.Want(id, user, small, w.now)
	w.fill()
}

func repeat(n int, millis int64) []int64 { return slices.Repeat([]int64{millis}, n) }

func (w *world) fill() {
	for {
		h := w.s.Next(w.now)
		if h == nil {
			break
		}
		id := h.Job()
		if _, ok := w.began[id]; !ok {
			w.began[id] = w.now
		}
		w.runs = append(w.runs, run{h, w.now + w.tasks[id][0], w.now})
		if w.tasks[id] = w.tasks[id][1:]; len(w.tasks[id]) == 0 {
			w.s.Rest(id)
		}
	}
	w.check()
}

func (w *world) check() {
	w.t.Helper()
	if len(w.runs) > w.s.ordinary+1 || len(w.runs) > w.s.ordinary && !w.s.lane {
		w.t.Fatalf("%d tasks on %d slots", len(w.runs), w.s.ordinary)
	}
	for id, left := range w.tasks {
		if len(left) > 0 && len(w.runs) < w.s.ordinary {
			w.t.Fatalf("a slot is free, and job %s waits", id)
		}
	}
}

// step runs until the next task ends; false: none runs.
func (w *world) step() bool {
	if len(w.runs) == 0 {
		return false
	}
	slices.SortStableFunc(w.runs, func(a, b run) int { return int(a.end - b.end) })
	r := w.runs[0]
	w.runs, w.now = w.runs[1:], r.end
	w.ends++
	w.got[r.h.Job()] += r.end - r.from
	id := r.h.Job()
	w.s.Give(r.h, w.now)
	w.s.Give(r.h, w.now)
	if len(w.tasks[id]) == 0 && !slices.ContainsFunc(w.runs, func(o run) bool { return o.h.Job() == id }) {
		w.s.Forget(id)
		delete(w.tasks, id)
	}
	w.fill()
	return true
}

func (w *world) until(ms int64) {
	for len(w.runs) > 0 && slices.MinFunc(w.runs, func(a, b run) int { return int(a.end - b.end) }).end <= ms {
		w.step()
	}
	w.now = max(w.now, ms)
}

func near(t *testing.T, what string, got, want, slack int64) {
	t.Helper()
	if got < want-slack || got > want+slack {
		t.Errorf("%s: %d ms of slots, want %d", what, got, want)
	}
}

// TestShares: who wants as much as there is gets an even share, whatever the length of
// the tasks.
func TestShares(t *testing.T) {
	for _, slots := range []int{1, 2, 3, 8} {
		t.Run(fmt.Sprint(slots, " slots"), func(t *testing.T) {
			w := newWorld(t, slots, false)
			w.submit("long", "ann", false, repeat(1000, 1000)...)
			w.until(5_000) // what it had alone is not held against it
			clear(w.got)
			w.submit("short", "ann", false, repeat(100_000, 10)...)
			w.until(65_000)
			half := int64(slots) * 30_000
			near(t, "the job with long tasks", w.got["long"], half, half/10)
			near(t, "the job with short tasks", w.got["short"], half, half/10)
		})
	}
}

// TestSharesOfUsers: twenty jobs of one user do not push aside one of another.
func TestSharesOfUsers(t *testing.T) {
	w := newWorld(t, 4, false)
	for i := range 20 {
		w.submit(plan.JobID(fmt.Sprint("ann", i)), "ann", false, repeat(1000, 100)...)
	}
	w.submit("bob", "bob", false, repeat(10_000, 100)...)
	w.until(60_000)
	near(t, "bob's job", w.got["bob"], 120_000, 6_000)
	for i := range 20 {
		id := plan.JobID(fmt.Sprint("ann", i))
		near(t, "a job of ann", w.got[id], 6_000, 400)
	}
}

// TestNoDebt: a job that had no work for long is not owed what it did not use.
func TestNoDebt(t *testing.T) {
	w := newWorld(t, 1, false)
	w.submit("idle", "ann", false, 100)
	w.s.Want("idle2", "ann", false, 0)
	w.s.Rest("idle2")
	w.submit("busy", "ann", false, repeat(1000, 100)...)
	w.until(50_000)
	before := w.got["busy"]
	w.submit("idle2", "ann", false, repeat(1000, 100)...)
	w.until(60_000)
	near(t, "the job that was busy", w.got["busy"]-before, 5_000, 200)
}

// TestBeginners: jobs of a user that begin all the time do not keep one that waits from its
// share, be they small, and be it one that has been served before.
func TestBeginners(t *testing.T) {
	const clients = 12
	for _, slots := range []int{1, 2, 4} {
		for _, lane := range []bool{false, true} {
			for _, beginners := range []bool{false, true} { // are small
				for _, waiter := range []bool{false, true} { // is small
					name := fmt.Sprintf("%d slots, lane %t, small: beginners %t, waiter %t", slots, lane, beginners, waiter)
					w := newWorld(t, slots, lane)
					begun := 0
					until := func(end int64, jobs int) {
						for w.now < end {
							w.step()
							for len(w.tasks) < jobs {
								begun++
								w.submit(plan.JobID(fmt.Sprint("new", begun)), "ann", beginners, 800)
							}
						}
					}
					w.submit("new", "ann", beginners, 800)
					until(5_000, clients)
					w.submit("waiter", "ann", waiter, repeat(1000, 100)...)
					until(125_000, clients+1)
					even := int64(slots) * 120_000 / (clients + 1)
					if got := w.got["waiter"]; got < even*2/3 { // small ones come first, for a while
						t.Errorf("%s: %d ms of slots, even were %d", name, got, even)
					}
				}
			}
		}
	}
}

// TestLongGone: who begins does not wait until others have had what a job that is gone had
// more than they, be it long gone.
func TestLongGone(t *testing.T) {
	for _, after := range []int64{0, 6_000_000} {
		for _, slots := range []int{1, 2} {
			for _, small := range []bool{false, true} {
				w := newWorld(t, slots, false)
				w.submit("long", "ann", false, repeat(slots, 600_000)...)
				for i := range slots + 1 {
					w.submit(plan.JobID(fmt.Sprint("waits", i)), "ann", false, repeat(30_000, 1_000)...)
				}
				w.until(600_000 + after)
				begun := w.now
				w.submit("begins", "ann", small, 1_000)
				w.until(begun + 100_000)
				if at, ok := w.began["begins"]; !ok || at-begun > 8_000 {
					t.Errorf("%d slots, small %t, %d ms after the long job: it began %d ms later (%t)", slots, small, after, at-begun, ok)
				}
			}
		}
	}
}

// TestQuick: a small job begins at once while long tasks hold all other slots.
func TestQuick(t *testing.T) {
	w := newWorld(t, 2, true)
	w.submit("long", "ann", false, repeat(10, 60_000)...)
	w.until(1_000)
	w.submit("first", "bob", true, 50)
	if w.began["first"] != 1_000 {
		t.Fatal("a small job waits, with the quick slot free")
	}
	w.submit("second", "bob", true, 50)
	w.until(2_000)
	if w.began["second"] != 1_050 {
		t.Errorf("the second one began at %d, not when the first had ended", w.began["second"])
	}
	w.submit("large", "bob", false, 50)
	w.until(59_000)
	if _, ok := w.began["large"]; ok {
		t.Error("a job that is not small has the quick slot")
	}
}

// TestQuickOutgrown: a task that is not short after all moves to the next ordinary slot
// that falls free.
func TestQuickOutgrown(t *testing.T) {
	w := newWorld(t, 1, true)
	w.submit("long", "ann", false, repeat(10, 10_000)...)
	w.submit("liar", "bob", true, 100_000)
	w.submit("small", "eve", true, 10)
	w.until(9_000)
	if _, ok := w.began["small"]; ok {
		t.Fatal("two tasks are on the quick slot")
	}
	w.until(10_000)
	if w.began["small"] != 10_000 {
		t.Errorf("the small job began at %d: the slot that fell free was not handed over", w.began["small"])
	}
	w.until(99_000)
	if len(w.tasks["long"]) != 9 {
		t.Errorf("%d tasks of the long job are left: it ran beside the one that had taken its slot", len(w.tasks["long"]))
	}
}

// TestRandom: no slot is free while a job waits, a job that holds nothing waits for a few
// rounds of the sixty jobs at most, and every slot comes back.
func TestRandom(t *testing.T) {
	for range 200 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			w := newWorld(t, 1+rnd.IntN(4), rnd.IntN(2) == 0)
			submitted := map[plan.JobID]int{} // task ends before it
			for i := range 60 {
				id := plan.JobID(fmt.Sprint(i))
				submitted[id] = w.ends
				small := rnd.IntN(3) == 0
				n := 1
				if !small {
					n += rnd.IntN(30)
				}
				tasks := make([]int64, n)
				for k := range tasks {
					tasks[k] = 1 + rnd.Int64N(5_000)
				}
				w.submit(id, fmt.Sprint(rnd.IntN(3)), small, tasks...)
				for range rnd.IntN(10) {
					w.step()
				}
				for id, before := range submitted {
					if _, ok := w.began[id]; ok {
						delete(submitted, id)
					} else if w.ends-before > 4*60 {
						t.Fatalf("job %s has waited for %d ends of tasks", id, w.ends-before)
					}
				}
			}
			for w.step() {
			}
			if !w.s.Idle() || w.s.free != w.s.ordinary || w.s.quick != nil || len(w.s.users) != 0 {
				t.Errorf("at the end: %+v", w.s)
			}
		})
	}
}
