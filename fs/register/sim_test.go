package register

import (
	"container/heap"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

var (
	seeds = flag.Int("seeds", 2000, "how many seeds TestSim runs")
	seed0 = flag.Uint64("seed", 1, "the first seed of TestSim")
)

// Bounds of a simulated run, in ticks.
const (
	runTicks    = 4000 // faults happen until then
	healTicks   = 8000 // and everything must have come right until then
	resendTicks = 40
	waitTicks   = 600 // of an operation
)

// bug is a planted one, which a run must find.
type bug string

const (
	noBug          bug = ""
	stalePromise   bug = "an accept below the promise is taken"
	viewQuorum     bug = "a majority of those alive is enough"
	missedKey      bug = "a change of the roster writes only its own key again"
	noFsync        bug = "replies go out before the write is durable"
	anyRoster      bug = "acceptors do not look at the roster's version"
	oldBoot        bug = "a proposer that restarts uses its ballots again"
	softConflict   bug = "a conflict is told without settling what is accepted"
	forgottenRetry bug = "a retry does not look for its own success"
	emptyKeeper    bug = "a keeper whose disk was lost comes back under its id"
)

// world is one simulated run: keepers, processes, network and clock, all from one seed.
type world struct {
	rng       *rand.Rand
	bug       bug
	now       int
	queue     events
	count     int // of events: keeps equal times in order
	keepers   map[KeeperID]*keeper
	procs     []*proc
	cut       map[string]bool // who is cut off from the others
	history   []porcupine.Operation
	fired     map[string]int
	ids       int
	newest    Roster // installed anywhere
	planned   bool   // keepers are chosen by Plan, if it wants others
	healed    bool
	recovered bool // a recovery has come to its end
}

// keeper is an acceptor with its disk.
type keeper struct {
	id   KeeperID
	acc  *Acceptor // nil while it is down
	disk State     // what is durable
	lost bool      // its disk is gone: it never comes back
}

// proc is a process that reads and changes registers, one operation after another.
type proc struct {
	name   string
	boot   int
	p      *Proposer
	op     *Operation // or
	change *Change
	rec    *Recovery // or
	input  opInput
	id     ChangeID
	began  int
	tries  int
	err    error         // how its last operation ended
	seen   map[Key]Value // what it read last
	gen    int           // of what runs: timers of others are stale
}

type opInput struct {
	key    Key
	cas    bool
	expect uint64
	data   string
}

type opOutput struct {
	unknown, conflict bool
	version           uint64
	data              string
}

type event struct {
	at, n int
	do    func()
}

type events []event

func (q events) Len() int { return len(q) }
func (q events) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].n < q[j].n
}
func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *events) Push(x any)   { *q = append(*q, x.(event)) }
func (q *events) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

func (w *world) after(d int, do func()) {
	w.count++
	heap.Push(&w.queue, event{w.now + d, w.count, do})
}

func (w *world) chance(percent int) bool { return w.rng.IntN(100) < percent }

func newWorld(seed uint64, b bug) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 7)), bug: b, keepers: map[KeeperID]*keeper{}, cut: map[string]bool{}, fired: map[string]int{}}
	first := w.addKeeper(Roster{})
	first.disk.Roster = Roster{Version: 1, Keepers: []KeeperID{first.id}}
	first.acc = first.open()
	w.newest = first.disk.Roster
	for range 4 {
		w.addKeeper(Roster{})
	}
	for i := range 3 {
		pr := &proc{name: fmt.Sprintf("p%d", i), seen: map[Key]Value{}}
		w.procs = append(w.procs, pr)
		w.boot(pr)
	}
	w.after(0, func() { // the roster's own register
		pr := w.procs[0]
		pr.gen++
		pr.input = opInput{key: RosterKey, cas: true, data: string(w.newest.Encode())}
		pr.id, pr.began = w.id(), w.now
		pr.op = pr.p.CAS(RosterKey, pr.id, 0, w.newest.Encode())
		w.launch(pr, pr.op.Start())
	})
	w.after(w.rng.IntN(200), w.fault)
	return w
}

func (w *world) id() ChangeID {
	w.ids++
	return ChangeID(fmt.Sprint("c", w.ids))
}

func (w *world) addKeeper(r Roster) *keeper {
	k := &keeper{id: KeeperID(fmt.Sprintf("k%d", len(w.keepers)))}
	k.disk = State{ID: k.id, Roster: r, Cells: map[Key]Cell{}}
	k.acc = k.open()
	w.keepers[k.id] = k
	return k
}

