package sched

import (
	"fmt"
	"slices"

	"github.com/pondmesh/pond/actors/plan"
)

// onDone takes the output of a running attempt. The lineage is the one noted at
// its start.
func (d *Decider) onDone(e Done) {
	defer d.onCopied(Copied{Attempt: e.Attempt, Segment: e.Output.Segment, Nodes: e.Copies})
	t, n := d.task(e.Attempt.Task), d.node(e.Node, e.Boot)
	if t == nil || n == nil {
		return
	}
	number := e.Attempt.Attempt
	if a := t.attempt(number); a != nil && a.node == n {
		t.stage.runtimes.add(d.now - a.start)
		n.strikes, n.restUntil = 0, 0
		d.unplace(a)
		d.win(t, number, n, HeldSegment{Lineage: a.lineage, Output: e.Output})
		return
	}
	// Reported twice, too late, or from a predecessor: the output exists all the same.
	if !t.stage.leaf() && e.Lineage == 0 && !slices.Contains(t.dead, number) {
		return // nothing can be said of it without its lineage; Held has that
	}
	d.onHeld(Held{e.Node, e.Boot, []HeldSegment{{Task: t.id(), Attempt: number, Lineage: e.Lineage, Output: e.Output}}})
}

func (d *Decider) onFailed(e Failed) {
	t, n := d.task(e.Attempt.Task), d.node(e.Node, e.Boot)
	if t == nil || n == nil {
		return
	}
	a := t.attempt(e.Attempt.Attempt)
	if a == nil || a.node != n {
		return
	}
	err := e.Err
	if err == nil {
		err = &plan.Error{Kind: plan.KindInternal, Op: "run", Text: "failed without saying why"}
	}
	d.unplace(a)
	t.dead = append(t.dead, a.number)
	t.stage.status.Failed++
	if len(t.live) == 0 {
		d.set(t, waiting)
	}
	switch err.Kind {
	case plan.KindUser, plan.KindNotFound, plan.KindExists, plan.KindDenied, plan.KindDeadline:
		d.fail(err)
	case plan.KindFenced:
		d.end(Fenced, err)
	case plan.KindCancelled: // by the node, for a reason of its own
		t.nodeLosses++
		d.again(t, 1)
	case plan.KindCrash:
		d.countCrash(t, a, err)
	case plan.KindMemory:
		d.wantMemory(t, a, err)
	case plan.KindFetch:
		d.refetch(t, a, err)
	default:
		d.countFailure(t, a, err)
	}
}

// again has a task retried, unless another attempt of it runs anyway.
func (d *Decider) again(t *task, try int) {
	if len(t.live) == 0 {
		d.rest(t, d.cfg.backoff(try))
	}
}

// countFailure retries elsewhere, a bounded number of times. A node on which
// everything fails is given a rest, so that it does not eat up all attempts.
func (d *Decider) countFailure(t *task, a *attempt, err *plan.Error) {
	n := a.node
	if n.strikes++; n.strikes >= nodeStrikesMax {
		n.restUntil = d.now + d.cfg.backoff(n.strikes-nodeStrikesMax+1)
	}
	if !slices.Contains(t.failedOn, n) {
		t.failedOn = append(t.failedOn, n)
	}
	t.failures++
	if t.failures >= d.cfg.AttemptsMax && len(t.live) == 0 {
		final := *err
		final.Text = fmt.Sprintf("%s (the last of %d failures)", err.Text, t.failures)
		d.fail(&final)
		return
	}
	d.again(t, t.failures)
}

// countCrash retries what took an engine process with it, once: the fault may have
// been the machine's. What takes two is poison, and would take one after another.
func (d *Decider) countCrash(t *task, a *attempt, err *plan.Error) {
	if t.crashes++; t.crashes < crashesMax {
		d.countFailure(t, a, err)
		return
	}
	final := *err
	final.Text = fmt.Sprintf("%s (the same task did so %d times, and is not tried again)", err.Text, t.crashes)
	d.fail(&final)
}

// wantMemory grants twice as much next time, and then the largest node's memory: what
// can never have enough is not to climb there by many steps. A task that had all of that
// may wait for a larger node that was there before.
func (d *Decider) wantMemory(t *task, a *attempt, err *plan.Error) {
	t.memoryFailures++
	if t.memory = max(t.memory, 2*a.memory); t.memoryFailures > memoryDoublings {
		t.memory = max(t.memory, d.largest)
	}
	if len(t.live) > 0 {
		return
	}
	if a.memory >= d.largest || t.memoryFailures >= memoryAttemptsMax {
		final := *err
		final.Text = fmt.Sprintf("%s (with %d bytes, all that the largest node has)", err.Text, a.memory)
		d.fail(&final)
		return
	}
	d.again(t, t.memoryFailures)
}

// refetch runs the named producers again. A producer that was made again since
// the attempt started is fine: the attempt had read the one before. So is one that has a
// holder of which the attempt may not have known.
func (d *Decider) refetch(t *task, a *attempt, err *plan.Error) {
	known := 0
	for _, id := range err.Lost {
		p := d.task(id)
		if p == nil || !slices.Contains(t.stage.deps, p.stage) {
			continue
		}
		known++
		switch {
		case p.state != done || p.heldSeq >= a.seq:
		case p.unnamed:
			d.name(p)
		default:
			d.discard(p, true)
		}
	}
	if known == 0 {
		d.countFailure(t, a, err)
		return
	}
	t.fetchFailures++
	d.again(t, 1)
}
