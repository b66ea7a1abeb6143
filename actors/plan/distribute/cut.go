package distribute

import (
	"slices"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/logical"
)

// planner makes pieces of a tree.
type planner struct {
	q     *Query
	facts Facts
	o     Options
	input int64 // compressed bytes that scans read
	parts int   // of every exchange but a sort's, see ranges
	// leaves by their views: the inputs of a piece are found in its tree.
	leaves map[*logical.View]*leaf
	drafts []*draft
	units  map[*logical.Get][]plan.Piece // of scans, see prune
	// ctes and delims make a piece that reads the rows kept under the id.
	ctes, delims map[int]func() *rel
	// unfinished are operators whose rows are put together later: over any part of
	// their input they are as right as over all that a task has.
	unfinished map[logical.Operator]bool
	ways       map[logical.Operator]way // that were chosen

	// When a query is planned again:
	before map[logical.Operator]way
	old    *plan.Job                  // its stages come first
	made   map[logical.Operator]*made // by the operator whose rows they are
	passed bool                       // something that is made was not taken, for its order
}

func newPlanner(q *Query, facts Facts, o Options) *planner {
	return &planner{q: q, facts: facts, o: o, leaves: map[*logical.View]*leaf{}, units: map[*logical.Get][]plan.Piece{}, ctes: map[int]func() *rel{}, delims: map[int]func() *rel{},
		unfinished: map[logical.Operator]bool{}, ways: map[logical.Operator]way{}, made: map[logical.Operator]*made{}}
}

// leaf is a new view.
func (p *planner) leaf(l *leaf, cols []logical.Column) *logical.View {
	l.view = &logical.View{Node: logical.Node{Kind: "VIEW", Columns: cols}}
	p.leaves[l.view] = l
	return l.view
}

// cut ends a stage: r's rows leave by an exchange. keep: in their order.
func (p *planner) cut(r *rel, label string, ex plan.Exchange, keep bool) *draft {
	d := &draft{root: r.op, n: max(r.n, 1), ex: ex, ordered: keep && r.stable || r.inOrder, repeatable: true,
		label: label, rows: r.rows, values: r.values, index: -1, number: len(p.drafts) + 1, of: r.of, unique: r.unique, rounded: p.rounded(r.op)}
	p.drafts = append(p.drafts, d)
	return d
}

// read makes the piece by which tasks of another stage read drafts.
func (p *planner) read(from []*draft, how plan.How, n int, ordered bool) *rel {
	rows := 0.0
	for _, d := range from {
		rows += d.rows
		d.counted = d.counted || how == plan.ReadSegments
	}
	v := p.leaf(&leaf{from: from, how: how, ordered: ordered}, from[0].root.Head().Columns)
	out := &rel{op: v, n: n, rows: rows, stable: ordered}
	if len(from) == 1 {
		out.values = from[0].values
	}
	return out
}

var single = plan.Exchange{Kind: plan.Single, Partitions: 1}

// gather is all rows in one task; why says what for.
func (p *planner) gather(r *rel, why string, keep bool) *rel {
	if r.n <= 1 {
		out := *r
		out.n = 1
		return &out
	}
	keep = keep && r.stable
	var out *rel
	if r.made != nil {
		out = p.all(r.made, 1)
	} else {
		out = p.read([]*draft{p.cut(r, label(r.op), single, keep)}, plan.ReadPartition, 1, keep)
	}
	p.leaves[out.op.(*logical.View)].why = why
	out.unique, out.sorted = r.unique, r.sorted && keep
	return out
}

// broadcast is all rows in every task.
func (p *planner) broadcast(r *rel) *rel {
	switch {
	case r.n == 0:
		return r
	case r.made != nil:
		return p.all(r.made, 0)
	case p.isSmall(r):
		return p.broadcastScan(r)
	}
	out := p.read([]*draft{p.cut(r, label(r.op)+", for all tasks", single, false)}, plan.ReadAll, 0, false)
	out.unique = r.unique
	return out
}

