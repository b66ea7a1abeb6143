package sim

import (
	"cmp"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/pondmesh/pond/actors/fair"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/terms"
	"github.com/pondmesh/pond/fs/register"
	"github.com/pondmesh/pond/mesh"
)

// Times of a node, in milliseconds, as the real ones have them.
const (
	beatEvery   = 500
	suspectTime = 2500
	tickEvery   = 250
	followEvery = 1000
	drainMax    = 20_000
)

// node is a machine: its disk outlives what runs there.
type node struct {
	id    mesh.NodeID
	slots int
	disk  *disk
	boots int
	life  *life // nil: it is down
	skew  int64 // of its wall clock
	lost  bool  // it had another disk before
}

// life is one process, from its start to its death. Its glue does nothing once dead.
type life struct {
	w       *world
	n       *node
	boot    string
	dead    bool
	paused  int64 // until then
	leaving bool
	procs   []*proc

	met      map[mesh.NodeID]met
	view     *mesh.View // replaced when it changes
	peers    *peers.Peers
	records  *journal.Records
	segments *journal.Segments
	acceptor *register.Acceptor
	proposer *register.Proposer
	jobs     map[plan.JobID]*driving
	heirs    map[plan.JobID]*terms.Heir
	work     map[plan.JobID]*worked
	care     caretaker
	slots    *fair.Slots
	pulled   map[string]int // slots for which tasks are asked, by user
}

// met is what was heard of a member.
type met struct {
	member mesh.Member
	at     int64
}

// start boots a node on what its disk has.
func (n *node) start(w *world) {
	n.boots++
	l := &life{w: w, n: n, boot: fmt.Sprintf("%03d", n.boots), met: map[mesh.NodeID]met{},
		jobs: map[plan.JobID]*driving{}, heirs: map[plan.JobID]*terms.Heir{}, work: map[plan.JobID]*worked{}, slots: fair.New(n.slots, true), pulled: map[string]int{}}
	n.life = l
	w.logf("%s starts, boot %s", n.id, l.boot)
	l.care.deadSince = map[register.KeeperID]int64{}
	l.peers = &peers.Peers{Self: n.id, View: func() *mesh.View { return l.view }}
	quiet := slog.New(slog.DiscardHandler)
	var err error
	if l.records, err = journal.OpenRecords(n.disk, 0, quiet); err == nil {
		l.segments, err = journal.OpenSegments(n.disk, math.MaxInt64, quiet)
	}
	if err != nil {
		w.breaks(fmt.Errorf("%s cannot start: %w", n.id, err))
		return
	}
	l.acceptor = register.NewAcceptor(n.disk.load())
	l.proposer = register.NewProposer(string(n.id)+"-"+l.boot, l.acceptor.Roster())
	l.look()
	l.every(beatEvery, l.beat)
	l.every(tickEvery, l.tick)
	l.every(followEvery, l.follow)
	l.every(followEvery, l.reconcile)
	w.spawn(l, l.keepRoster)
}

// every does something again and again, beginning at some moment.
func (l *life) every(d int64, do func()) {
	var again func()
	again = func() {
		do()
		l.w.after(l, d, again)
	}
	l.w.after(l, l.w.rng.Int64N(d), again)
}

// end is the death of the process.
func (l *life) end() {
	if l.dead {
		return
	}
	l.dead = true
	l.n.life = nil
	for _, p := range l.procs {
		p.kill()
	}
}

func (l *life) me() mesh.Member {
	m := mesh.Member{ID: l.n.id, Boot: mesh.BootID(l.boot), Slots: l.n.slots, Memory: int64(l.n.slots) << 30}
	if l.leaving {
		m.State = mesh.Leaving
	}
	return m
}

// beat tells all others that this process is there, as gossip would in the end.
func (l *life) beat() {
	me := l.me()
	for _, n := range l.w.nodes {
		if n != l.n {
			l.w.carry(l, n.id, func(o *life) { o.hear(me) })
		}
	}
}

// hear notes what a member says of itself; an older boot of it says nothing any more.
func (l *life) hear(m mesh.Member) {
	if old, ok := l.met[m.ID]; ok && (m.Boot < old.member.Boot || m.Boot == old.member.Boot && old.member.State == mesh.Leaving) {
		m = old.member
	}
	l.met[m.ID] = met{m, l.w.now}
	l.look()
}

// look makes the view of who has been heard lately.
func (l *life) look() {
	members := []mesh.Member{l.me()}
	for _, n := range l.w.nodes {
		if m, ok := l.met[n.id]; ok && l.w.now-m.at < suspectTime {
			members = append(members, m.member)
		}
	}
	slices.SortFunc(members, func(a, b mesh.Member) int { return cmp.Compare(a.ID, b.ID) })
	if l.view != nil && slices.Equal(l.view.Members, members) {
		return
	}
	l.view = &mesh.View{Members: members}
	for _, c := range sorted(l.jobs) {
		c.onView()
	}
	l.workersView()
}

// tick lets time pass for what runs here.
func (l *life) tick() {
	l.look()
	for _, c := range sorted(l.jobs) {
		c.tick()
	}
}

// clock is the wall clock of the node, which jumps; time is never told by it.
func (l *life) clock() int64 { return l.w.now + l.n.skew }

// steady is the time as a clock has it that never goes back.
func (l *life) steady() time.Time { return time.UnixMilli(l.w.now) }

// sees reports whether a driver is in the view.
func (l *life) gone(d driver) bool { return terms.Gone(l.view, d) }
