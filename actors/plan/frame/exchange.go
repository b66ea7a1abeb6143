package frame

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/template"
	"github.com/pondmesh/pond/duck/lexer"
)

// Operations that may move rows between partitions.

// asked is why there is one partition where the user wanted it so.
const asked = "one partition was asked for"

func (c *compiler) compileRepartition(n *plan.Node) (*rel, error) {
	r, rp := c.input(n), n.Repartition
	parts := rp.N
	if parts == 0 {
		parts = c.o.TasksFor(r.v.bytes)
	}
	split := func(kind layoutKind, detail string, e exit) *rel {
		e.ex.Partitions = parts
		return &rel{c.read([]*exit{c.leave(r, e)}, plan.ReadPartition, parts), layout{kind: kind, n: parts, detail: detail}}
	}
	switch rp.By {
	case "", plan.ByFiles:
		return c.byFiles(r, parts), nil
	case plan.ByRows:
		return c.byRows(r, parts), nil
	case plan.ByHash:
		return split(laidHash, plan.Count(len(rp.Keys), "key"), exit{ex: plan.Exchange{Kind: plan.Hash, Keys: rp.Keys}, repeatable: true}), nil
	case plan.ByValue:
		return split(laidColumn, "", exit{ex: plan.Exchange{Kind: plan.ByColumn, Keys: rp.Keys}, repeatable: true}), nil
	case plan.ByRange:
		return c.byRange(n, r, rp.Keys, parts), nil
	case plan.ByRoundRobin:
		return split(laidSlices, "", exit{ex: plan.Exchange{Kind: plan.RoundRobin}}), nil
	case plan.ByUser:
		args := "*COLUMNS(*)"
		if len(rp.Keys) > 0 {
			args = strings.Join(rp.Keys, ", ")
		}
		keys := []string{lexer.QuoteName(rp.Func) + "(" + args + ")"}
		pure := c.o.Functions[strings.ToLower(rp.Func)] != ""
		return split(laidUser, rp.Func, exit{ex: plan.Exchange{Kind: plan.User, Func: rp.Func, Keys: keys}, repeatable: pure}), nil
	}
	return split(laidSlices, "", c.random(r, rp.Seed)), nil
}

// random is an exchange by a seeded generator. It repeats itself when its rows
// come in an order that does.
func (c *compiler) random(r *rel, seed *uint64) exit {
	again := seed != nil && r.v.stable
	return exit{ex: plan.Exchange{Kind: plan.Random, Seed: c.seed(seed)}, repeatable: again, ordered: again}
}

// seed is the user's, or one of the job's.
func (c *compiler) seed(given *uint64) uint64 {
	if given != nil {
		return *given
	}
	h := fnv.New64a()
	fmt.Fprint(h, c.o.JobID)
	return h.Sum64()
}

// byFiles deals out whole files of a scan, or whole partitions of any other rel.
func (c *compiler) byFiles(r *rel, n int) *rel {
	switch {
	case r.v.scan != nil && !r.v.scan.Broadcast:
		return c.rescan(r.v, plan.SplitFiles(r.v.files, n), laidSlices)
	case n == 1:
		return c.gather(r, asked, false)
	}
	return &rel{c.reread(r, plan.ReadSegments, n, false), layout{kind: laidSlices, n: n}}
}

// byRows cuts evenly by rows: in the plan where footers tell how many there
// are, else once the rows are there.
func (c *compiler) byRows(r *rel, n int) *rel {
	if v := r.v; v.scan != nil && !v.scan.Broadcast && rowsKnown(v.files) {
		return c.rescan(v, plan.SplitRows(plan.Units(v.files), v.files, n), laidSlices)
	}
	if v := r.v; v.lit != nil && !v.lit.Broadcast {
		w := *v
		w.n = n
		return &rel{c.add(&w), layout{kind: laidSlices, n: n}}
	}
	if n == 1 {
		return c.gather(r, asked, false)
	}
	// Which rows a share holds hangs on the order they were written in.
	e := c.leave(r, exit{ex: plan.Exchange{Kind: plan.Single, Partitions: 1}, repeatable: r.v.stable, ordered: r.v.stable || r.v.ordered})
	v := c.read([]*exit{e}, plan.ReadRows, n)
	v.stable, v.ordered, v.rowwise = r.v.stable, r.v.ordered, true
	return &rel{v, layout{kind: laidSlices, n: n}}
}

func rowsKnown(files []plan.File) bool {
	for i := range files {
		if files[i].Groups == nil {
			return false
		}
	}
	return true
}