// load is the disk as it is read at a start.
func (k *keeper) load() State {
	return State{ID: k.disk.ID, Roster: k.disk.Roster, Cells: maps.Clone(k.disk.Cells)}
}

// open is the acceptor after a start. It tells its few keys in pages too.
func (k *keeper) open() *Acceptor {
	a := NewAcceptor(k.load())
	a.pageMax = 2
	return a
}

func (k *keeper) store(wr *Write) {
	if wr.Roster != nil {
		k.disk.Roster = *wr.Roster
		return
	}
	k.disk.Cells[wr.Key] = wr.Cell
}

// boot starts a process anew; it asks a keeper for the roster.
func (w *world) boot(pr *proc) {
	pr.gen++
	if pr.boot++; w.bug == oldBoot {
		pr.boot = 1
	}
	r := w.askRoster()
	if r.Version == 0 {
		w.after(50, func() { w.boot(pr) })
		return
	}
	pr.p = NewProposer(fmt.Sprintf("%s-%d", pr.name, pr.boot), r)
	pr.op, pr.change, pr.rec = nil, nil, nil
	w.later(pr, w.rng.IntN(30), func() { w.next(pr) })
}

// askRoster asks around for a roster, as whoever knows none does.
func (w *world) askRoster() (r Roster) {
	for _, id := range slices.Sorted(maps.Keys(w.keepers)) {
		if k := w.keepers[id]; k.acc != nil && !k.lost && k.acc.Roster().Version > 0 && (r.Version == 0 || w.chance(50)) {
			r = k.acc.Roster()
		}
	}
	return r
}

// later runs f unless the process has gone on to something else by then.
func (w *world) later(pr *proc, d int, f func()) {
	gen := pr.gen
	w.after(d, func() {
		if pr.gen == gen {
			f()
		}
	})
}

// next starts what the process does next.
func (w *world) next(pr *proc) {
	pr.gen++
	pr.op, pr.change, pr.tries = nil, nil, 0
	if w.healed && w.now >= runTicks+waitTicks {
		return
	}
	if pr.p.Roster().Joint() || !w.healed && w.chance(10) {
		w.changeRoster(pr)
		return
	}
	key := Key(fmt.Sprint("r", w.rng.IntN(3)))
	pr.began = w.now
	pr.input = opInput{key: key}
	if w.chance(60) {
		pr.id = w.id()
		pr.input = opInput{key: key, cas: true, expect: pr.seen[key].Version, data: string(pr.id)}
	}
	w.try(pr)
}

// try starts the process's operation, or starts it again with the same id.
func (w *world) try(pr *proc) {
	pr.gen++
	if in := pr.input; in.cas {
		id := pr.id
		if w.bug == forgottenRetry && pr.tries > 0 {
			id += "x"
		}
		pr.op = pr.p.CAS(in.key, id, in.expect, []byte(in.data))
	} else {
		pr.op = pr.p.Get(in.key)
	}
	w.launch(pr, pr.op.Start())
}

// changeRoster ends a change that is under way, or makes one to some keepers that
// are alive.
func (w *world) changeRoster(pr *proc) {
	w.fired["change"]++
	var alive []KeeperID
	for _, id := range slices.Sorted(maps.Keys(w.keepers)) {
		if k := w.keepers[id]; k.acc != nil && !k.lost && !slices.Contains(w.newest.GivenUp, id) {
			alive = append(alive, id)
		}
	}
	w.rng.Shuffle(len(alive), func(i, j int) { alive[i], alive[j] = alive[j], alive[i] })
	if w.planned {
		if next := Plan(pr.p.Roster(), w.candidates(pr)); next != nil {
			w.fired["planned"]++
			var out []Request
			pr.change, out = pr.p.Change(w.id(), next)
			w.launch(pr, out)
			return
		}
	}
	n := min(1+2*w.rng.IntN(3), len(alive))
	if n == 0 {
		w.later(pr, 20, func() { w.next(pr) })
		return
	}
	var out []Request
	pr.change, out = pr.p.Change(w.id(), alive[:n])
	w.launch(pr, out)
}

// candidates are the keepers as a process may see them: those that are cut off may come
// back, those that are down may be taken for dead.
func (w *world) candidates(pr *proc) (out []Candidate) {
	for _, id := range slices.Sorted(maps.Keys(w.keepers)) {
		k := w.keepers[id]
		fit := k.acc != nil && !k.lost && w.cut[string(id)] == w.cut[pr.name]
		if fit || !k.lost && slices.Contains(pr.p.Roster().Keepers, id) && w.chance(50) {
			out = append(out, Candidate{ID: id, Fit: fit})
		}
	}
	return out
}

