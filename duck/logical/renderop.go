package logical

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pondmesh/pond/duck/lexer"
)

// operator is an operator with all below it.
func (r *renderer) operator(op Operator) *block {
	if r.err != nil {
		return &block{}
	}
	switch op := op.(type) {
	case *View:
		return r.view(op.Name, op.Width())
	case *Get:
		return r.get(op)
	case *DummyScan:
		return &block{cols: []string{"NULL"}}
	case *EmptyResult:
		b := &block{where: []string{"false"}}
		for _, c := range op.Columns {
			b.cols = append(b.cols, r.null(c.Type))
		}
		return b
	case *Values:
		return r.values(op)
	case *DelimGet:
		return r.view(DelimName(op.ID), op.Width())
	case *CTERef:
		name := CTEName(op.CTE)
		if op.Recurring {
			name = "recurring." + name
		}
		return r.view(name, op.Width())
	case *MaterializedCTE:
		return r.cte(op)
	case *RecursiveCTE:
		return r.recursiveCTE(op)
	case *Join:
		return r.join(op)
	case *AnyJoin:
		return r.anyJoin(op)
	case *CrossProduct:
		return r.pair(op.Inputs, "CROSS JOIN")
	case *PositionalJoin:
		return r.pair(op.Inputs, "POSITIONAL JOIN")
	case *SetOp:
		return r.setOp(op)
	case *Unknown:
		r.fail("%s", op.Why)
		return &block{}
	}
	return r.unary(op, r.operator(op.Head().Inputs[0]))
}

// unary is an operator of one input, which is rendered as in.
func (r *renderer) unary(op Operator, in *block) *block {
	switch op := op.(type) {
	case *Filter:
		b := *r.reopen(in)
		for _, x := range op.Conds {
			b.where = append(b.where[:len(b.where):len(b.where)], r.expr(x, b.ref(r)))
		}
		b.cols = pickAll(b.cols, op.Project)
		return &b
	case *Projection:
		return r.projection(op, in)
	case *Aggregate:
		return r.aggregate(op, in)
	case *Distinct:
		return r.distinct(op, in)
	case *Window:
		b := *r.reopen(in)
		cols := b.cols[:len(b.cols):len(b.cols)]
		for _, x := range op.Exprs {
			cols = append(cols, r.window(x, b.ref(r)))
		}
		b.cols, b.open = cols, false
		return &b
	case *Unnest:
		b := *r.reopen(in)
		cols := b.cols[:len(b.cols):len(b.cols)]
		for _, x := range op.Lists {
			cols = append(cols, "unnest("+r.expr(x, b.ref(r))+")")
		}
		b.cols, b.open = cols, false
		return &b
	case *Order:
		b := *r.reopen(in)
		b.tail, b.open = " ORDER BY "+r.keys(op.Keys, b.ref(r)), false
		b.cols = pickAll(b.cols, op.Project)
		return &b
	case *TopN:
		b := *r.reopen(in)
		b.tail, b.open = fmt.Sprintf(" ORDER BY %s LIMIT %d", r.keys(op.Keys, b.ref(r)), op.Limit), false
		if op.Offset > 0 {
			b.tail += fmt.Sprintf(" OFFSET %d", op.Offset)
		}
		return &b
	case *Limit:
		return r.limit(op, in)
	case *Sample:
		b := r.item(in)
		// SQL samples one table: the sampled query must stand alone.
		if b.joins || !strings.HasPrefix(b.from, "(") {
			b = r.view("("+b.sql(nil)+")", len(b.cols))
		}
		b.from += r.sample(op.Options)
		return b
	case *Pivot:
		return r.pivot(op, in)
	}
	r.fail("operator %s", op.Head().Kind)
	return in
}

func (r *renderer) projection(op *Projection, in *block) *block {
	b := *in
	if in.from != "" || len(in.where) > 0 || in.tail != "" {
		b = *r.reopen(in)
	}
	cols := r.exprs(op.Exprs, b.ref(r))
	for _, x := range op.Exprs {
		if _, ok := x.(*Ref); !ok {
			b.open = false
		}
	}
	b.cols = cols
	return &b
}

// aggregate groups by position, so that the keys and the selected expressions are
// certainly the same. GROUPING() takes columns only: with it, the keys are
// computed below.
func (r *renderer) aggregate(op *Aggregate, in *block) *block {
	b := *r.reopen(in)
	groups := r.exprs(op.Groups, b.ref(r))
	cols := groups
	if !op.Plain() {
		inner := b
		inner.cols = append(b.cols[:len(b.cols):len(b.cols)], groups...)
		inner.open = false
		b = *r.reopen(&inner)
		groups = b.cols[len(b.cols)-len(groups):]
		cols = groups[:len(groups):len(groups)]
	}
	for _, a := range op.Aggs {
		cols = append(cols, r.agg(a, b.ref(r)))
	}
	for _, g := range op.Grouping {
		cols = append(cols, "GROUPING("+strings.Join(pick(groups, g), ", ")+")")
	}
	b.tail = " GROUP BY " + groupBy(op, groups)
	if len(op.Groups) == 0 && op.Plain() {
		b.tail = ""
	}
	if len(cols) == 0 {
		cols = []string{"count(*)"}
	}
	b.cols, b.open = cols, false
	return &b
}

