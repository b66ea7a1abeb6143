package logical

import (
	"encoding/json"
	"fmt"
)

// PlanError is DuckDB's refusal to plan the query or to serialise the plan.
// What serialisation lacks (CSV and JSON readers, prepared statements) is of
// the kinds "not implemented" and "invalid input"; a query that DuckDB would
// not run either has the kind of its real error.
type PlanError struct {
	Kind    string // "binder", "parser", "catalog", "not implemented", …
	Message string // DuckDB's own
}

// Again reports whether another of [OptimizerTries] may help: json_serialize_plan
// checks types that some optimizers leave stale.
func (e *PlanError) Again() bool { return e.Kind == "internal" }

func (e *PlanError) Error() string {
	return fmt.Sprintf("logical: DuckDB does not plan it: %s", e.Message)
}

// Decode reads what json_serialize_plan(sql, optimize := true) returned for one
// statement. Names are the result's column names; there may be more or fewer
// than the tree has columns only if they are nil: then the tree's are taken.
func Decode(text []byte, names []string) (*Plan, error) {
	if len(text) == 0 {
		// DuckDB's JSON writer gives this for text that is not UTF-8.
		return nil, &PlanError{Kind: "serialization", Message: "the plan has a constant that JSON cannot hold"}
	}
	o, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("logical: decode: %w", err)
	}
	if o.flag("error") {
		return nil, &PlanError{Kind: o.text("error_type"), Message: o.text("error_message")}
	}
	plans := o.list("plans")
	if len(plans) != 1 {
		return nil, fmt.Errorf("logical: decode: %d statements, one is expected", len(plans))
	}
	d := &decoder{}
	root := d.operator(asObject(plans[0]))
	if d.err != nil {
		return nil, fmt.Errorf("logical: decode: %w", d.err)
	}
	p := &Plan{Root: root, Names: names}
	columns := root.Head().Columns
	if names == nil {
		for _, c := range columns {
			p.Names = append(p.Names, c.Name)
		}
	}
	if len(p.Names) != len(columns) {
		return nil, fmt.Errorf("logical: decode: %d names for %d columns", len(p.Names), len(columns))
	}
	return p, nil
}

// decoder walks the JSON. Its bounds are the only errors; everything else that
// is strange is an Unknown.
type decoder struct {
	depth, nodes int
	err          error
	delims       []*Join // whose DelimGets are being read, innermost last
	delimIDs     int
	// scope is the bindings of the columns that expressions being read refer to.
	scope []binding
}

// binding is DuckDB's own name for a column. Most references are positions by
// the time the plan is written; see columnRef.
type binding struct{ table, column int }

func bindings(table, n int) []binding {
	out := make([]binding, n)
	for i := range out {
		out[i] = binding{table, i}
	}
	return out
}

// bind gives the operator the bindings that it has in DuckDB.
func bind(op Operator, o object) {
	n := op.Head()
	in := func(i int) []binding {
		if i < len(n.Inputs) {
			return n.Inputs[i].Head().bindings
		}
		return nil
	}
	switch op := op.(type) {
	case *Get:
		for _, p := range op.Project {
			n.bindings = append(n.bindings, binding{op.Table, p})
		}
		n.bindings = append(n.bindings, pick(in(0), op.Carried)...)
	case *Filter:
		n.bindings = pickAll(in(0), op.Project)
	case *Order:
		n.bindings = pickAll(in(0), op.Project)
	case *Distinct, *Limit, *TopN, *Sample:
		n.bindings = in(0)
	case *MaterializedCTE:
		n.bindings = in(1)
	case *CrossProduct, *PositionalJoin:
		n.bindings = append(append(n.bindings, in(0)...), in(1)...)
	case *Join:
		n.bindings = joinBindings(op.Type, in(0), in(1), op.LeftProject, op.RightProject, o)
	case *AnyJoin:
		n.bindings = joinBindings(op.Type, in(0), in(1), op.LeftProject, op.RightProject, o)
	case *Window:
		n.bindings = append(append(n.bindings, in(0)...), bindings(o.number("window_index"), len(op.Exprs))...)
	case *Unnest:
		n.bindings = append(append(n.bindings, in(0)...), bindings(o.number("unnest_index"), len(op.Lists))...)
	case *Aggregate:
		n.bindings = append(n.bindings, bindings(o.number("group_index"), len(op.Groups))...)
		n.bindings = append(n.bindings, bindings(o.number("aggregate_index"), len(op.Aggs))...)
		n.bindings = append(n.bindings, bindings(o.number("groupings_index"), len(op.Grouping))...)
	case *Pivot:
		n.bindings = bindings(o.number("pivot_index"), len(n.Columns))
	case *EmptyResult:
		for _, b := range o.list("bindings") {
			n.bindings = append(n.bindings, binding{asObject(b).number("table_index"), asObject(b).number("column_index")})
		}
	default:
		n.bindings = bindings(o.number("table_index"), len(n.Columns))
	}
}