// launch sends the first requests of what the process does, and minds its time.
func (w *world) launch(pr *proc, out []Request) {
	w.send(pr, out)
	w.later(pr, resendTicks, func() { w.resend(pr) })
	w.later(pr, waitTicks, func() { w.giveUp(pr) })
}

func (w *world) resend(pr *proc) {
	if pr.rec != nil {
		w.send(pr, pr.rec.Resend())
	} else if pr.change != nil {
		w.send(pr, pr.change.Resend())
	} else {
		w.send(pr, pr.op.Resend())
	}
	w.later(pr, resendTicks, func() { w.resend(pr) })
}

// giveUp ends the waiting. What is not known is tried again, or left open for ever.
func (w *world) giveUp(pr *proc) {
	pr.p.Learn(w.askRoster()) // those that are asked may all be gone
	if pr.rec != nil {
		w.recoverAgain(pr)
		return
	}
	if pr.change != nil {
		w.next(pr)
		return
	}
	_, err := pr.op.Result()
	if errors.Is(err, ErrUnknown) && pr.tries < 3 && w.chance(70) {
		w.fired["retry"]++
		pr.tries++
		w.try(pr)
		return
	}
	w.end(pr, Value{}, err)
}

// send carries requests to keepers and their replies back.
func (w *world) send(pr *proc, out []Request) {
	gen := pr.gen
	for _, r := range out {
		w.carry(pr.name, string(r.To), func() {
			reply, ok := w.answer(r)
			if !ok {
				return
			}
			w.carry(string(r.To), pr.name, func() {
				if pr.gen == gen {
					w.step(pr, reply)
				}
			})
		})
	}
}

// carry delivers after a while, never, or twice.
func (w *world) carry(from, to string, do func()) {
	if w.cut[from] != w.cut[to] {
		return
	}
	copies := 1
	if !w.healed {
		switch n := w.rng.IntN(100); {
		case n < 8:
			copies = 0
		case n < 14:
			copies = 2
		}
	}
	for range copies {
		d := 1 + w.rng.IntN(10)
		if !w.healed && w.chance(5) {
			d += w.rng.IntN(400)
		}
		w.after(d, do)
	}
}

// answer has a keeper answer; it does not while it is down.
func (w *world) answer(r Request) (Reply, bool) {
	k := w.keepers[r.To]
	if k == nil || k.acc == nil || k.lost && w.bug != emptyKeeper {
		return Reply{}, false
	}
	switch {
	case w.bug == anyRoster && r.Kind != Install:
		r.Roster = k.acc.Roster().Version
	case w.bug == stalePromise && r.Kind == Accept:
		if c := k.acc.s.Cells[r.Key]; r.Ballot.Compare(c.Promised) < 0 {
			c.Promised = Ballot{}
			k.acc.s.Cells[r.Key] = c
		}
	}
	reply, wr := k.acc.Step(r)
	if v := k.acc.Roster(); v.Version > w.newest.Version {
		w.newest = v
	}
	if wr == nil {
		return reply, true
	}
	if w.bug == noFsync {
		acc := k.acc
		w.after(w.rng.IntN(60), func() {
			if k.acc == acc {
				k.store(wr)
			}
		})
		return reply, true
	}
	k.store(wr)
	if !w.healed && w.chance(1) { // between the write and its reply
		w.fired["crash"]++
		w.crash(k)
		return reply, false
	}
	return reply, true
}

// step gives a reply to what the process does.
func (w *world) step(pr *proc, r Reply) {
	var out []Request
	var s Status
	var again func() []Request
	switch {
	case pr.rec != nil:
		w.recoverOn(pr, r)
		return
	case pr.change != nil && w.bug == missedKey && pr.change.step == listKeys:
		r.Keys = nil
		out, s = pr.change.Step(r)
		again = pr.change.Again
	case pr.change != nil:
		out, s = pr.change.Step(r)
		again = pr.change.Again
	default:
		again = pr.op.Again
		if w.bug == viewQuorum {
			pr.op.roster = w.aliveOf(pr.op.roster)
		}
		out, s = pr.op.Step(r)
		if w.bug == softConflict && errors.Is(pr.op.err, ErrConflict) {
			pr.op.status, s = Done, Done
		}
	}
	w.send(pr, out)
	switch {
	case s == Outbid:
		w.fired["outbid"]++
		pr.gen++
		w.later(pr, 1+w.rng.IntN(60), func() { w.launch(pr, again()) })
	case s != Done:
	case pr.change != nil:
		if pr.change.Result() == nil {
			w.fired["changed"]++
		}
		w.next(pr)
	default:
		v, err := pr.op.Result()
		w.end(pr, v, err)
	}
}

