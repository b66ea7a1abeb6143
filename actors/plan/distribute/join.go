package distribute

import (
	"fmt"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/logical"
)

// joining is a join of any operator: what decides where it can run.
type joining struct {
	op          logical.Operator
	kind        logical.JoinType
	asof        bool
	left, right *rel
	keys        []key // equalities; rows that match agree in all of them
	// inOrder: a single row is put beside each left row, whose order counts.
	inOrder bool
	// leftOut and rightOut map each side's columns to the output's.
	leftOut, rightOut func(c int) []int
}

// key is an equality of a join.
type key struct {
	left, right logical.Expr
	same        bool // NULLs are equal
}

// join plans the sides and brings together what matches.
func (p *planner) join(op logical.Operator, need bool) (*rel, error) {
	j, err := p.sides(op, need)
	if err != nil {
		return nil, err
	}
	w := way{left: j.left.bytes(), right: j.right.bytes()}
	out, how, err := p.place(j)
	w.how = how
	p.ways[op] = w
	return out, err
}

// sides plans both inputs. The side that a correlated subquery reads is kept,
// so that it can be read twice.
func (p *planner) sides(op logical.Operator, need bool) (*joining, error) {
	j := &joining{op: op, kind: logical.Inner, leftOut: picked(nil)}
	in := op.Head().Inputs
	leftProject, rightProject := []int(nil), []int(nil)
	leftWidth := in[0].Head().Width()
	switch op := op.(type) {
	case *logical.Join:
		j.kind, j.asof = op.Type, op.Asof
		leftProject, rightProject = op.LeftProject, op.RightProject
		j.keys = keysOf(op)
		if op.DelimID != 0 {
			return j, p.delim(j, op)
		}
	case *logical.AnyJoin:
		j.kind = op.Type
		leftProject, rightProject = op.LeftProject, op.RightProject
		j.keys = equalities(op)
	case *logical.CrossProduct:
		j.inOrder = need && oneRow(in[1])
	}
	if leftProject != nil {
		leftWidth = len(leftProject)
	}
	j.outputs(leftProject, rightProject, leftWidth)
	var err error
	if j.left, err = p.plan(in[0], j.inOrder); err != nil {
		return nil, err
	}
	j.right, err = p.plan(in[1], false)
	return j, err
}

// oneRow reports whether a subtree yields one row at most.
func oneRow(op logical.Operator) bool {
	switch op := op.(type) {
	case *logical.Aggregate:
		return len(op.Groups) == 0 && op.Plain()
	case *logical.Projection, *logical.Filter:
		return oneRow(op.Head().Inputs[0])
	case *logical.DummyScan:
		return true
	case *logical.Values:
		return len(op.Rows) <= 1
	}
	return false
}

func (j *joining) outputs(leftProject, rightProject []int, leftWidth int) {
	none := func(int) []int { return nil }
	j.leftOut, j.rightOut = picked(leftProject), shifted(leftWidth, picked(rightProject))
	switch j.kind {
	case logical.Semi, logical.Anti, logical.Mark:
		j.rightOut = none
	case logical.RightSemi, logical.RightAnti:
		j.leftOut, j.rightOut = none, picked(rightProject)
	}
}

// keysOf are a join's equalities.
func keysOf(op *logical.Join) []key {
	var out []key
	for _, c := range op.Conds {
		if c.Op == logical.Eq || c.Op == logical.NotDistinct {
			out = append(out, key{c.Left, c.Right, c.Op == logical.NotDistinct})
		}
	}
	return out
}

// equalities are those among a condition's terms that compare one side with the
// other.
func equalities(op *logical.AnyJoin) []key {
	lw := op.Inputs[0].Head().Width()
	at := op.LeftProject
	if at == nil {
		at = seq(lw)
	}
	rat := op.RightProject
	if rat == nil {
		rat = seq(op.Inputs[1].Head().Width())
	}
	terms := []logical.Expr{op.Cond}
	if l, ok := op.Cond.(*logical.Logic); ok && !l.Or {
		terms = l.Args
	}
	var out []key
	for _, t := range terms {
		c, ok := t.(*logical.Compare)
		if !ok || c.Op != logical.Eq && c.Op != logical.NotDistinct {
			continue
		}
		// Only plain columns, whose places are easily told.
		a, b := column(c.Left), column(c.Right)
		if a > b {
			c = &logical.Compare{Typed: c.Typed, Op: c.Op, Left: c.Right, Right: c.Left}
			a, b = b, a
		}
		if a < 0 || a >= len(at) || b < len(at) || b-len(at) >= len(rat) {
			continue
		}
		out = append(out, key{moved(c.Left, at[a]), moved(c.Right, rat[b-len(at)]), c.Op == logical.NotDistinct})
	}
	return out
}

// moved is a column under casts, at another place.
func moved(x logical.Expr, to int) logical.Expr {
	if c, ok := x.(*logical.Cast); ok {
		cast := *c
		cast.X = moved(c.X, to)
		return &cast
	}
	r := *x.(*logical.Ref)
	r.Index = to
	return &r
}

