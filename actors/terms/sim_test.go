package terms_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/terms"
	"github.com/pondmesh/pond/fs/register"
	"github.com/pondmesh/pond/fs/register/registertest"
	"github.com/pondmesh/pond/mesh"
)

var (
	simSeeds = flag.Int("seeds", 2000, "how many pond lives are simulated")
	simSeed  = flag.Uint64("seed", 1, "the first")
)

// pond is a simulated pond with one job that appends files: nodes that crash, come
// back, pause, see one another wrongly and lose messages; registers whose answers get
// lost; a folder that shows what was published. All is drawn from one seed.
type pond struct {
	rng       *rand.Rand
	registers simRegisters
	nodes     []*simNode
	folder    folder
	ends      map[api.State]bool    // that anybody was told of
	drivers   map[uint64]api.Driver // by term
	bug       string
	calm      bool
	trace     []string
}

type simNode struct {
	id, boot int
	down     bool
	paused   int // steps
	blind    bool
	record   *api.Record // survives
	hosted   *driving    // does not
}

// driving is a coordinator, as far as terms are concerned.
type driving struct {
	term  *terms.Term
	step  int
	wrote int // the staging that its attempts wrote in
}

// folder is the output's, as package fs has it: who stages finds the staging or makes
// it; who publishes the files of its attempts seals it, once; discarding forgets all
// of that, the attempts' files too.
type folder struct {
	staging   int // which one this is, from 1; 0: there is none
	made      int
	sealed    bool
	published int
}

func (f *folder) stage() int {
	if f.staging == 0 {
		f.made++
		f.staging = f.made
	}
	return f.staging
}

// publish reports whether the files are there, of attempts that wrote in that staging.
func (f *folder) publish(wrote int) bool {
	if f.staging == 0 || !f.sealed && wrote != f.staging {
		return false
	}
	if !f.sealed {
		f.sealed = true
		f.published++
	}
	return true
}

func (f *folder) discard() { f.staging, f.sealed = 0, false }

// simRegisters lose answers.
type simRegisters struct {
	registertest.Memory
	p *pond
}

func (r *simRegisters) Get(ctx context.Context, k register.Key) ([]byte, uint64, error) {
	if r.p.happens(20) {
		return nil, 0, register.ErrMinority
	}
	return r.Memory.Get(ctx, k)
}

func (r *simRegisters) CAS(ctx context.Context, k register.Key, id register.ChangeID, v uint64, b []byte) (uint64, []byte, error) {
	switch {
	case r.p.happens(15):
		return 0, nil, register.ErrMinority
	case r.p.happens(15):
		_, _, _ = r.Memory.CAS(ctx, k, id, v, b)
		return 0, nil, register.ErrUnknown
	}
	return r.Memory.CAS(ctx, k, id, v, b)
}

// happens is a fault of so many percent, while there are any.
func (p *pond) happens(percent int) bool { return !p.calm && p.rng.IntN(100) < percent }

func (p *pond) log(format string, args ...any) {
	p.trace = append(p.trace, fmt.Sprintf(format, args...))
}

func newPond(seed uint64, bug string) *pond {
	p := &pond{rng: rand.New(rand.NewPCG(seed, 0)), ends: map[api.State]bool{}, drivers: map[uint64]api.Driver{}, bug: bug}
	p.registers.p = p
	n := 3 + p.rng.IntN(3)
	var homes []string
	for i := range n {
		p.nodes = append(p.nodes, &simNode{id: i})
		if i < 3 {
			homes = append(homes, p.nodes[i].name())
		}
	}
	for _, node := range p.nodes[:3] {
		node.record = recordOf(p.nodes[0].driver(), 1, homes...)
	}
	return p
}

func (n *simNode) name() string       { return fmt.Sprint("n", n.id) }
func (n *simNode) driver() api.Driver { return api.Driver{Node: n.name(), Boot: fmt.Sprint(n.boot)} }

