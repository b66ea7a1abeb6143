package frame

import (
	"fmt"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/template"
	"github.com/pondmesh/pond/duck/lexer"
)

// Compile turns a plan into a job. The same plan over the same files with the
// same options gives the same job. Errors are the user's (ErrQuery) and name
// the node at fault.
//
// Each node becomes a view that the tasks of some stage evaluate. Rows that cannot
// stay in their stage leave it by an exit, an exchange that a later view reads.
// Then share.go keeps two stages from computing the same, and stages.go writes
// exits as stages.
func Compile(p *plan.Plan, cat plan.Catalog, o Options) (*plan.Job, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	o.Parallelism = max(o.Parallelism, 1)
	functions := make(map[string]string, len(o.Functions))
	for name, version := range o.Functions {
		functions[strings.ToLower(name)] = version // as SQL finds them
	}
	o.Functions = functions
	c := &compiler{plan: p, cat: cat, o: o, rels: map[plan.NodeID]*rel{}, nodes: map[plan.NodeID]*plan.Node{}, exits: map[string]*exit{}}
	for i := range p.Nodes {
		c.nodes[p.Nodes[i].ID] = &p.Nodes[i]
	}
	for _, id := range c.wanted() {
		r, err := c.compileNode(c.nodes[id])
		if err != nil {
			return nil, err
		}
		c.rels[id] = r
	}
	last, result, err := c.sink()
	if err != nil {
		return nil, err
	}
	c.materializeShared(last)
	return c.stages(last, result)
}

type compiler struct {
	plan  *plan.Plan
	cat   plan.Catalog
	o     Options
	nodes map[plan.NodeID]*plan.Node
	rels  map[plan.NodeID]*rel
	exits map[string]*exit // by view and exchange: asked for twice, made once
	count int
}

// wanted lists, in order, the nodes that the sink depends on.
func (c *compiler) wanted() []plan.NodeID {
	need := map[plan.NodeID]bool{c.plan.Sink.Input: true}
	var out []plan.NodeID
	for i := len(c.plan.Nodes) - 1; i >= 0; i-- {
		n := &c.plan.Nodes[i]
		if !need[n.ID] {
			continue
		}
		for _, in := range n.Inputs {
			need[in] = true
		}
		out = append([]plan.NodeID{n.ID}, out...)
	}
	return out
}

// view is a view: an input of a stage, or a step over other views. Exactly one
// of scan, lit, read and text is set.
type view struct {
	id    int
	label string // for people: "filter late"
	n     int    // tasks that evaluate it; 0: any number, each gets the same rows

	scan  *plan.Scan
	files []plan.File // the scan's
	lit   *plan.Literal
	read  *readView
	text  template.Template // over args
	args  []*view
	fn    *plan.FuncCall

	traits
	why    string      // it reads several partitions into one: Gathered
	views  []plan.View // made before the text is run, under the user's own names
	access []string    // files that the text names, as the user gave them
	facts  []plan.File // and what they are
	bytes  int64       // compressed, estimated; -1: not known
	// stable: run in order, the rows come in an order that is always the same.
	stable bool
	// ordered: that order means something to the user; it is kept.
	ordered bool
	// inOrder: the rows it gives depend on the order it is given rows in.
	inOrder bool
	// rowwise: no more than expressions over each row: cheap to compute again.
	rowwise bool
}

type readView struct {
	exits []*exit
	how   plan.How
	union bool // of exits made for it
}

// direct reports whether a view only reads, so that reading it again is free.
func (v *view) direct() bool { return v.text == nil || len(v.args) == 0 && v.fn == nil }

// exit is a stage to be: a view's rows leave by an exchange.
type exit struct {
	root   *view
	n      int // tasks
	ex     plan.Exchange
	bounds *exit // Range
	// repeatable: the exchange itself sends the same rows to the same partitions.
	repeatable bool
	ordered    bool
	perJob     bool // never the same in two jobs
	sample     bool // a first look at rows that are then read again
	index      int  // in Job.Stages, -1 until written
}

// layoutKind says how the rows of a rel are placed in its partitions.
type layoutKind string

const (
	laidAuto   layoutKind = "as read" // as the planner liked: partitions mean nothing
	laidSlices layoutKind = "slices"  // by position: files, rows, at random
	laidHash   layoutKind = "hash"    // by value, from here on
	laidRange  layoutKind = "range"
	laidColumn layoutKind = "column"
	laidUser   layoutKind = "user"
	laidSame   layoutKind = "broadcast"  // all rows in each
	laidSingle layoutKind = "unsplit"    // one partition
	laidUnion  layoutKind = "one by one" // partitions of several, one after another
)