func groupBy(op *Aggregate, groups []string) string {
	if op.Plain() {
		positions := make([]string, len(op.Groups))
		for i := range positions {
			positions[i] = strconv.Itoa(i + 1)
		}
		return strings.Join(positions, ", ")
	}
	sets := make([]string, len(op.Sets))
	for i, s := range op.Sets {
		sets[i] = "(" + strings.Join(pick(groups, s), ", ") + ")"
	}
	return "GROUPING SETS (" + strings.Join(sets, ", ") + ")"
}

// distinct is plain when the targets are the columns, each once.
func (r *renderer) distinct(op *Distinct, in *block) *block {
	b := *r.reopen(in)
	b.open = false
	if !op.On && allColumns(op.Targets, len(b.cols)) {
		b.distinct = "DISTINCT "
		return &b
	}
	b.distinct = "DISTINCT ON (" + strings.Join(r.exprs(op.Targets, b.ref(r)), ", ") + ") "
	if len(op.Order) > 0 {
		b.tail = " ORDER BY " + r.keys(op.Order, b.ref(r))
	}
	return &b
}

func allColumns(targets []Expr, width int) bool {
	seen := map[int]bool{}
	for _, x := range targets {
		if ref, ok := x.(*Ref); ok {
			seen[ref.Index] = true
		} else {
			return false
		}
	}
	return len(seen) == width
}

func (r *renderer) keys(keys []OrderKey, ref func(int) string) string {
	out := make([]string, len(keys))
	for i, k := range keys {
		x := r.expr(k.X, ref)
		if c, ok := k.X.(*Const); ok && c.T.ID == "NULL" {
			x = "CAST(NULL AS INTEGER)" // DuckDB wants no literals here
		}
		out[i] = x + " ASC"
		if k.Desc {
			out[i] = x + " DESC"
		}
		if k.NullsFirst {
			out[i] += " NULLS FIRST"
		} else {
			out[i] += " NULLS LAST"
		}
	}
	return strings.Join(out, ", ")
}

// limit cuts. A bound that is an expression is the same in all rows: it is read
// from the first. The rows are numbered then, because they are read twice and a table
// that is made in between keeps no order.
func (r *renderer) limit(op *Limit, in *block) *block {
	b := *r.reopen(in)
	name := ""
	if op.Limit.X != nil || op.Offset.X != nil {
		name = "lim_" + r.next()
		numbered := r.view(name, len(in.cols)+1)
		numbered.with = []string{name + " AS MATERIALIZED (" + r.numbered(in).sql(nil) + ")"}
		numbered.tail = " ORDER BY " + numbered.cols[len(in.cols)]
		numbered.cols = numbered.cols[:len(in.cols)]
		b = *numbered
	}
	first := func(x Expr) string {
		v := r.view(name, len(b.cols))
		return "(SELECT " + r.expr(x, v.ref(r)) + " FROM " + v.from + " LIMIT 1)"
	}
	switch op.Limit.Kind {
	case BoundRows:
		b.tail += fmt.Sprintf(" LIMIT %d", op.Limit.Rows)
	case BoundPercent:
		b.tail += " LIMIT " + strconv.FormatFloat(op.Limit.Percent, 'f', -1, 64) + "%"
	case BoundExpr:
		b.tail += " LIMIT " + first(op.Limit.X)
	case BoundShare:
		b.tail += " LIMIT " + first(op.Limit.X) + " %"
	}
	switch op.Offset.Kind {
	case BoundRows:
		b.tail += fmt.Sprintf(" OFFSET %d", op.Offset.Rows)
	case BoundExpr:
		b.tail += " OFFSET " + first(op.Offset.X)
	case NoBound:
	default:
		r.fail("an offset of kind %s", op.Offset.Kind)
	}
	b.open = false
	return &b
}

func (r *renderer) sample(o SampleOptions) string {
	method := map[string]string{"System": "system", "Bernoulli": "bernoulli", "Reservoir": "reservoir"}[o.Method]
	if method == "" {
		r.fail("a sample by %s", o.Method)
	}
	unit := " ROWS"
	if o.Percent {
		unit = " PERCENT"
	}
	size := r.number(o.Size)
	seed := ""
	if o.Seed >= 0 {
		seed = fmt.Sprintf(" REPEATABLE (%d)", o.Seed)
	}
	return " TABLESAMPLE " + method + "(" + size + unit + ")" + seed
}

