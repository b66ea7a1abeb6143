package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/chaos/scenario"
	"github.com/pondmesh/pond/fs/faults"
)

// Measures of faults.
const (
	starveSlice = 100 * time.Millisecond // of which a starved process is frozen
	starveOff   = 90 * time.Millisecond
	busyTime    = 100 * time.Millisecond // in which an engine process that works is seen to
	busyTries   = 4                      // looks at engine processes, so far apart
	mendMax     = 2 * time.Minute        // for a node to leave, or to be ready again
)

// strikes carry out the faults of one plan. Of those that end a node, or keep it from its
// work, a node suffers one at a time.
type strikes struct {
	ctx   context.Context // the site's
	c     *Cluster
	asked *Node
	seed  uint64

	mu     sync.Mutex
	struck map[*Node]*strike
}

// strike is one fault of a plan, against one node or all.
type strike struct {
	scenario.Fault
	s     *strikes
	fault *Fault  // that does it
	nodes []*Node // that it struck
	over  chan struct{}
	end   sync.WaitGroup
}

// faults are the plan's, in order; one that strikes several nodes is several.
func (s *strikes) faults(p *scenario.Plan) (out []*Fault, all []*strike) {
	for _, f := range p.Faults {
		for range max(f.Count, 1) {
			k := &strike{Fault: f, s: s, over: make(chan struct{})}
			k.fault = &Fault{
				Name: nameOf(&f), When: due(f.At), Do: k.do,
				Undo: k.undo, For: time.Duration(f.For.Min), Recovered: k.recovered,
			}
			if f.Do == scenario.Inject {
				k.fault.Happened = k.happened
			}
			all, out = append(all, k), append(out, k.fault)
		}
	}
	return out, all
}

// nameOf is how a fault is told of.
func nameOf(f *scenario.Fault) string {
	name := string(f.Do) + " " + string(f.Who) + " at " + f.At.String()
	if f.Do == scenario.Inject {
		name += ": " + string(f.What) + " at " + string(f.Point)
	}
	return name
}

// due is a moment as a trigger.
func due(m scenario.Moment) Trigger {
	switch m.On {
	case scenario.Stage:
		return Started(m.N)
	case scenario.Term:
		return func(s *pond.Status) bool { return s.Term >= uint64(m.N) }
	case scenario.Copied:
		return Copied(m.N)
	}
	return func(s *pond.Status) bool { return Share(s) >= m.Share }
}

// Share is how much of a job's tasks is done, from 0 to 1. Those of stages of which
// nothing is known yet count as one each.
func Share(s *pond.Status) float64 {
	done, all := 0, 0
	for _, st := range s.Stages {
		done, all = done+st.Done, all+max(st.Tasks, 1)
	}
	return float64(done) / float64(max(all, 1))
}

// do strikes. When there is nobody to be struck now, it is ErrNotFired.
func (k *strike) do(ctx context.Context, st *pond.Status) error {
	if k.Do == scenario.Engine && k.Who == scenario.Anyone {
		return k.anyEngine(ctx)
	}
	nodes, err := k.take(ctx, st)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if err := k.act(ctx, n); err != nil {
			k.release(nodes)
			return err
		}
	}
	k.nodes = nodes
	return nil
}

// take picks whom the fault strikes, and keeps others from striking them too.
func (k *strike) take(ctx context.Context, st *pond.Status) ([]*Node, error) {
	if k.Do == scenario.Join {
		return nil, k.join(ctx)
	}
	nodes, err := k.targets(ctx, st)
	if err != nil {
		return nil, err
	}
	k.s.mu.Lock()
	defer k.s.mu.Unlock()
	for _, n := range nodes {
		if k.s.struck[n] != nil || !n.Running() {
			return nil, fmt.Errorf("node %s is struck already: %w", n.ID(), ErrNotFired)
		}
	}
	for _, n := range nodes {
		if k.Do != scenario.Engine && (k.Do != scenario.Inject || k.Deadly()) {
			k.s.struck[n] = k
		}
	}
	return nodes, nil
}