func (c *compiler) compileSort(n *plan.Node) (*rel, error) {
	r, parts := c.input(n), n.Sort.N
	switch {
	case parts > 0:
	case r.v.bytes < 0 && r.l.n == 1:
		parts = 1
	default:
		parts = c.o.SortTasksFor(r.v.bytes)
	}
	if parts == 1 {
		r = c.gather(r, "too little to sort apart", false)
	} else {
		r = c.byRange(n, r, n.Sort.By, parts)
	}
	return c.partialSort(n, r, n.Sort.By), nil
}

func (c *compiler) compileShuffle(n *plan.Node) *rel {
	r, seed := c.input(n), n.RandomShuffle.Seed
	e := c.random(r, seed)
	if r.l.n > 1 {
		e.ex.Partitions = r.l.n
		v := c.read([]*exit{c.leave(r, e)}, plan.ReadPartition, r.l.n)
		v.stable, v.ordered = e.repeatable, e.repeatable
		r = &rel{v, layout{kind: laidSlices, n: r.l.n}}
	}
	order := "random()"
	if e.repeatable {
		order = "hash(row_number() OVER (), " + strconv.FormatUint(e.ex.Seed, 10) + "::UBIGINT)"
	}
	v := c.step(label(n), r.l.n, traits{volatile: !e.repeatable}, template.From("*", " ORDER BY "+order), r.v)
	v.stable, v.inOrder, v.ordered = e.repeatable, e.repeatable, true
	return &rel{v, r.l}
}

// limitTopRows is the most rows that a limit over a sort keeps a task, instead
// of sorting everything.
const limitTopRows = 1 << 20

// limit keeps the first rows of all: the first of each task, then the first of
// those. Over a sort it sorts no more than that many.
func (c *compiler) limit(label string, input plan.NodeID, rows int64) *rel {
	r := c.rels[input]
	t := template.From("*", fmt.Sprintf(" LIMIT %d", rows))
	top, words := false, traits{}
	if s := c.nodes[input].Sort; s != nil && rows <= limitTopRows {
		top = true
		r = c.rels[c.nodes[input].Inputs[0]]
		words = c.words(s.By...)
		t = orderBy(s.By, fmt.Sprintf(" LIMIT %d", rows))
	}
	first := func(r *rel) *rel {
		v := c.step(label, r.l.n, words, t, r.v)
		v.stable = r.v.stable && !top
		v.inOrder = v.stable
		v.unordered = !v.stable // which rows come first, or which of equals
		v.ordered = r.v.ordered || top
		v.bytes = min(v.bytes, plan.MinTaskBytes)
		return &rel{v, r.l}
	}
	if r.l.n == 1 {
		return first(r)
	}
	return first(c.gather(first(r), fmt.Sprintf("keeps %d rows of those that %s kept", rows, plan.Count(r.l.n, "task")), true))
}

func (c *compiler) compileUnion(n *plan.Node) (*rel, error) {
	ins := make([]*rel, len(n.Inputs))
	for i, id := range n.Inputs {
		ins[i] = c.rels[id]
	}
	if len(ins) == 1 {
		return ins[0], nil
	}
	if l, ok := alike(ins); ok {
		return c.unionStep(n, l, ins), nil
	}
	total, scans, open := 0, true, true
	for _, r := range ins {
		total += r.l.n
		scans = scans && r.v.scan != nil && !r.v.scan.Broadcast
		open = open && r.open()
	}
	l := layout{kind: laidUnion, n: total}
	if open {
		l.kind = laidAuto
	}
	if total > plan.MaxPartitions {
		return nil, n.Errorf("consolidate or repartition its inputs", "it has %d partitions, more than the %d allowed", total, plan.MaxPartitions)
	}
	if scans {
		return c.unionStep(n, l, c.sideBySide(ins, total)), nil
	}
	var exits []*exit
	for _, r := range ins {
		if r.v.read != nil && r.v.read.union && r.v.n == segments(r.v) {
			exits = append(exits, r.v.read.exits...)
			continue
		}
		exits = append(exits, c.cut(r, false))
	}
	v := c.read(exits, plan.ReadSegments, total)
	v.read.union, v.rowwise = true, true
	return &rel{v, l}, nil
}

// alike is the layout of inputs that can be united partition by partition.
func alike(ins []*rel) (layout, bool) {
	l := ins[0].l
	for _, r := range ins {
		single := l.n == 1 && r.l.n == 1
		same := !r.open() && r.l.kind == l.kind && r.l.n == l.n && r.l.detail == l.detail
		if !single && !same {
			return l, false
		}
	}
	if l.n == 1 {
		return layout{kind: laidSingle, n: 1}, true
	}
	return l, true
}