// layout is a rel's partitions.
type layout struct {
	kind   layoutKind
	n      int
	detail string // what must be equal too: number of keys, function, bounds
}

func (l layout) String() string { return fmt.Sprintf("%s, %s", plan.Count(l.n, "partition"), l.kind) }

// rel is a node compiled: a view and the partitions it is evaluated in.
type rel struct {
	v *view
	l layout
}

// open is true of rels that may be partitioned as the consumer likes.
func (r *rel) open() bool { return r.l.n == 1 || r.l.kind == laidAuto }

func (c *compiler) add(v *view) *view {
	c.count++
	v.id = c.count
	return v
}

// step makes a new view over others, evaluated in n tasks. words are the traits of
// its user-given texts.
func (c *compiler) step(label string, n int, words traits, t template.Template, args ...*view) *view {
	v := &view{label: label, n: n, traits: words, text: t, args: args}
	for _, a := range args {
		if a.bytes < 0 || v.bytes < 0 {
			v.bytes = -1
		} else {
			v.bytes += a.bytes
		}
	}
	return c.add(v)
}

func (c *compiler) words(texts ...string) traits {
	var t traits
	for _, s := range texts {
		t = t.and(scanWords(s, c.o.Functions, c.o.Elsewhere))
	}
	return t
}

// narrow is a step over each row of one input, whose layout and order it keeps.
func (c *compiler) narrow(n *plan.Node, r *rel, t template.Template, texts ...string) *rel {
	v := c.step(label(n), r.l.n, c.words(texts...), t, r.v)
	v.rowwise = !v.volatile && !v.unordered && !v.clause
	v.stable = r.v.stable && v.rowwise
	// Rows that differ each time still come in the order of those they are made of.
	v.ordered = r.v.ordered || r.v.stable && v.volatile && !v.unordered && !v.clause
	return &rel{v, r.l}
}

// label names a step for people.
func label(n *plan.Node) string { return n.Op() + " " + string(n.ID) }

func (c *compiler) input(n *plan.Node) *rel { return c.rels[n.Inputs[0]] }

// compileNode compiles a node whose inputs are. A new view that merely reads
// bears the node's name.
func (c *compiler) compileNode(n *plan.Node) (*rel, error) {
	before := c.count
	r, err := c.compileOp(n)
	if err == nil && r.v.id > before && r.v.text == nil {
		r.v.label = label(n)
	}
	return r, err
}

func (c *compiler) compileOp(n *plan.Node) (*rel, error) {
	switch {
	case n.Read != nil:
		return c.compileRead(n)
	case n.Rows != nil:
		return c.compileRows(n), nil
	case n.SQL != nil:
		return c.compileSQL(n)
	case n.Map != nil:
		return c.compileMap(n, n.Map, plan.FuncMap)
	case n.FlatMap != nil:
		return c.compileMap(n, n.FlatMap, plan.FuncFlatMap)
	case n.Filter != nil:
		return c.compileMap(n, n.Filter, plan.FuncFilter)
	case n.MapBatches != nil:
		return c.call(n, c.input(n), plan.FuncCall{Name: n.MapBatches.Func, Kind: plan.FuncBatches, BatchRows: n.MapBatches.BatchRows}), nil
	case n.Project != nil:
		return c.compileProject(n)
	case n.PartialSort != nil:
		return c.partialSort(n, c.input(n), n.PartialSort.By), nil
	case n.Sort != nil:
		return c.compileSort(n)
	case n.RandomShuffle != nil:
		return c.compileShuffle(n), nil
	case n.Limit != nil:
		return c.limit(label(n), n.Inputs[0], n.Limit.N), nil
	case n.Union != nil:
		return c.compileUnion(n)
	case n.Broadcast != nil:
		return c.compileBroadcast(n), nil
	case n.Consolidate != nil:
		return c.compileConsolidate(n), nil
	}
	return c.compileRepartition(n)
}

func (c *compiler) compileMap(n *plan.Node, m *plan.MapOp, kind plan.FuncKind) (*rel, error) {
	r := c.input(n)
	if m.Func != "" {
		return c.call(n, r, plan.FuncCall{Name: m.Func, Kind: kind}), nil
	}
	t, err := n.Template(m.SQL, 1)
	if err != nil {
		return nil, err
	}
	view := template.View(0)
	if kind == plan.FuncFilter {
		t = t.Wrap([]template.Frag{template.Text("SELECT * FROM "), view, template.Text(" WHERE (")}, []template.Frag{template.Text(")")})
	} else {
		t = t.Wrap([]template.Frag{template.Text("SELECT ")}, []template.Frag{template.Text(" FROM "), view})
	}
	return c.narrow(n, r, t, m.SQL), nil
}