// release gives back what take has taken.
func (k *strike) release(nodes []*Node) {
	k.s.mu.Lock()
	defer k.s.mu.Unlock()
	for _, n := range nodes {
		if k.s.struck[n] == k {
			delete(k.s.struck, n)
		}
	}
}

func (k *strike) join(ctx context.Context) error {
	_, err := k.s.c.Add(ctx)
	return err
}

// targets are the nodes that the fault means.
func (k *strike) targets(ctx context.Context, st *pond.Status) ([]*Node, error) {
	all := k.s.c.Nodes()
	var n *Node
	switch k.Who {
	case scenario.All:
		return all, nil
	case scenario.Asked:
		n = k.s.asked
	case scenario.Coordinator:
		n = k.s.c.Node(st.Coordinator)
	case scenario.Successor:
		if st.Term < 2 {
			return nil, fmt.Errorf("nobody has taken the job over: %w", ErrNotFired)
		}
		n = k.s.c.Node(st.Coordinator)
	case scenario.Worker:
		return k.worker(ctx, st)
	default:
		for i := range all { // the drawn one, or the next that is well
			if n = all[(k.Node+i)%len(all)]; k.s.well(n) {
				break
			}
		}
	}
	if n == nil {
		return nil, fmt.Errorf("the job's coordinator %q is no node here: %w", st.Coordinator, ErrNotFired)
	}
	return []*Node{n}, nil
}

// well says whether nothing ails the node.
func (s *strikes) well(n *Node) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return n.Running() && s.struck[n] == nil
}

// worker is a node that does not coordinate the job, and has made some of its
// segments: its death hurts.
func (k *strike) worker(ctx context.Context, st *pond.Status) ([]*Node, error) {
	via := k.s.c.Node(st.Coordinator)
	if via == nil || !via.Running() {
		return nil, fmt.Errorf("nobody says who has made what: %w", ErrNotFired)
	}
	ask, cancel := context.WithTimeout(ctx, askMax)
	defer cancel()
	stages, err := Stages(ask, via, st.ID)
	if err != nil { // it is not planned yet, or its coordinator has gone
		return nil, fmt.Errorf("%w: %w", ErrNotFired, err)
	}
	if k.At.On == scenario.Copied && k.At.N < len(stages) {
		stages = stages[k.At.N : k.At.N+1]
	}
	all := k.s.c.Nodes()
	for i := range all {
		n := all[(k.Node+i)%len(all)]
		if n == via || !k.s.well(n) {
			continue
		}
		held, err := n.API().Held(ask, stages)
		if err == nil && madeFor(held, st.ID) {
			return []*Node{n}, nil
		}
	}
	return nil, fmt.Errorf("no worker holds a segment: %w", ErrNotFired)
}

// askMax bounds asking nodes what they hold.
const askMax = 5 * time.Second

func madeFor(held []api.Held, job string) bool {
	for _, h := range held {
		if string(h.Job) == job && !h.Copy {
			return true
		}
	}
	return false
}

// act does it to one node.
func (k *strike) act(ctx context.Context, n *Node) error {
	switch k.Do {
	case scenario.Kill:
		return n.Kill9(ctx)
	case scenario.Stop:
		return n.Stop()
	case scenario.Leave:
		return n.Term()
	case scenario.Engine:
		_, err := killEngine(ctx, n)
		return err
	case scenario.Inject:
		return n.Arm(ctx, k.Order(k.s.seed))
	case scenario.Starve:
		k.end.Go(func() { starve(n, k.over) })
		return nil
	}
	return n.Network(&k.Fault)
}

// happened says whether one of the nodes has come to the point at which the fault was
// armed. One that is to die there has done so if it is dead: nobody else strikes it.
func (k *strike) happened(ctx context.Context) (when time.Time, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, askMax)
	defer cancel()
	for _, n := range k.nodes {
		if !n.Running() {
			if k.Deadly() {
				return n.ended(), true
			}
			continue // another fault has ended it
		}
		armed, err := n.Armed(ctx)
		if err != nil {
			continue
		}
		at := slices.IndexFunc(armed, func(s faults.State) bool { return s.Order == k.Order(k.s.seed) })
		if at >= 0 && armed[at].Fired > 0 {
			return time.Now(), true
		}
		if at < 0 { // it has started again
			_ = n.Arm(ctx, k.Order(k.s.seed)) // or it is on its way out: the next look tells
		}
	}
	return when, false
}