// aliveOf is a roster as a view of who is alive would have it.
func (w *world) aliveOf(r Roster) Roster {
	dead := func(id KeeperID) bool { return w.keepers[id].acc == nil || w.cut[string(id)] }
	r.Keepers = slices.DeleteFunc(slices.Clone(r.Keepers), dead)
	r.Next = slices.DeleteFunc(slices.Clone(r.Next), dead)
	return r
}

// end writes an operation into the history.
func (w *world) end(pr *proc, v Value, err error) {
	pr.gen++
	pr.err = err
	if pr.input.key != RosterKey {
		conflict := errors.Is(err, ErrConflict) && !errors.Is(err, ErrUnknown)
		out := opOutput{version: v.Version, data: string(v.Data), conflict: conflict, unknown: err != nil && !conflict}
		w.note(pr, out)
	}
	if err == nil || errors.Is(err, ErrConflict) {
		pr.seen[pr.input.key] = v
	}
	w.later(pr, w.rng.IntN(20), func() { w.next(pr) })
}

// note writes an operation down. A change of unknown outcome may happen at any time
// after; a change that was found by its id may have been overwritten since.
func (w *world) note(pr *proc, out opOutput) {
	w.count++
	op := porcupine.Operation{ClientId: slices.Index(w.procs, pr), Input: pr.input, Output: out, Call: int64(pr.began) << 32, Return: int64(w.now)<<32 | int64(w.count)}
	if out.unknown {
		if !pr.input.cas || !pr.risked() {
			return
		}
		op.ClientId, op.Return = 100+w.count, 1<<62
	}
	w.history = append(w.history, op)
}

// risked reports whether the change may have happened.
func (pr *proc) risked() bool { return pr.tries > 0 || pr.op.risky }

// fault does something bad, now and then.
func (w *world) fault() {
	if w.healed {
		return
	}
	ids := slices.Sorted(maps.Keys(w.keepers))
	k := w.keepers[ids[w.rng.IntN(len(ids))]]
	switch w.rng.IntN(6) {
	case 0, 1:
		if k.acc != nil {
			w.fired["crash"]++
			w.crash(k)
		}
	case 2:
		w.fired["boot"]++
		pr := w.procs[w.rng.IntN(len(w.procs))]
		w.abandon(pr)
		w.boot(pr)
	case 3:
		w.fired["cut"]++
		for _, id := range ids {
			w.cut[string(id)] = w.chance(30)
		}
		for _, pr := range w.procs {
			w.cut[pr.name] = w.chance(20)
		}
		w.after(100+w.rng.IntN(300), func() { clear(w.cut) })
	case 4:
		if w.expendable(k) {
			w.fired["disk"]++
			w.loseDisk(k)
		}
	case 5:
		if len(w.keepers) < 9 {
			w.addKeeper(Roster{})
		}
	}
	w.after(50+w.rng.IntN(300), w.fault)
}

// abandon ends what a process did when it dies.
func (w *world) abandon(pr *proc) {
	if pr.op != nil && pr.change == nil && pr.input.cas && pr.input.key != RosterKey && pr.op.status != Done && pr.risked() {
		w.note(pr, opOutput{unknown: true})
	}
	pr.op, pr.change = nil, nil
}

func (w *world) crash(k *keeper) {
	k.acc = nil
	w.after(20+w.rng.IntN(200), func() {
		if k.acc == nil && !k.lost {
			k.acc = k.open()
		}
	})
}

// expendable reports whether a keeper's disk may be lost for good: no roster that is
// counted on, or may come to be, may lose its majority.
func (w *world) expendable(k *keeper) bool {
	if k.lost || slices.ContainsFunc(w.procs, func(pr *proc) bool { return pr.change != nil }) {
		return false
	}
	rosters := []Roster{w.newest}
	for _, o := range w.keepers {
		if r, err := DecodeRoster(o.disk.Cells[RosterKey].Value.Data); err == nil && r.Version > w.newest.Version {
			rosters = append(rosters, r)
		}
	}
	left := func(id KeeperID) bool { return id != k.id && w.keepers[id] != nil && !w.keepers[id].lost }
	return !slices.ContainsFunc(rosters, func(r Roster) bool { return !r.Quorum(left) })
}

