package distribute

import (
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/logical"
)

// forcedBytes are worth a task of a query that is to be distributed in any case.
const forcedBytes = 32 << 10

// fit says how the sizes of a stage's inputs may change its tasks. It is nil when
// they may not: an input is not read by partition, or a reader counts the tasks.
func (p *planner) fit(d *draft, leaves []*leaf) *plan.Fit {
	if d.n <= 1 || d.counted {
		return nil
	}
	f := &plan.Fit{Target: p.o.TargetBytes, Slots: p.o.Parallelism, Apart: p.o.Partitions > 0}
	if p.o.Force {
		f.Least = forcedBytes
	}
	cut := false
	for i, l := range leaves {
		switch {
		case l.scan != nil && l.scan.scan.Broadcast, l.scan == nil && l.how == plan.ReadAll:
		case l.byPartition(d.n):
			cut = true
			if l.from[0].ex.Kind == plan.Range { // the task sorts
				f.Target = p.o.SortBytes
			}
			if l.from[0].ex.Kind == plan.Hash && !l.ordered && !d.ordered && p.splittable(d.root, l.view) {
				f.Split = append(f.Split, i)
			}
		default:
			return nil
		}
	}
	if !cut || f.Apart && f.Split == nil {
		return nil
	}
	return f
}

// byPartition reports whether a leaf is read by partition, of n.
func (l *leaf) byPartition(n int) bool {
	if l.scan != nil || l.how != plan.ReadPartition {
		return false
	}
	for _, d := range l.from {
		if d.ex.Kind != plan.Hash && d.ex.Kind != plan.Range || d.ex.Partitions != n {
			return false
		}
	}
	return true
}

// splittable reports whether several tasks may each read a part of a view's rows
// and all of everything else, and together yield the rows that one task would, or
// partial results that a later stage merges.
func (p *planner) splittable(op logical.Operator, v *logical.View) bool {
	if op == logical.Operator(v) {
		return true
	}
	at := -1
	for i, in := range op.Head().Inputs {
		if !reads(in, v) {
			continue
		}
		if at >= 0 {
			return false // its rows would have to meet
		}
		at = i
	}
	if at < 0 || volatileOp(op) || !p.splittable(op.Head().Inputs[at], v) {
		return false
	}
	switch op := op.(type) {
	case *logical.Filter, *logical.Projection, *logical.Unnest:
		return true
	case *logical.Aggregate, *logical.Distinct, *logical.TopN:
		return p.unfinished[op]
	case *logical.Join:
		return !op.Asof && op.DelimID == 0 && apart(op.Type, at) && repeats(op.Inputs[1-at])
	case *logical.AnyJoin:
		return apart(op.Type, at) && repeats(op.Inputs[1-at])
	case *logical.CrossProduct:
		return repeats(op.Inputs[1-at])
	}
	return false
}

// apart reports whether a join's side may be in pieces while the other is whole.
func apart(t logical.JoinType, side int) bool {
	j := &joining{kind: t}
	if side == 0 {
		return j.canBroadcastRight()
	}
	return j.canBroadcastLeft()
}

// repeats is true of what yields the same rows in every task that evaluates it.
func repeats(root logical.Operator) bool {
	ok := true
	logical.Walk(root, func(op logical.Operator) bool {
		ok = ok && !volatileOp(op) && !nondeterministicOp(op) && !rounds(op)
		return ok
	})
	return ok
}

func reads(root logical.Operator, v *logical.View) bool {
	found := false
	logical.Walk(root, func(op logical.Operator) bool {
		found = found || op == logical.Operator(v)
		return !found
	})
	return found
}