// undo makes what was struck well again.
func (k *strike) undo() error {
	close(k.over)
	k.end.Wait()
	ctx, cancel := context.WithTimeout(k.s.ctx, mendMax)
	defer cancel()
	var errs []error
	for _, n := range k.nodes {
		errs = append(errs, k.mend(ctx, n))
	}
	k.release(k.nodes)
	return errors.Join(errs...)
}

func (k *strike) mend(ctx context.Context, n *Node) error {
	switch {
	case k.Do == scenario.Kill:
		return n.Restart(ctx)
	case k.Do == scenario.Stop:
		return n.Cont()
	case k.Do == scenario.Leave:
		if _, err := n.Exit(ctx); err != nil {
			return err
		}
		return n.Restart(ctx)
	case k.Do == scenario.Inject && k.For.Min > 0: // else what others have come to is still to be seen
		return disarm(ctx, n)
	case k.Fault.Network():
		return n.Network(nil)
	}
	return nil
}

// disarm has no fault happen at a node any more, and starts it again if one has ended it,
// or its disk has failed.
func disarm(ctx context.Context, n *Node) error {
	if n.Running() {
		_, err := n.Disarm(ctx)
		if err == nil {
			if n.API().Healthy(ctx) == nil {
				return nil
			}
			err = n.Kill9(ctx)
		} else {
			_, err = n.Exit(ctx) // it is about to end
		}
		if err != nil {
			return err
		}
	}
	return n.Restart(ctx)
}

// recovered: a job whose coordinator is struck goes on in another term, or once that
// is well again; any other job when a task more is done.
func (k *strike) recovered(before, now *pond.Status) bool {
	if now.Term > before.Term {
		return true
	}
	for _, n := range k.nodes {
		if n.ID() == before.Coordinator && k.Do != scenario.Engine && (k.Do != scenario.Inject || k.Deadly()) && !k.s.well(n) {
			return false
		}
	}
	return tasksDone(now) > tasksDone(before)
}

// anyEngine kills an engine process that works, of the drawn node or of the next that has
// one.
func (k *strike) anyEngine(ctx context.Context) error {
	all := k.s.c.Nodes()
	nodes := slices.DeleteFunc(append(slices.Clone(all[k.Node:]), all[:k.Node]...), func(n *Node) bool { return !k.s.well(n) })
	n, err := killEngine(ctx, nodes...)
	if err == nil {
		k.nodes = []*Node{n}
	}
	return err
}

// killEngine kills an engine process that works, of the first of the nodes that has one.
func killEngine(ctx context.Context, nodes ...*Node) (*Node, error) {
	before := map[int]int{}
	for try := range busyTries {
		for _, n := range nodes {
			now, err := n.Engines()
			if err != nil {
				return nil, err
			}
			for pid, ticks := range now {
				if was, ok := before[pid]; ok && ticks > was && syscall.Kill(pid, syscall.SIGKILL) == nil {
					return n, nil
				}
				before[pid] = ticks
			}
		}
		if try < busyTries-1 && waitOr(ctx.Done(), busyTime) {
			return nil, context.Cause(ctx)
		}
	}
	return nil, fmt.Errorf("no engine process works: %w", ErrNotFired)
}

// starve leaves a node's process a tenth of the processor until over is closed. What
// it has taken on it may not do in time.
func starve(n *Node, over <-chan struct{}) {
	for {
		if n.Stop() != nil { // it has ended
			return
		}
		off := waitOr(over, starveOff)
		if n.Cont() != nil || off || waitOr(over, starveSlice-starveOff) {
			return
		}
	}
}

// waitOr waits, and reports whether over was closed meanwhile.
func waitOr(over <-chan struct{}, d time.Duration) bool {
	select {
	case <-over:
		return true
	case <-time.After(d):
		return false
	}
}
