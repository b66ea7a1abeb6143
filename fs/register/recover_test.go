package register

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/anishathalye/porcupine"
)

// Planted bugs of a recovery.
const (
	openAtOnce bug = "the new roster is opened before all is carried over"
	fewHolders bug = "only the new keepers are asked what they hold"
	lowBallots bug = "ballots go on from those that the living know"
)

// disaster ends most keepers for good, and has processes recover the registers: one, or
// two at once, of which some die on the way. It returns once one has come to its end.
func (w *world) disaster() error {
	for w.now < 300+w.rng.IntN(2000) && w.queue.Len() > 0 {
		w.tick()
	}
	w.healed = true // of the rest; messages still come late
	clear(w.cut)
	roster, ids := w.newest, slices.Sorted(maps.Keys(w.keepers))
	for _, id := range ids {
		if k := w.keepers[id]; k.acc == nil && !k.lost {
			k.acc = k.open()
		}
	}
	held := func(id KeeperID) bool { return !w.keepers[id].lost }
	doomed := roster.All()
	w.rng.Shuffle(len(doomed), func(i, j int) { doomed[i], doomed[j] = doomed[j], doomed[i] })
	for _, id := range doomed {
		if roster.Quorum(held) {
			w.keepers[id].lost, w.keepers[id].acc = true, nil
		}
	}
	live := slices.DeleteFunc(ids, func(id KeeperID) bool { return w.keepers[id].lost })
	if len(live) == 0 || w.askRoster().Version == 0 {
		return errNobody // or nobody knows that there was a pond
	}
	for _, pr := range w.procs {
		w.abandon(pr)
		pr.gen++
	}
	known := w.known()
	w.history = nil
	for i := range 1 + w.rng.IntN(2) {
		pr := w.procs[i]
		pr.gen++
		w.later(pr, w.rng.IntN(200), func() { w.recover(pr) })
	}
	for end := w.now + 20_000; !w.recovered; w.tick() {
		if w.now > end || w.queue.Len() == 0 {
			return fmt.Errorf("no recovery comes to an end (newest %+v)", w.newest)
		}
	}
	for key, v := range known {
		if now := w.known()[key]; now.Version < v.Version {
			return fmt.Errorf("%s has version %d after the recovery, and the living had %d", key, now.Version, v.Version)
		}
	}
	return nil
}

var errNobody = errors.New("nobody lives")

// known is the value of the highest ballot of each key that the living have.
func (w *world) known() map[Key]Value {
	out, top := map[Key]Value{}, map[Key]Ballot{}
	for _, k := range w.keepers {
		if k.lost {
			continue
		}
		for key, c := range k.disk.Cells {
			if key != RosterKey && c.Accepted.Compare(top[key]) > 0 {
				out[key], top[key] = c.Value, c.Accepted
			}
		}
	}
	return out
}

// recover starts a recovery by a process.
func (w *world) recover(pr *proc) {
	pr.gen++
	pr.op, pr.change = nil, nil
	var live []KeeperID
	for _, id := range slices.Sorted(maps.Keys(w.keepers)) {
		if !w.keepers[id].lost && !slices.Contains(w.newest.GivenUp, id) {
			live = append(live, id)
		}
	}
	pr.p.Learn(w.askRoster())
	w.rng.Shuffle(len(live), func(i, j int) { live[i], live[j] = live[j], live[i] })
	var out []Request
	pr.rec, out = pr.p.Recover(w.id(), live, live[:min(1+2*w.rng.IntN(2), len(live))])
	switch w.bug {
	case openAtOnce:
		pr.rec.closed.Keepers = pr.rec.final.Keepers
		out = pr.rec.Resend()
	case lowBallots:
		pr.rec.closed.Floor, pr.rec.final.Floor = 0, 0
		pr.rec.closed.GivenUp, pr.rec.final.GivenUp = nil, nil
		out = pr.rec.Resend()
	}
	w.fired["recovery"]++
	w.launch(pr, out)
}

// recoverOn gives a recovery a reply. Some die on their way.
func (w *world) recoverOn(pr *proc, r Reply) {
	if w.bug == fewHolders && pr.rec.step == listHeld {
		pr.rec.live = pr.rec.final.Keepers
	}
	out, s := pr.rec.Step(r)
	w.send(pr, out)
	switch {
	case s == Done && pr.rec.Result() == nil:
		w.fired["recovered"]++
		w.recovered = true
		pr.rec = nil
		w.boot(pr)
	case s == Done:
		w.fired["overtaken"]++
		w.recoverAgain(pr)
	case !w.recovered && w.chance(1):
		w.fired["died"]++
		w.recoverAgain(pr)
	}
}