func (c *compiler) unionStep(n *plan.Node, l layout, ins []*rel) *rel {
	var t template.Template
	var args []*view
	stable := true
	for i, r := range ins {
		if i > 0 {
			t = append(t, template.Text(" UNION ALL "))
		}
		t = append(t, template.Text("SELECT * FROM "), template.View(i))
		args = append(args, r.v)
		stable = stable && r.v.stable
	}
	v := c.step(label(n), l.n, traits{}, t, args...)
	v.stable, v.rowwise = stable, true
	return &rel{v, l}
}

// sideBySide lets tasks of one stage read several scans, each task of one only.
func (c *compiler) sideBySide(ins []*rel, total int) []*rel {
	out := make([]*rel, len(ins))
	first := 0
	for i, r := range ins {
		splits := make([][]plan.Piece, total)
		first += copy(splits[first:], r.v.scan.Splits)
		out[i] = c.rescan(r.v, splits, laidAuto)
	}
	return out
}

func (c *compiler) compileBroadcast(n *plan.Node) *rel {
	return &rel{c.broadcast(c.input(n)), layout{kind: laidSame, n: max(n.Broadcast.N, 1)}}
}

// compileConsolidate merges neighbouring partitions. Where the rows are only
// read, it is a matter of reading more of them in each task.
func (c *compiler) compileConsolidate(n *plan.Node) *rel {
	r, to := c.input(n), n.Consolidate.N
	if to >= r.l.n {
		return r
	}
	l := layout{kind: r.l.kind, n: to, detail: strings.TrimPrefix(r.l.detail+", ", ", ") + "merged from " + strconv.Itoa(r.l.n)}
	if l.kind == laidAuto || l.kind == laidUnion {
		l.kind, l.detail = laidSlices, ""
	}
	if to == 1 {
		l = layout{kind: laidSingle, n: 1}
	}
	v := r.v
	switch {
	case v.scan != nil && !v.scan.Broadcast:
		splits := make([][]plan.Piece, to)
		for t := range splits {
			lo, hi := plan.EvenRange(int64(r.l.n), to, t)
			var all []plan.Piece
			for _, task := range v.scan.Splits[lo:hi] {
				all = append(all, task...)
			}
			splits[t] = plan.JoinPieces(all, v.files)
		}
		return &rel{c.rescan(v, splits, l.kind).v, l}
	case v.read != nil && v.n > 0 && segments(v) == v.n:
		w := *v
		w.n = to
		if to == 1 {
			w.why = asked
		}
		return &rel{c.add(&w), l}
	}
	w := c.reread(r, plan.ReadSegments, to, false)
	if to == 1 {
		w.why = asked
	}
	return &rel{w, l}
}

// segments is how many equal things a read shares out to its tasks: partitions
// or segments; -1 when it shares out neither.
func segments(v *view) int {
	switch v.read.how {
	case plan.ReadPartition:
		return v.read.exits[0].ex.Partitions
	case plan.ReadSegments:
		n := 0
		for _, e := range v.read.exits {
			n += e.n
		}
		return n
	}
	return -1
}

// sink is the last stage.
func (c *compiler) sink() (*exit, plan.Result, error) {
	s := c.plan.Sink
	r := c.rels[s.Input]
	switch {
	case s.Write != nil:
		w := *s.Write
		if w.Mode == "" {
			w.Mode = plan.WriteError
		}
		if w.Single {
			r = c.gather(r, "one file is to be written", true)
		}
		e := c.leave(r, exit{ex: plan.Exchange{Kind: plan.Files, Partitions: r.l.n, Write: &w}, repeatable: true, perJob: true, ordered: r.v.ordered})
		return e, plan.Result{Write: &w, Ordered: r.v.ordered}, nil
	case s.Count != nil:
		one := func(r *rel, t string) *rel {
			v := c.step("count", r.l.n, traits{}, template.From(t, ""), r.v)
			return &rel{v, r.l}
		}
		r = one(r, "count(*) AS count")
		if r.l.n > 1 {
			r = one(c.gather(r, "adds up the counts of "+plan.Count(r.l.n, "task"), false), "CAST(sum(count) AS BIGINT) AS count")
		}
		return c.cut(r, false), plan.Result{}, nil
	case s.Take != nil:
		r = c.limit("take", s.Input, s.Take.N)
	}
	return c.cut(r, true), plan.Result{Ordered: true}, nil
}