// view is how a node sees the pond: itself, and the others as they are, or wrongly.
func (p *pond) view(of *simNode) *mesh.View {
	v := &mesh.View{}
	for _, n := range p.nodes {
		seen := !n.down && n.paused < 3
		if n != of && (of.blind && p.happens(70) || p.happens(5)) {
			seen = !seen
		}
		if seen || n == of {
			v.Members = append(v.Members, mesh.Member{ID: mesh.NodeID(n.name()), Boot: mesh.BootID(fmt.Sprint(n.boot))})
		}
	}
	return v
}

// put gives a record to a node, unless it gets lost, and reports whether it arrived.
func (p *pond) put(to *simNode, rec *api.Record) bool {
	if to.down || to.paused > 0 || p.happens(20) {
		return false
	}
	old := to.record
	switch {
	case old == nil, old.Status == nil && rec.Status != nil:
		to.record = rec
	case old.Status == nil && rec.Term > old.Term:
		to.record = rec
	}
	if h := to.hosted; h != nil && (rec.Status != nil || h.term.Number() < rec.Term) {
		to.hosted = nil
	}
	return true
}

func (p *pond) fault() {
	n := p.nodes[p.rng.IntN(len(p.nodes))]
	switch p.rng.IntN(6) {
	case 0:
		p.log("%s crashes", n.name())
		n.down, n.hosted, n.paused = true, nil, 0
	case 1, 2:
		if n.down {
			n.down = false
			n.boot++
			p.log("%s is back", n.name())
		}
	case 3:
		n.paused = 1 + p.rng.IntN(12)
		p.log("%s pauses for %d", n.name(), n.paused)
	case 4:
		n.blind = !n.blind
	}
}

// step lets one node do one thing.
func (p *pond) step(n *simNode) error {
	switch {
	case n.down:
		return nil
	case n.paused > 0:
		n.paused--
		return nil
	case n.record == nil || n.record.Status != nil:
		return nil
	case n.hosted == nil:
		return p.inherit(n)
	}
	return p.drive(n)
}

func (p *pond) inherit(n *simNode) error {
	view := p.view(n)
	rec := n.record
	mine := rec.Driver == n.driver() && rec.Term == 1
	if _, ok := terms.Turn(view, rec, mesh.NodeID(n.name())); !ok || !mine && rec.Driver != n.driver() && !terms.Gone(view, rec.Driver) {
		return nil
	}
	if mine {
		return p.begin(n, terms.First(&p.registers, job, n.driver()))
	}
	var registers terms.Registers = &p.registers
	if p.bug == "no registers" {
		registers = new(registertest.Memory)
	}
	term, stands, err := terms.Raise(context.Background(), registers, rec, n.driver(), func(d api.Driver) bool { return terms.Gone(p.view(n), d) })
	next := *rec
	switch {
	case errors.Is(err, plan.ErrFenced) && stands.Decision.Ended():
		n.record = &next
		return p.end(n, stands.Decision)
	case errors.Is(err, plan.ErrFenced) && stands.Term > rec.Term:
		next.Term, next.Driver = stands.Term, stands.Driver
		n.record = &next
		return nil
	case err != nil:
		return nil
	}
	next.Term, next.Driver = term.Number(), n.driver()
	n.record = &next
	for _, other := range p.nodes {
		if other != n {
			p.put(other, &next)
		}
	}
	return p.begin(n, term)
}

func (p *pond) begin(n *simNode, t *terms.Term) error {
	p.log("%s drives in term %d, with %q decided", n.name(), t.Number(), t.Inherited().Decision)
	if d, was := p.drivers[t.Number()]; was && d != n.driver() {
		return fmt.Errorf("term %d has two drivers", t.Number())
	}
	p.drivers[t.Number()] = n.driver()
	n.hosted = &driving{term: t}
	return nil
}

