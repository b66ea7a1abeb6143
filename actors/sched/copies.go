package sched

import (
	"slices"

	"github.com/pondmesh/pond/actors/plan"
)

// copying is what a node was asked to copy: see Copy. The zero value is nothing.
type copying struct {
	task *task
	is   winnerID // of task, then
	at   int64
}

// spread has a task's output copied, if too few nodes hold it, by the first that does.
func (d *Decider) spread(t *task) {
	if d.want < 2 || t.state != done || len(t.holders) == 0 || len(t.holders) >= d.want {
		return
	}
	n := t.holders[0]
	n.uncopied = append(n.uncopied, t)
	d.copiers = append(d.copiers, n)
}

// spreadInputs has what a stage reads copied, now that it is wanted.
func (d *Decider) spreadInputs(s *stage) {
	for _, p := range s.deps {
		for t := range p.all() {
			d.spread(t)
		}
	}
}

// short reports whether a task's output is to have more holders. What another job made is
// that job's, which copies go with.
func (d *Decider) short(t *task) bool {
	return t.state == done && !t.stage.durable && !t.reused && t.out.Segment != "" && len(t.holders) < d.want && t.copyTries < copyTriesMax &&
		d.awaited(t) && (d.cfg.Copies != plan.AutoCopies || d.cheaper(t))
}

// cheaper reports whether it takes no longer to copy a task's output than to make it again,
// as the tasks of its stage tell.
func (d *Decider) cheaper(t *task) bool {
	remake := t.stage.runtimes.median()
	return remake == 0 || t.out.Bytes*1000/d.cfg.CopyRate <= remake
}

// copy has nodes copy what is to be copied of what they hold.
func (d *Decider) copy() {
	for _, n := range d.copiers {
		d.copyNext(n)
	}
	clear(d.copiers)
	d.copiers = d.copiers[:0]
}

// copyNext asks a node for its next copy, the newest output first: what was made before
// it is likely to have been read sooner.
func (d *Decider) copyNext(n *node) {
	if n.gone || !d.others(n) {
		return
	}
	if t := n.copying.task; t != nil && d.short(t) && t.prior.named(n.copying.is) && slices.Contains(t.holders, n) {
		if d.now-n.copying.at >= copyAskMillis {
			d.askCopy(n, t)
		}
		return
	}
	n.copying = copying{}
	for len(n.uncopied) > 0 && d.now >= n.copyAfter {
		t := n.uncopied[len(n.uncopied)-1]
		n.uncopied = n.uncopied[:len(n.uncopied)-1]
		if d.short(t) && slices.Contains(t.holders, n) {
			d.askCopy(n, t)
			return
		}
	}
}

func (d *Decider) askCopy(n *node, t *task) {
	n.copying = copying{t, t.prior, d.now}
	d.emit(Copy{t.attemptID(t.won), t.out.Segment, n.id, d.want})
}

// others reports whether a node other than n may take copies.
func (d *Decider) others(n *node) bool { return d.usable > 1 || d.usable == 1 && !n.usable() }

// onCopied adds holders of a winner. Copies of what has lost are given up. Inputs name the
// new holders a little later, with others': nobody fetches them anew for each.
func (d *Decider) onCopied(e Copied) {
	t := d.task(e.Attempt.Task)
	if t == nil || e.Segment == "" {
		return
	}
	won, added := t.state == done && t.won == e.Attempt.Attempt && t.out.Segment == e.Segment, 0
	for _, id := range e.Nodes {
		switch n := d.nodes[id]; {
		case n == nil: // if it comes back, it is asked what it holds
		case !won:
			d.emit(Release{e.Attempt, e.Segment, id})
		case d.addHolder(t, n):
			added++
			t.unnamed = t.seq < d.seq || t.unnamed
			t.stage.unnamed = t.stage.unnamed || t.unnamed
		}
	}
	t.stage.status.Copies += added
	if n := d.nodes[e.From]; n != nil {
		d.answered(n, t, winnerID{attempt: e.Attempt.Attempt, segment: e.Segment}, added > 0)
	}
}

// answered notes that a node has done what a Copy asked for, or could not. Then it is given
// a rest, since it is the others that took nothing.
func (d *Decider) answered(n *node, t *task, is winnerID, made bool) {
	if n.copying.task != t || !n.copying.is.named(is) {
		return
	}
	n.copying = copying{}
	d.copiers = append(d.copiers, n)
	if made {
		n.copyFailures = 0
		return
	}
	n.copyFailures++
	n.copyAfter = d.now + d.cfg.backoff(n.copyFailures)
	if t.copyTries++; d.short(t) {
		n.uncopied = slices.Insert(n.uncopied, 0, t)
	}
}

// tickCopies decides whether a job that has not said so has copies from now on, asks nodes
// again that have not answered, and names copies to readers.
func (d *Decider) tickCopies() {
	if d.want < 2 && d.cfg.Copies == plan.AutoCopies && d.long() {
		d.want = plan.SegmentCopies
		for _, n := range d.order {
			n.uncopied = slices.Clone(n.segments)
		}
	}
	if d.want < 2 {
		return
	}
	d.copiers = append(d.copiers, d.order...)
	for _, s := range d.stages {
		if s.unnamed && d.now-s.namedAt >= nameMillis {
			d.nameAll(s)
		}
	}
}

// long reports whether the job has run for long on many nodes.
func (d *Decider) long() bool {
	return d.began >= 0 && d.usable >= d.cfg.CopyNodes && d.cfg.RanMillis+d.now-d.began >= d.cfg.CopyAfterMillis
}

// nameAll names the copies of a stage's outputs that readers have not been told.
func (d *Decider) nameAll(s *stage) {
	s.unnamed, s.namedAt = false, d.now
	for t := range s.all() {
		if t.unnamed {
			d.name(t)
		}
	}
}