func (w *world) loseDisk(k *keeper) {
	k.lost, k.acc = true, nil
	if w.bug == emptyKeeper {
		k.disk.Cells = map[Key]Cell{}
		w.after(50, func() { k.acc = k.open() })
		return
	}
	w.addKeeper(Roster{}) // the same machine, with another disk: another keeper
}

// heal ends all faults: everything must come right now.
func (w *world) heal() {
	w.healed = true
	clear(w.cut)
	for _, k := range w.keepers {
		if k.acc == nil && !k.lost {
			k.acc = k.open()
		}
	}
}

// run runs the world to its end, and says what was wrong.
func (w *world) run() error {
	w.after(runTicks, w.heal)
	for w.queue.Len() > 0 && w.now < healTicks {
		w.tick()
	}
	if err := w.check(); err != nil {
		return err
	}
	return w.readAll()
}

// readAll reads every register once more: what is left must be readable.
func (w *world) readAll() error {
	pr := w.procs[0]
	for i := range 3 {
		n := len(w.history)
		for try := 0; len(w.history) == n; try++ {
			if try == 3 {
				return fmt.Errorf("register r%d cannot be read after all faults have ended: %w (roster %+v, newest %+v)", i, pr.err, pr.p.Roster(), w.newest)
			}
			pr.op, pr.change, pr.tries, pr.began = nil, nil, 0, w.now
			pr.input = opInput{key: Key(fmt.Sprint("r", i))}
			pr.p.Learn(w.askRoster())
			w.try(pr)
			for end := w.now + 2*waitTicks; len(w.history) == n && w.queue.Len() > 0 && w.now < end; {
				w.tick()
			}
		}
	}
	return w.check()
}

// tick lets the next event happen.
func (w *world) tick() {
	e := heap.Pop(&w.queue).(event)
	w.now = e.at
	e.do()
}

// model is a register: what a history of it must look like.
var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) (out [][]porcupine.Operation) {
		byKey := map[Key][]porcupine.Operation{}
		for _, op := range history {
			k := op.Input.(opInput).key
			byKey[k] = append(byKey[k], op)
		}
		for _, k := range slices.Sorted(maps.Keys(byKey)) {
			out = append(out, byKey[k])
		}
		return out
	},
	Init: func() any { return opOutput{} },
	Step: func(state, input, output any) (bool, any) {
		now, in, out := state.(opOutput), input.(opInput), output.(opOutput)
		switch {
		case out.unknown && now.version == in.expect, in.cas && !out.unknown && !out.conflict:
			// It happened; what is told may be a later value.
			next := opOutput{version: in.expect + 1, data: in.data}
			if !out.unknown && (now.version != in.expect || out.version < next.version) {
				return false, now
			}
			return true, next
		case out.unknown:
			return true, now
		case out.conflict:
			return now.version != in.expect && now == opOutput{version: out.version, data: out.data}, now
		}
		return now == opOutput{version: out.version, data: out.data}, now
	},
}

func (w *world) check() error {
	if porcupine.CheckOperationsTimeout(model, w.history, time.Minute) == porcupine.Illegal {
		return fmt.Errorf("%d operations are not linearizable", len(w.history))
	}
	return nil
}

// Under all faults at once, registers are linearizable, and readable in the end.
func TestSim(t *testing.T) {
	n := *seeds
	if testing.Short() {
		n = min(n, 200)
	}
	fired, ops := map[string]int{}, 0
	for i := range n {
		seed := *seed0 + uint64(i)
		w := newWorld(seed, noBug)
		w.planned = seed%2 == 0
		if err := w.run(); err != nil {
			t.Fatalf("seed %d (go test -run 'TestSim$' ./fs/register -seeds 1 -seed %d): %v", seed, seed, err)
		}
		ops += len(w.history)
		for k, v := range w.fired {
			fired[k] += v
		}
	}
	t.Logf("seeds %d to %d: %d operations, %v", *seed0, *seed0+uint64(n)-1, ops, fired)
	for _, f := range []string{"crash", "boot", "cut", "disk", "change", "changed", "planned", "retry", "outbid"} {
		if fired[f] == 0 {
			t.Errorf("no %s happened", f)
		}
	}
}