// recoverAgain begins anew, as another process, if that is still needed.
func (w *world) recoverAgain(pr *proc) {
	pr.rec = nil
	pr.gen++
	pr.boot++
	pr.p = NewProposer(fmt.Sprintf("%s-%d", pr.name, pr.boot), pr.p.Roster())
	if closed(w.newest) || !w.recovered {
		w.later(pr, 1+w.rng.IntN(100), func() { w.recover(pr) })
		return
	}
	w.boot(pr)
}

// afterwards is what the recovered registers do: new operations and changes of the
// roster, while keepers that were lost come back with all that they had.
func (w *world) afterwards() error {
	for _, pr := range w.procs {
		if pr.rec == nil {
			w.boot(pr)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(w.keepers)) {
		if k := w.keepers[id]; k.lost && w.chance(50) {
			w.after(w.rng.IntN(500), func() { // it has heard of the newest roster
				w.fired["back"]++
				k.lost, k.disk.Roster = false, w.newest
				k.acc = k.open()
			})
		}
	}
	w.healed, w.planned = false, true
	w.after(w.rng.IntN(200), w.fault)
	for end := w.now + runTicks; w.now < end && w.queue.Len() > 0; {
		w.tick()
	}
	for _, pr := range w.procs {
		w.abandon(pr) // what is under way may have happened
	}
	if porcupine.CheckOperations(recoveredModel(), w.history) {
		return nil
	}
	return fmt.Errorf("%d operations after the recovery are not linearizable", len(w.history))
}

// recoveredModel is a register of which it is not known how it begins.
func recoveredModel() porcupine.Model {
	m := model
	m.Init = func() any { return opOutput{unknown: true} }
	m.Step = func(state, input, output any) (bool, any) {
		now, in, out := state.(opOutput), input.(opInput), output.(opOutput)
		switch {
		case !now.unknown:
			return model.Step(state, input, output)
		case out.unknown:
			return true, now
		case in.cas && !out.conflict:
			return true, opOutput{version: in.expect + 1, data: in.data}
		}
		return true, opOutput{version: out.version, data: out.data}
	}
	return m
}

// recoverOnce is one seed's disaster, and what comes after.
func recoverOnce(seed uint64, b bug) (*world, error) {
	w := newWorld(seed, b)
	err := w.disaster()
	if errors.Is(err, errNobody) {
		return w, nil
	}
	if err == nil {
		err = w.afterwards()
	}
	return w, err
}

// Registers whose keepers are gone for the most part are recovered, by one or two at once,
// whoever dies meanwhile: nothing that the living have is lost, and from then on the
// registers are linearizable, though the lost come back.
func TestRecover(t *testing.T) {
	n := *seeds / 5
	if testing.Short() {
		n = min(n, 100)
	}
	fired := map[string]int{}
	for i := range n {
		seed := *seed0 + uint64(i)
		w, err := recoverOnce(seed, noBug)
		if err != nil {
			t.Fatalf("seed %d (go test -run 'TestRecover$' ./fs/register -seeds 5 -seed %d): %v", seed, seed, err)
		}
		for k, v := range w.fired {
			fired[k] += v
		}
	}
	t.Log(fired)
	for _, f := range []string{"recovery", "recovered", "overtaken", "died", "back", "planned"} {
		if fired[f] == 0 {
			t.Errorf("no %s happened", f)
		}
	}
}

// Each bug planted in a recovery is found by some seed.
func TestRecoverBugs(t *testing.T) {
	for b, from := range map[bug]uint64{openAtOnce: 80, fewHolders: 50, lowBallots: 360} { // to be quick
		t.Run(string(b), func(t *testing.T) {
			t.Parallel()
			for seed := from; seed < from+bugSeeds; seed++ {
				if _, err := recoverOnce(seed, b); err != nil {
					t.Logf("seed %d: %v", seed, err)
					return
				}
			}
			t.Errorf("no seed finds it")
		})
	}
}

// Keepers that were given up are never chosen again.
func TestPlanWithoutGivenUp(t *testing.T) {
	r := Roster{Version: 9, Keepers: keepersOf("a"), GivenUp: keepersOf("b c")}
	if got := Plan(r, candidatesOf("a b c")); got != nil {
		t.Errorf("%v", got)
	}
	if got := Plan(r, candidatesOf("a b c d e")); !slices.Equal(got, keepersOf("a d e")) {
		t.Errorf("%v", got)
	}
}

// closed reports whether a recovery has begun on the roster, and not ended.
func closed(r Roster) bool {
	return len(r.Keepers) == 1 && strings.HasPrefix(string(r.Keepers[0]), recovering)
}