func joinBindings(t JoinType, left, right []binding, leftProject, rightProject []int, o object) []binding {
	left, right = pickAll(left, leftProject), pickAll(right, rightProject)
	switch t {
	case Semi, Anti:
		return left
	case RightSemi, RightAnti:
		return right
	case Mark:
		return append(append([]binding{}, left...), binding{o.number("mark_index"), 0})
	}
	return append(append([]binding{}, left...), right...)
}

// enter counts a node; leave must follow when it returns true.
func (d *decoder) enter() bool {
	d.nodes++
	d.depth++
	switch {
	case d.depth > depthMax:
		d.fail("the plan is more than %d levels deep", depthMax)
	case d.nodes > nodesMax:
		d.fail("the plan has more than %d nodes", nodesMax)
	}
	return d.err == nil
}

func (d *decoder) leave() { d.depth-- }

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
}

func (d *decoder) operator(o object) Operator {
	if !d.enter() {
		return &Unknown{Why: "bounds"}
	}
	defer d.leave()
	op := d.node(o)
	bind(op, o)
	return op
}

func (d *decoder) node(o object) Operator {
	n := Node{Kind: o.text("type")}
	switch n.Kind {
	case "LOGICAL_DELIM_JOIN", "LOGICAL_COMPARISON_JOIN", "LOGICAL_ASOF_JOIN":
		return d.join(n, o)
	}
	for _, c := range o.list("children") {
		n.Inputs = append(n.Inputs, d.operator(asObject(c)))
	}
	d.scope = nil
	if len(n.Inputs) > 0 {
		d.scope = n.Inputs[0].Head().bindings
	}
	if want := arity(n.Kind); want >= 0 && len(n.Inputs) != want {
		return d.unknown(n, fmt.Sprintf("%d inputs, %d are expected", len(n.Inputs), want))
	}
	if op := d.leaf(n, o); op != nil {
		return op
	}
	if op := d.unary(n, o); op != nil {
		return op
	}
	if op := d.binary(n, o); op != nil {
		return op
	}
	return d.unknown(n, "not known")
}

func (d *decoder) unknown(n Node, why string) Operator {
	return &Unknown{Node: n, Why: fmt.Sprintf("%s: %s", n.Kind, why)}
}

// arity is how many inputs an operator has; -1: any number.
func arity(kind string) int {
	switch kind {
	case "LOGICAL_FILTER", "LOGICAL_PROJECTION", "LOGICAL_AGGREGATE_AND_GROUP_BY", "LOGICAL_DISTINCT", "LOGICAL_WINDOW",
		"LOGICAL_UNNEST", "LOGICAL_ORDER_BY", "LOGICAL_TOP_N", "LOGICAL_LIMIT", "LOGICAL_SAMPLE", "LOGICAL_PIVOT":
		return 1
	case "LOGICAL_ANY_JOIN", "LOGICAL_CROSS_PRODUCT", "LOGICAL_POSITIONAL_JOIN", "LOGICAL_EXCEPT",
		"LOGICAL_INTERSECT", "LOGICAL_MATERIALIZED_CTE", "LOGICAL_RECURSIVE_CTE":
		return 2
	case "LOGICAL_DUMMY_SCAN", "LOGICAL_EMPTY_RESULT", "LOGICAL_CHUNK_GET", "LOGICAL_DELIM_GET", "LOGICAL_CTE_REF":
		return 0
	}
	return -1
}