func (r *renderer) values(op *Values) *block {
	if len(op.Inputs) == 1 {
		if _, ok := op.Inputs[0].(*DummyScan); !ok && len(op.Rows) > 0 {
			return r.valuesOf(op)
		}
	}
	if len(op.Rows) == 0 {
		return r.operator(&EmptyResult{Node: Node{Columns: op.Columns}})
	}
	rows := make([]string, len(op.Rows))
	for i, row := range op.Rows {
		rows[i] = "(" + strings.Join(r.exprs(row, func(int) string { return "NULL" }), ", ") + ")"
	}
	t := r.next()
	return &block{cols: columnsOf(t, op.Width()), open: true,
		from: "(VALUES " + strings.Join(rows, ", ") + ") AS " + t + columnList(op.Width())}
}

// valuesOf is all of the rows for each row of the input.
func (r *renderer) valuesOf(op *Values) *block {
	in := r.operator(op.Inputs[0])
	name := "values_" + r.next()
	parts := make([]string, len(op.Rows))
	for i, row := range op.Rows {
		b := r.view(name, len(in.cols))
		b.cols = r.exprs(row, b.ref(r))
		parts[i] = b.sql(nil)
	}
	b := r.view("("+strings.Join(parts, " UNION ALL ")+")", op.Width())
	b.with = []string{name + columnList(len(in.cols)) + " AS MATERIALIZED (" + in.sql(nil) + ")"}
	return b
}

// columnList is (c0, c1, …).
func columnList(width int) string {
	names := make([]string, width)
	for i := range names {
		names[i] = ColumnName(i)
	}
	return "(" + strings.Join(names, ", ") + ")"
}

func (r *renderer) setOp(op *SetOp) *block {
	left, right := r.operator(op.Inputs[0]), r.operator(op.Inputs[1])
	word := string(op.Op)
	if op.All {
		word += " ALL"
	}
	return r.view("(("+left.sql(nil)+") "+word+" ("+right.sql(nil)+"))", op.Width())
}

func (r *renderer) cte(op *MaterializedCTE) *block {
	def, b := r.operator(op.Inputs[0]), *r.operator(op.Inputs[1])
	// A CTE that is read once may be read lazily: the LIMIT above an endless
	// recursion ends it.
	as := " AS MATERIALIZED ("
	if op.Materialize != "CTE_MATERIALIZE_ALWAYS" && references(op.Inputs[1], op.ID) <= 1 {
		as = " AS ("
	}
	with := CTEName(op.ID) + columnList(op.Inputs[0].Head().Width()) + as + def.sql(nil) + ")"
	b.with = append([]string{with}, b.with...)
	return &b
}

// references is how many times a CTE is read.
func references(op Operator, id int) int {
	n := 0
	Walk(op, func(op Operator) bool {
		if ref, ok := op.(*CTERef); ok && ref.CTE == id {
			n++
		}
		return true
	})
	return n
}

func (r *renderer) recursiveCTE(op *RecursiveCTE) *block {
	start, step := r.operator(op.Inputs[0]), r.operator(op.Inputs[1])
	name := CTEName(op.ID)
	keys := ""
	if len(op.Keys) > 0 {
		keys = " USING KEY (" + strings.Join(r.exprs(op.Keys, ColumnName), ", ") + ")"
	}
	union := " UNION "
	if op.All {
		union = " UNION ALL "
	}
	b := r.view(name, op.Width())
	b.recursive = true
	b.with = []string{name + columnList(op.Width()) + keys + " AS ((" + start.sql(nil) + ")" + union + "(" + step.sql(nil) + "))"}
	return b
}

// pivot looks up, for each name, the place of its values in the lists.
func (r *renderer) pivot(op *Pivot, in *block) *block {
	b := *r.reopen(in)
	if len(b.cols) != op.Groups+len(op.Aggs)+1 {
		r.fail("a pivot of %d columns", len(b.cols))
		return &b
	}
	names := b.cols[len(b.cols)-1]
	cols := b.cols[:op.Groups:op.Groups]
	for j := range op.Names {
		for i, a := range op.Aggs {
			at := "list_position(" + names + ", " + lexer.QuoteText(op.Names[j]) + ")"
			out := op.Columns[len(cols)].Type
			cols = append(cols, fmt.Sprintf("CASE WHEN %s > 0 THEN %s[%s] ELSE %s END", at, b.cols[op.Groups+i], at, r.emptyOf(a, out)))
		}
	}
	b.cols, b.open = cols, false
	return &b
}

// emptyOf is an aggregate's value for no rows.
func (r *renderer) emptyOf(a *AggExpr, t Type) string {
	switch a.Name {
	case "count", "count_star", "count_if", "approx_count_distinct", "regr_count":
		return "CAST(0 AS " + t.String() + ")"
	case "sum", "min", "max", "avg", "first", "last", "any_value", "arbitrary", "list", "array_agg", "string_agg", "median", "mode",
		"arg_min", "arg_max", "stddev_samp", "stddev", "var_samp", "product", "bool_and", "bool_or":
		return r.null(t)
	}
	r.fail("a pivot of %s", a.Name)
	return "NULL"
}