// call runs a Go function over a partition.
func (c *compiler) call(n *plan.Node, r *rel, fn plan.FuncCall) *rel {
	version := c.o.Functions[strings.ToLower(fn.Name)]
	words := traits{volatile: version == "", versions: []string{fn.Name + "@" + version}}
	v := c.step(label(n), r.l.n, words, template.From("*", ""), r.v)
	v.fn = &fn
	v.stable = r.v.stable && !v.volatile
	v.ordered = r.v.ordered || r.v.stable && v.volatile
	return &rel{v, r.l}
}

func (c *compiler) partialSort(n *plan.Node, r *rel, by []string) *rel {
	v := c.step(label(n), r.l.n, c.words(by...), orderBy(by, ""), r.v)
	v.ordered = true
	return &rel{v, r.l}
}

// orderBy is SELECT * FROM input 0 ORDER BY terms <rest>.
func orderBy(by []string, rest string) template.Template {
	terms := make([]string, len(by))
	for i, s := range by {
		expr, order, _ := template.SplitTerm(s) // Validate has checked it
		terms[i] = expr + " " + order
	}
	return template.From("*", " ORDER BY "+strings.Join(terms, ", ")+rest)
}

// compileSQL places a partial SQL among its inputs. Those that someone has
// partitioned decide; they must agree. The others are given whole to each
// partition. If nobody has, it runs once.
func (c *compiler) compileSQL(n *plan.Node) (*rel, error) {
	ins := make([]*rel, len(n.Inputs))
	for i, id := range n.Inputs {
		ins[i] = c.rels[id]
	}
	l, why, err := c.align(n, ins)
	if err != nil {
		return nil, err
	}
	args := make([]*view, len(ins))
	for i, r := range ins {
		switch {
		case len(ins) == 1, l.n == 1 && r.l.n == 1, !r.open():
			args[i] = r.v
		default:
			args[i] = c.broadcast(r)
		}
	}
	t, err := n.Template(n.SQL.Query, len(ins))
	if err != nil {
		return nil, err
	}
	whole := n.SQL.Query
	for _, w := range n.SQL.Views {
		whole += "\n" + w.SQL // volatile if any of them is
	}
	words := c.words(whole)
	words.sorted = c.words(n.SQL.Query).sorted
	if first := firstWord(n.SQL.Query); first == "describe" || first == "summarize" || first == "show" {
		t = t.Wrap([]template.Frag{template.Text("SELECT * FROM (")}, []template.Frag{template.Text(")")}) // no view can be made of them as they are
	}
	v := c.step(label(n), l.n, words, t, args...)
	v.ordered, v.why = words.sorted, why
	v.access, v.views = n.SQL.Access, n.SQL.Views
	if len(v.access) > 0 {
		f, ok := c.cat[n.ID]
		if !ok {
			return nil, fmt.Errorf("plan: %s: the catalog lacks the files of %q: %w", n, v.access, plan.ErrInternal)
		}
		v.facts = f.Files
	}
	if len(args) == 0 {
		v.bytes = -1
	}
	return &rel{v, l}, nil
}

// align finds the layout that a step over several inputs runs in, and why it is
// one partition when it need not be.
func (c *compiler) align(n *plan.Node, ins []*rel) (l layout, why string, err error) {
	switch len(ins) {
	case 0:
		return layout{kind: laidSingle, n: 1}, "the statement is run whole, over its own files", nil
	case 1:
		return ins[0].l, "", nil
	}
	base := -1
	for i, r := range ins {
		switch {
		case r.open():
		case base < 0, ins[base].l.kind == laidSame && ins[base].l.n == r.l.n:
			base = i
		case r.l.n != ins[base].l.n || r.l.kind != laidSame && (r.l.kind != ins[base].l.kind || r.l.detail != ins[base].l.detail):
			return l, "", n.Errorf("repartition both the same way, or broadcast one",
				"its inputs are not partitioned alike: %q has %s, %q has %s",
				n.Inputs[base], describe(ins[base].l), n.Inputs[i], describe(r.l))
		}
	}
	if base >= 0 {
		return ins[base].l, "", nil
	}
	for i, r := range ins {
		if r.l.n > 1 && why == "" {
			why = fmt.Sprintf("nobody has partitioned the inputs of %s, and %q is read whole", n, n.Inputs[i])
		}
	}
	return layout{kind: laidSingle, n: 1}, why, nil
}

func describe(l layout) string {
	if l.detail == "" {
		return l.String()
	}
	return l.String() + " (" + l.detail + ")"
}

func firstWord(s string) string {
	toks, _ := lexer.Lex(s)
	if words := lexer.Solid(toks); len(words) > 0 {
		return strings.ToLower(words[0].In(s))
	}
	return ""
}