func (d *decoder) leaf(n Node, o object) Operator {
	switch n.Kind {
	case "LOGICAL_GET":
		return d.get(n, o)
	case "LOGICAL_DUMMY_SCAN":
		n.Columns = []Column{{Type: Type{ID: "INTEGER"}}}
		return &DummyScan{n}
	case "LOGICAL_EMPTY_RESULT":
		n.Columns = d.typed(o.list("return_types"), nil)
		return &EmptyResult{n}
	case "LOGICAL_CHUNK_GET":
		return d.chunk(n, o)
	case "LOGICAL_EXPRESSION_GET":
		n.Columns = d.typed(o.list("expr_types"), nil)
		v := &Values{Node: n}
		for _, row := range o.list("expressions") {
			l, _ := row.([]any)
			v.Rows = append(v.Rows, d.exprs(l))
		}
		return v
	case "LOGICAL_DELIM_GET":
		n.Columns = d.typed(o.list("chunk_types"), nil)
		if len(d.delims) == 0 {
			return d.unknown(n, "no join around it")
		}
		j := d.delims[len(d.delims)-1]
		if j.DelimID == 0 {
			d.delimIDs++
			j.DelimID = d.delimIDs
		}
		return &DelimGet{Node: n, ID: j.DelimID}
	case "LOGICAL_CTE_REF":
		n.Columns = d.typed(o.list("chunk_types"), o.texts("bound_columns"))
		return &CTERef{Node: n, CTE: o.number("cte_index"), Recurring: o.flag("is_recurring")}
	}
	return nil
}

// typed is columns of the given types.
func (d *decoder) typed(types []any, names []string) []Column {
	out := make([]Column, len(types))
	for i, t := range types {
		out[i].Type = d.typ(asObject(t))
		if i < len(names) {
			out[i].Name = names[i]
		}
	}
	return out
}

func (d *decoder) chunk(n Node, o object) Operator {
	n.Columns = d.typed(o.list("chunk_types"), nil)
	v := &Values{Node: n}
	for c, column := range o.object("collection").list("values") {
		list, _ := column.([]any)
		if c >= len(n.Columns) || c > 0 && len(list) != len(v.Rows) {
			return d.unknown(n, "a ragged collection")
		}
		for r, cell := range list {
			if c == 0 {
				v.Rows = append(v.Rows, nil)
			}
			val := d.value(asObject(cell), &n.Columns[c].Type)
			v.Rows[r] = append(v.Rows[r], &Const{Typed{T: n.Columns[c].Type}, val})
		}
	}
	return v
}

func (d *decoder) unary(n Node, o object) Operator {
	if len(n.Inputs) != 1 {
		return nil
	}
	in := n.Inputs[0].Head().Columns
	switch n.Kind {
	case "LOGICAL_FILTER":
		f := &Filter{Node: n, Conds: d.exprs(o.list("expressions")), Project: o.positions("projection_map")}
		return d.projected(&f.Node, in, f.Project, f)
	case "LOGICAL_PROJECTION":
		p := &Projection{Node: n, Exprs: d.exprs(o.list("expressions"))}
		p.Columns = named(p.Exprs, in)
		return p
	case "LOGICAL_AGGREGATE_AND_GROUP_BY":
		return d.aggregate(n, o, in)
	case "LOGICAL_DISTINCT":
		n.Columns = in
		return &Distinct{Node: n, On: o.text("distinct_type") == "DISTINCT_ON",
			Targets: d.exprs(o.list("distinct_targets")), Order: d.orders(o.object("order_by").list("orders"))}
	case "LOGICAL_WINDOW":
		w := &Window{Node: n}
		for _, e := range o.list("expressions") {
			x, ok := d.expr(asObject(e)).(*WindowExpr)
			if !ok {
				return d.unknown(n, "a window function that is not known")
			}
			w.Exprs = append(w.Exprs, x)
		}
		w.Columns = append(append(w.Columns, in...), named(asExprs(w.Exprs), nil)...)
		return w
	case "LOGICAL_UNNEST":
		u := &Unnest{Node: n}
		for _, e := range o.list("expressions") {
			x, ok := d.expr(asObject(e)).(*UnnestExpr)
			if !ok {
				return d.unknown(n, "it unnests what is not known")
			}
			u.Lists = append(u.Lists, x.List)
			u.Columns = append(u.Columns, Column{Name: x.Alias, Type: x.T})
		}
		u.Columns = append(append([]Column{}, in...), u.Columns...)
		return u
	case "LOGICAL_ORDER_BY":
		r := &Order{Node: n, Keys: d.orders(o.list("orders")), Project: o.positions("projections")}
		return d.projected(&r.Node, in, r.Project, r)
	case "LOGICAL_TOP_N":
		n.Columns = in
		return &TopN{Node: n, Keys: d.orders(o.list("orders")), Limit: o.uint64("limit"), Offset: o.uint64("offset")}
	case "LOGICAL_LIMIT":
		n.Columns = in
		return &Limit{Node: n, Limit: d.bound(o.object("limit_val")), Offset: d.bound(o.object("offset_val"))}
	case "LOGICAL_SAMPLE":
		n.Columns = in
		s := d.sample(o.object("sample_options"))
		if s == nil {
			return d.unknown(n, "no options")
		}
		return &Sample{Node: n, Options: *s}
	case "LOGICAL_PIVOT":
		return d.pivot(n, o)
	}
	return nil
}