// canBroadcastRight and canBroadcastLeft report whether that side may be whole in
// every task while the other is in pieces: the join outputs none of its rows for
// lack of a match, which no single task could tell.
func (j *joining) canBroadcastRight() bool {
	switch j.kind {
	case logical.Inner, logical.Left, logical.Semi, logical.Anti, logical.Mark, logical.Single:
		return true
	}
	return false
}

func (j *joining) canBroadcastLeft() bool {
	switch j.kind {
	case logical.Inner, logical.Right:
		return !j.asof
	case logical.RightSemi, logical.RightAnti:
		return true
	}
	return false
}

// place brings together what matches, by whichever way costs least, and says which.
func (p *planner) place(j *joining) (*rel, string, error) {
	if j.kind == logical.Mark {
		// The result of IN depends on all rows it compares with: only rows of
		// one correlated value are apart from the others.
		var same []key
		for _, k := range j.keys {
			if k.same {
				same = append(same, k)
			}
		}
		j.keys = same
	}
	l, r := j.left, j.right
	if j.asof && (j.kind == logical.Right || j.kind == logical.Full) && max(l.n, r.n) > 1 {
		why := "an ASOF join that keeps right rows"
		j.left, j.right = p.gather(l, why, false), p.gather(r, why, false)
		return j.joined(), "", nil
	}
	how := ""
	switch {
	case l.n <= 1 && r.n <= 1:
	case j.meet():
		how = shuffled
	case r.n == 0 && j.canBroadcastRight(), l.n == 0 && j.canBroadcastLeft():
	case j.canBroadcastRight() && p.pays(r, l) && (!j.canBroadcastLeft() || r.bytes() <= l.bytes() || l.n == 0):
		j.right, how = p.broadcast(r), sendRight
	case j.canBroadcastLeft() && p.pays(l, r):
		j.left, how = p.broadcast(l), sendLeft
	case len(j.keys) > 0:
		how = shuffled
		if err := p.copartition(j); err != nil {
			return nil, "", err
		}
	case j.canBroadcastRight() && (!j.canBroadcastLeft() || r.bytes() <= l.bytes()):
		j.right = p.broadcast(r)
	case j.canBroadcastLeft():
		j.left = p.broadcast(l)
	default:
		why := fmt.Sprintf("a %s join without an equality", strings.ToLower(string(j.kind)))
		j.left, j.right = p.gather(l, why, false), p.gather(r, why, false)
	}
	return j.joined(), how, nil
}

// small reports whether a piece is worth sending to all tasks. One that was made
// for that is sent even if it is somewhat larger.
func (p *planner) small(r *rel) bool {
	most := float64(p.o.BroadcastBytes)
	if r.made != nil && r.made.draft.ex.Kind == plan.Single {
		most *= keepBroadcast
	}
	return p.o.BroadcastBytes >= 0 && r.bytes() <= most
}

// pays reports whether a side is worth sending to all tasks of the other: it is
// small, and reading it everywhere is no more work than shuffling both.
func (p *planner) pays(side, other *rel) bool {
	again := side.bytes() * float64(other.n-1)
	return p.small(side) && (again <= tinyBroadcast || again <= side.bytes()+other.bytes())
}

func null(t logical.Type) logical.Expr {
	return &logical.Const{Typed: logical.Typed{T: t}, Value: logical.Value{Type: t, Null: true}}
}

// meet reports whether both sides are hashed already, alike, by keys that the join
// compares.
func (j *joining) meet() bool {
	l, r := j.left, j.right
	if l.n != r.n || l.hashedBy == nil || len(l.hashedBy) != len(r.hashedBy) {
		return false
	}
	for i := range l.hashedBy {
		found := false
		for _, k := range j.keys {
			found = found || l.hashedBy[i].has(column(k.left)) && r.hashedBy[i].has(column(k.right))
		}
		if !found {
			return false
		}
	}
	return true
}

// along returns the keys of the other side by which to hash it so that it meets a
// side that is hashed already; false if the join does not compare all of those.
func (j *joining) along(hashedBy []slot, mine, other func(k key) logical.Expr) ([]logical.Expr, bool) {
	var out []logical.Expr
next:
	for _, s := range hashedBy {
		for _, k := range j.keys {
			if s.has(column(mine(k))) {
				out = append(out, other(k))
				continue next
			}
		}
		return nil, false
	}
	return out, hashedBy != nil
}

// copartition sends both sides to where their keys hash. A side that is there
// already stays.
func (p *planner) copartition(j *joining) error {
	left, right := func(k key) logical.Expr { return k.left }, func(k key) logical.Expr { return k.right }
	rightKeys, leftStays := j.along(j.left.hashedBy, left, right)
	leftKeys, rightStays := j.along(j.right.hashedBy, right, left)
	leftStays, rightStays = leftStays && j.left.n > 1, rightStays && j.right.n > 1
	if leftStays && rightStays { // in different ways: the larger one stays
		leftStays = j.left.bytes() >= j.right.bytes()
		rightStays = !leftStays
	}
	n := p.parts
	switch {
	case leftStays:
		n = j.left.n
	case rightStays:
		n = j.right.n
	default:
		leftKeys, rightKeys = nil, nil
		for _, k := range j.keys {
			leftKeys, rightKeys = append(leftKeys, k.left), append(rightKeys, k.right)
		}
	}
	var err error
	if !leftStays {
		if j.left, err = p.exchange(j.left, leftKeys, n, false); err != nil {
			return err
		}
	}
	if !rightStays {
		j.right, err = p.exchange(j.right, rightKeys, n, false)
	}
	return err
}

