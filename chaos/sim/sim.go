package sim

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs/register"
	"github.com/pondmesh/pond/mesh"
)

// Bug is a planted one, which some seed must find.
type Bug string

// Planted bugs.
const (
	NoBug       Bug = ""
	NoSync      Bug = "nothing is synced"
	OldRead     Bug = "a driver decides by what it last read"
	Forget      Bug = "a successor forgets what was decided"
	TermBlind   Bug = "older terms are not refused"
	StalePacket Bug = "inputs of an older version are read"
	FencedEnd   Bug = "a driver that is fenced off records an end"
	TwoFirsts   Bug = "two first drivers work with attempts of the same names"
	Greedy      Bug = "free slots are all the first job's"
	Unseal      Bug = "a seal is released when its driver is gone"
)

// Stats count what happened in a run.
type Stats struct {
	Jobs, Tasks, Segments, Takeovers, Rosters, Undecided, Again, TwoFirsts int
	Millis, Recovery                                                       int64 // simulated: all of the run, and from the last fault to the last job's end
}

// Add adds those of another run; of the times that of recovery is the longest.
func (s *Stats) Add(o Stats) {
	s.Jobs, s.Tasks, s.Segments, s.Takeovers = s.Jobs+o.Jobs, s.Tasks+o.Tasks, s.Segments+o.Segments, s.Takeovers+o.Takeovers
	s.Rosters, s.Undecided, s.Again = s.Rosters+o.Rosters, s.Undecided+o.Undecided, s.Again+o.Again
	s.TwoFirsts += o.TwoFirsts
	s.Millis, s.Recovery = s.Millis+o.Millis, max(s.Recovery, o.Recovery)
}

// Strike is a fault that happened. Times are simulated milliseconds.
type Strike struct {
	Kind     Kind
	Node     int // -1: no single one
	At       int64
	Recovery int64 // until some job was seen to go on; 0: none had to
}

// Report is what a run has shown.
type Report struct {
	Seed  uint64
	Err   error // nil, or one of this package's
	Fired map[Kind]int
	// Strikes are the faults in order; those of a network that last are one each.
	Strikes []Strike
	Stats   Stats
	Trace   []string
}

// Options configure a run.
type Options struct {
	Bug   Bug
	Nodes int  // at the start; 0: drawn
	Trace bool // keep what happens, line by line
}

// Run plays one seed.
func Run(seed uint64, o Options) *Report {
	w := newWorld(seed, o)
	err := w.run()
	w.stats.Jobs = len(w.clients)
	w.stats.Millis, w.stats.Recovery = w.now, max(w.now-w.calmAt, 0)
	return &Report{Seed: seed, Err: err, Fired: w.fired, Strikes: w.strikes, Stats: w.stats, Trace: w.trace}
}

func newWorld(seed uint64, o Options) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 2)), bug: o.Bug, tracing: o.Trace, fired: map[Kind]int{},
		net: network{cut: map[link]bool{}}, checks: checks{drivers: map[string]driver{}, records: map[string]uint64{}, obeyed: map[string]uint64{}}}
	nodes := 3 + w.rng.IntN(3)
	if o.Nodes > 0 {
		nodes = o.Nodes
	}
	for i := range nodes {
		w.addNode(fmt.Sprintf("n%d", i))
	}
	w.found()
	for _, n := range w.nodes {
		n.start(w)
	}
	for i := range 1 + w.rng.IntN(jobsOfWorld) {
		c := &client{w: w, job: w.drawJob(plan.JobID(fmt.Sprintf("job%d", i)))}
		c.job.user = fmt.Sprint("user", i%usersOfWorld)
		w.jobs, w.clients = append(w.jobs, c.job), append(w.clients, c)
		w.at(3000+w.rng.Int64N(5000), func() { w.spawn(nil, c.run) })
	}
	w.drawFaults()
	return w
}

func (w *world) addNode(id string) *node {
	n := &node{id: mesh.NodeID(id), slots: 1 + w.rng.IntN(3)}
	w.nodes = append(w.nodes, n)
	w.newKeeper(n)
	return n
}

// newKeeper gives a node a disk, and so a keeper of another id.
func (w *world) newKeeper(n *node) {
	n.disk = w.newDisk()
	n.disk.keeper.ID = register.KeeperID(fmt.Sprintf("%s/%d", n.id, n.disk.owner))
}

// found has the first nodes agree on who keeps the registers.
func (w *world) found() {
	var all []register.Candidate
	for _, n := range w.nodes {
		all = append(all, register.Candidate{ID: n.disk.keeper.ID, Fit: true})
	}
	r := register.Roster{Pond: "pond", Version: 1, Keepers: register.First(all)}
	for _, n := range w.nodes {
		n.disk.keeper.Roster = r
	}
}

func (w *world) changeID() register.ChangeID {
	w.checks.changes++
	return register.ChangeID(fmt.Sprint("change", w.checks.changes))
}

func (w *world) job(id plan.JobID) *job {
	i := slices.IndexFunc(w.jobs, func(j *job) bool { return j.spec.ID == id })
	return w.jobs[i]
}

func byAttempt(a, b plan.AttemptID) int { return cmp.Compare(a.String(), b.String()) }

// keys are those of a map, in order: a run replays.
func keys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// sorted are the values of a map, in the order of their keys.
func sorted[K cmp.Ordered, V any](m map[K]V) (out []V) {
	for _, k := range keys(m) {
		out = append(out, m[k])
	}
	return out
}