// drive is one step of a coordinator: stage, decide to publish, publish, decide that
// it is done, record the end. Now and then its user cancels it.
func (p *pond) drive(n *simNode) error {
	h := n.hosted
	switch h.step {
	case 0:
		h.wrote = p.folder.stage()
		if h.term.Inherited().Decision != terms.Publish && p.happens(10) {
			return p.decide(n, terms.Cancelled)
		}
	case 1:
		if p.bug != "publish without a vote" {
			return p.decide(n, terms.Publish)
		}
	case 2:
		if !p.folder.publish(h.wrote) {
			return p.decide(n, terms.Failed)
		}
		p.log("%s has published in term %d", n.name(), h.term.Number())
	case 3:
		if p.bug == "succeed without a vote" {
			return p.end(n, terms.Succeeded)
		}
		return p.decide(n, terms.Succeeded)
	}
	h.step++
	return nil
}

// decide puts a decision to the vote. Who hears nothing asks again; who is fenced
// stops.
func (p *pond) decide(n *simNode, d terms.Decision) error {
	err := n.hosted.term.Decide(context.Background(), d, 1, nil)
	switch {
	case errors.Is(err, plan.ErrFenced):
		p.log("%s is fenced off", n.name())
		n.hosted = nil
	case err != nil:
	case d.Ended():
		return p.end(n, d)
	default:
		n.hosted.step++
	}
	return nil
}

// end records an end here and at the others, and clears the staging once most have
// it.
func (p *pond) end(n *simNode, d terms.Decision) error {
	p.log("%s: %s", n.name(), d)
	state := api.State(d)
	rec := *n.record
	rec.Status = &api.JobStatus{State: state}
	n.record, n.hosted = &rec, nil
	have := 1
	for _, other := range p.nodes {
		if other != n && p.put(other, &rec) {
			have++
		}
	}
	if have > len(p.nodes)/2 {
		p.folder.discard()
	}
	p.ends[state] = true
	switch {
	case len(p.ends) > 1:
		return fmt.Errorf("the job ended in several ways: %v", p.ends)
	case state != api.Succeeded && p.folder.published > 0:
		return fmt.Errorf("a job that is %s has published", state)
	case state == api.Succeeded && p.folder.published == 0:
		return errors.New("the job succeeded and published nothing")
	}
	return nil
}

// run plays one life; an error says what was broken.
func (p *pond) run() error {
	const stormy, calm = 300, 300
	for i := range stormy + calm {
		if p.calm = i >= stormy; p.calm {
			for _, n := range p.nodes {
				if n.down {
					n.down = false
					n.boot++
				}
				n.paused, n.blind = 0, false
			}
		} else if p.happens(30) {
			p.fault()
		}
		if err := p.step(p.nodes[p.rng.IntN(len(p.nodes))]); err != nil {
			return err
		}
		if p.folder.published > 1 {
			return fmt.Errorf("the files were published %d times", p.folder.published)
		}
	}
	if len(p.ends) == 0 {
		return errors.New("the job never ended")
	}
	return nil
}

// Whatever happens to nodes and messages, the job ends in one way, and its files
// appear once if it succeeded, and never if it was cancelled.
func TestSim(t *testing.T) {
	ends, takeovers := map[api.State]int{}, 0
	for seed := *simSeed; seed < *simSeed+uint64(*simSeeds); seed++ {
		p := newPond(seed, "")
		if err := p.run(); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, strings.Join(p.trace, "\n"))
		}
		for e := range p.ends {
			ends[e]++
		}
		if len(p.drivers) > 1 {
			takeovers++
		}
	}
	t.Logf("%d lives: %v, taken over in %d", *simSeeds, ends, takeovers)
	if ends[api.Succeeded] == 0 || ends[api.Cancelled] == 0 || takeovers < *simSeeds/10 {
		t.Error("the lives are too much alike")
	}
}

// The simulation finds faults that are planted.
func TestSimFindsBugs(t *testing.T) {
	for _, bug := range []string{"publish without a vote", "succeed without a vote", "no registers"} {
		seed := uint64(0)
		var err error
		for ; err == nil && seed < 2000; seed++ {
			err = newPond(seed, bug).run()
		}
		if err == nil {
			t.Errorf("%s: not found", bug)
		}
		t.Logf("%s: seed %d: %v", bug, seed-1, err)
	}
}