// projected fills n.Columns with those of in that project picks.
func (d *decoder) projected(n *Node, in []Column, project []int, op Operator) Operator {
	if n.Columns = pickAll(in, project); project != nil && len(n.Columns) != len(project) {
		return d.unknown(*n, "a projection that does not fit")
	}
	return op
}

// named is the columns that expressions make.
func named(list []Expr, in []Column) []Column {
	out := make([]Column, len(list))
	for i, x := range list {
		out[i] = Column{Name: aliasOf(x), Type: x.Type()}
		if r, ok := x.(*Ref); ok && out[i].Name == "" && r.Index >= 0 && r.Index < len(in) {
			out[i].Name = in[r.Index].Name
		}
	}
	return out
}

func asExprs[T Expr](list []T) []Expr {
	out := make([]Expr, len(list))
	for i, x := range list {
		out[i] = x
	}
	return out
}

func (d *decoder) aggregate(n Node, o object, in []Column) Operator {
	a := &Aggregate{Node: n, Groups: d.exprs(o.list("groups"))}
	for _, s := range o.list("grouping_sets") {
		l, _ := s.([]any)
		a.Sets = append(a.Sets, append([]int{}, asPositions(l)...))
	}
	for _, s := range o.list("grouping_functions") {
		l, _ := s.([]any)
		a.Grouping = append(a.Grouping, asPositions(l))
	}
	for _, e := range o.list("expressions") {
		x, ok := d.expr(asObject(e)).(*AggExpr)
		if !ok {
			return d.unknown(n, "an aggregate that is not known: "+asObject(e).text("name"))
		}
		a.Aggs = append(a.Aggs, x)
	}
	for _, s := range append(append([][]int{}, a.Sets...), a.Grouping...) {
		for _, p := range s {
			if p < 0 || p >= len(a.Groups) {
				return d.unknown(n, "a grouping set that does not fit")
			}
		}
	}
	a.Columns = append(named(a.Groups, in), named(asExprs(a.Aggs), nil)...)
	for range a.Grouping {
		a.Columns = append(a.Columns, Column{Type: Type{ID: "BIGINT"}})
	}
	return a
}

func (d *decoder) orders(list []any) []OrderKey {
	var out []OrderKey
	for _, e := range list {
		o := asObject(e)
		out = append(out, OrderKey{X: d.expr(o.object("expression")), Desc: o.text("type") == "DESCENDING",
			NullsFirst: o.text("null_order") == "NULLS FIRST"})
	}
	return out
}

func (d *decoder) bound(o object) Bound {
	b := Bound{Kind: BoundKind(o.text("type")), Rows: o.uint64("constant_integer"), Percent: o.float("constant_percentage")}
	if x := o.object("expression"); x != nil {
		b.X = d.expr(x)
	}
	if b.Kind == "" {
		b.Kind = NoBound
	}
	return b
}

func (d *decoder) sample(o object) *SampleOptions {
	if o == nil {
		return nil
	}
	s := &SampleOptions{Size: d.value(o.object("sample_size"), nil), Percent: o.flag("is_percentage"), Method: o.text("method"), Seed: -1}
	if n, ok := o["seed"].(json.Number); ok {
		if seed, err := n.Int64(); err == nil {
			s.Seed = seed
		}
	}
	return s
}

func (d *decoder) pivot(n Node, o object) Operator {
	b := o.object("bound_pivot")
	p := &Pivot{Node: n, Groups: b.number("group_count"), Names: b.texts("pivot_values")}
	p.Columns = d.typed(b.list("types"), nil)
	for _, e := range b.list("aggregates") {
		x, ok := d.expr(asObject(e)).(*AggExpr)
		if !ok {
			return d.unknown(n, "an aggregate that is not known")
		}
		p.Aggs = append(p.Aggs, x)
	}
	if p.Groups < 0 || len(p.Columns) != p.Groups+len(p.Names)*len(p.Aggs) {
		return d.unknown(n, "columns that do not fit")
	}
	return p
}