// again has r's rows computed once and read several times: each call of the
// function that it returns is another reader.
func (p *planner) again(r *rel, name string, keep bool) func() *rel {
	if r.n == 0 && !anyVolatile(r.op) && !p.readsStages(r.op) {
		return func() *rel { c := *r; return &c }
	}
	if r.made != nil {
		return func() *rel { return p.remade(r.made) }
	}
	keep = keep && r.stable
	d := p.cut(r, name, single, keep)
	return func() *rel {
		how := plan.ReadSegments
		if r.n == 0 {
			how = plan.ReadAll
		}
		out := p.read([]*draft{d}, how, r.n, keep)
		out.hashedBy, out.unique, out.sorted = r.hashedBy, r.unique, r.sorted && keep
		return out
	}
}

// exchange sends each row to the task of its keys' hash. keep: rows of the same
// keys stay in order.
func (p *planner) exchange(r *rel, keys []logical.Expr, n int, keep bool) (*rel, error) {
	d, err := p.hashed(r, keys, n, keep)
	if err != nil {
		return nil, err
	}
	return p.readHashed(d, r, keys), nil
}

func (p *planner) hashed(r *rel, keys []logical.Expr, n int, keep bool) (*draft, error) {
	ex := plan.Exchange{Kind: plan.Hash, Partitions: n}
	for _, k := range keys {
		s, err := logical.RenderExpr(stripCasts(k), logical.ColumnName)
		if err != nil {
			return nil, err
		}
		ex.Keys = append(ex.Keys, s)
	}
	d := p.cut(r, label(r.op), ex, keep)
	d.label += " → " + ex.String()
	d.repeatable = !p.floats(r.op, keys)
	d.keys = keys
	return d, nil
}

func (p *planner) readHashed(d *draft, r *rel, keys []logical.Expr) *rel {
	out := p.read([]*draft{d}, plan.ReadPartition, d.ex.Partitions, d.ordered)
	out.stable, out.inOrder = false, false
	out.unique = r.unique
	for _, k := range keys {
		var s slot
		if c := column(k); c >= 0 {
			s = slot{c}
		}
		out.hashedBy = append(out.hashedBy, s)
	}
	return out
}

// floats reports whether keys hash a floating point number that might be worked
// out in another order, and so be another, when the task is run again.
func (p *planner) floats(op logical.Operator, keys []logical.Expr) bool {
	found := false
	for _, k := range keys {
		found = found || real(k.Type()) || len(k.Type().Fields) > 0
	}
	if !found {
		return false
	}
	return p.rounded(op)
}

// rounded reports whether a piece's rows, or those that it reads, hold sums that
// may come out otherwise when they are made again.
func (p *planner) rounded(op logical.Operator) bool {
	found := false
	logical.Walk(op, func(o logical.Operator) bool {
		found = found || rounds(o)
		if v, ok := o.(*logical.View); ok {
			found = found || slices.ContainsFunc(p.leaves[v].from, func(d *draft) bool { return d.rounded })
		}
		return !found
	})
	return found
}

// one evaluates a piece in one task although every task could evaluate it.
func one(r *rel) *rel {
	if r.n == 0 {
		r.n = 1
	}
	return r
}

// settled has an operator that is nondeterministic evaluated in one task only.
func settled(op logical.Operator, r *rel) *rel {
	if r.n == 0 && (volatileOp(op) || nondeterministicOp(op) || rounds(op)) {
		return one(r)
	}
	return r
}

// together is the number of tasks of a piece made of two.
func together(a, b *rel) int { return max(a.n, b.n) }

// readsStages reports whether a piece reads other stages.
func (p *planner) readsStages(op logical.Operator) bool {
	found := false
	logical.Walk(op, func(o logical.Operator) bool {
		if v, ok := o.(*logical.View); ok && p.leaves[v].from != nil {
			found = true
		}
		return !found
	})
	return found
}