// joined is the piece of the join over its sides, which are in place.
func (j *joining) joined() *rel {
	l, r := j.left, j.right
	op := j.op
	if c, ok := op.(*logical.Join); ok && c.Type == logical.Single && uniqueRight(j) {
		plain := *c
		plain.Type = logical.Left // there is no second match
		op = &plain
	}
	out := &rel{op: over(op, l, r), n: together(l, r), inOrder: l.inOrder || r.inOrder}
	out.rows = j.guess()
	for i := range max(len(l.hashedBy), len(r.hashedBy)) {
		out.hashedBy = append(out.hashedBy, j.slot(i))
	}
	j.setUnique(out)
	(&rel{values: l.values}).mapped(out, j.leftOut)
	(&rel{values: r.values}).mapped(out, j.rightOut)
	if j.inOrder && (l.n == out.n || l.n == 0) {
		out.stable, out.sorted = l.stable, l.sorted
		out.inOrder = out.inOrder || l.stable
	}
	return settled(op, out)
}

// slot is the output's columns that carry the i-th key of the placement.
func (j *joining) slot(i int) slot {
	l, r := j.left, j.right
	var out slot
	add := func(s slot, to func(int) []int) {
		for _, c := range s {
			out = append(out, to(c)...)
		}
	}
	leftHolds := j.kind != logical.Right && j.kind != logical.Full
	rightHolds := j.kind == logical.Inner || j.kind == logical.Right || j.kind == logical.RightSemi || j.kind == logical.RightAnti
	if l.n > 1 && i < len(l.hashedBy) && leftHolds {
		add(l.hashedBy[i], j.leftOut)
		for _, k := range j.keys {
			if c := column(k.right); rightHolds && c >= 0 && l.hashedBy[i].has(column(k.left)) {
				add(slot{c}, j.rightOut)
			}
		}
	}
	if r.n > 1 && i < len(r.hashedBy) && rightHolds {
		add(r.hashedBy[i], j.rightOut)
		for _, k := range j.keys {
			if c := column(k.left); leftHolds && c >= 0 && r.hashedBy[i].has(column(k.right)) {
				add(slot{c}, j.leftOut)
			}
		}
	}
	return out
}

// uniqueRight reports whether no left row can match twice.
func uniqueRight(j *joining) bool {
	c, ok := j.op.(*logical.Join)
	if !ok {
		return false
	}
	cols := map[int]bool{}
	for _, x := range c.Conds {
		r, ok := x.Right.(*logical.Ref)
		if !ok || x.Op != logical.Eq && x.Op != logical.NotDistinct {
			return false
		}
		cols[r.Index] = true
	}
	for _, u := range j.right.unique {
		all := true
		for _, c := range u {
			all = all && cols[c]
		}
		if all {
			return true
		}
	}
	return false
}

// setUnique keeps the unique columns of the left side if none of its rows is
// output twice.
func (j *joining) setUnique(out *rel) {
	switch j.kind {
	case logical.Semi, logical.Anti, logical.Mark, logical.Single:
	case logical.Left, logical.Inner:
		if !uniqueRight(j) {
			return
		}
	default:
		return
	}
	tmp := &rel{}
	(&rel{unique: j.left.unique}).mapped(tmp, j.leftOut)
	out.unique = tmp.unique
}

// values estimates how many distinct values the keys have. It assumes that the
// side with fewer values has no others than the other side. If a side has no
// statistics, each of its rows is assumed to match one row.
func (j *joining) values() float64 {
	n, most := 1.0, max(j.left.rows, j.right.rows)
	for _, k := range j.keys {
		l, r := j.left.valuesIn(k.left), j.right.valuesIn(k.right)
		switch {
		case l < j.left.rows || r < j.right.rows:
			n *= max(l, r)
		default:
			n *= min(l, r)
		}
	}
	return min(n, most)
}

// guess is how many rows come out.
func (j *joining) guess() float64 {
	l, r := j.left.rows, j.right.rows
	switch j.kind {
	case logical.Semi, logical.Anti:
		return l / 2
	case logical.Mark, logical.Single:
		return l
	case logical.RightSemi, logical.RightAnti:
		return r / 2
	}
	if len(j.keys) == 0 {
		return min(l*r, 1e15)
	}
	rows := max(l*r/j.values(), 1)
	switch j.kind {
	case logical.Left:
		return max(rows, l)
	case logical.Right:
		return max(rows, r)
	case logical.Full:
		return max(rows, l, r)
	}
	return rows
}
