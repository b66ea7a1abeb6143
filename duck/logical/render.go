package logical

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/pondmesh/pond/duck/lexer"
)

// ErrUnrendered reports an operator or expression that cannot be written as SQL;
// the error names it. The query must run as the user wrote it.
var ErrUnrendered = errors.New("logical: cannot be written as SQL")

// DisabledOptimizers are off (SET disabled_optimizers) where a query is planned,
// and only there. They make operators and functions that SQL cannot express, or
// choices that depend on one machine; an engine that runs a piece has them on.
//
//	compressed_materialization  casts columns to narrow internal types around sorts and groups
//	late_materialization        reads a table twice, joined by row number
//	statistics_propagation      bakes values of today's footers into the plan; a piece may not rely on them
//	join_filter_pushdown        filters that exist at run time only
//	build_side_probe_side       swaps a join's sides for one machine's memory, making RIGHT_SEMI and the like
//	sampling_pushdown           moves a sample into a scan, which samples row groups
//	in_clause                   makes joins of IN lists
//	common_subexpressions       inserts projections; the piece is optimised again
//	common_subplan              shares parts; we decide when to
//	top_n_window_elimination    makes lists of row_number() <= n; without build_side_probe_side and
//	                            statistics_propagation it fails inside
const DisabledOptimizers = "compressed_materialization,late_materialization,statistics_propagation," +
	"join_filter_pushdown,build_side_probe_side,sampling_pushdown,in_clause,common_subexpressions,common_subplan,top_n_window_elimination"

// OptimizerTries are lists of optimizers to turn off, [DisabledOptimizers] first,
// one after another as long as the error is to be tried [PlanError.Again].
// Some optimizers leave stale types behind, others happen to put them right:
// statistics_propagation where a CTE or a view keeps some of its columns;
// join_elimination fails inside where build_side_probe_side is off.
func OptimizerTries() []string {
	return []string{
		DisabledOptimizers,
		strings.Replace(DisabledOptimizers, "statistics_propagation,", "", 1),
		DisabledOptimizers + ",join_elimination",
		DisabledOptimizers + ",cte_inlining,column_lifetime,unused_columns",
	}
}

// RenderTree is a tree as one SELECT, whose columns are c0, c1, ….
func RenderTree(root Operator) (string, error) { return renderTree(root, nil) }

// RenderPlan is the whole plan as one SELECT with the query's own names.
func RenderPlan(p *Plan) (string, error) { return renderTree(p.Root, p.Names) }

func renderTree(root Operator, names []string) (sql string, err error) {
	r := &renderer{}
	b := r.operator(root)
	if r.err != nil {
		return "", r.err
	}
	return b.sql(names), nil
}

// RenderExpr is an expression as SQL, column i of its input written as ref(i).
func RenderExpr(x Expr, ref func(column int) string) (string, error) {
	r := &renderer{}
	s := r.expr(x, ref)
	return s, r.err
}

// ColumnName is the name of column i between pieces.
func ColumnName(i int) string { return "c" + strconv.Itoa(i) }

// CTEName is the view that the references to a CTE read.
func CTEName(id int) string { return "cte_" + strconv.Itoa(id) }

// DelimName is the view that DelimGets read.
func DelimName(id int) string { return "delim_" + strconv.Itoa(id) }

// renderer writes SQL. Its error is the first thing that could not be written.
type renderer struct {
	err   error
	alias int
}

func (r *renderer) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrUnrendered, fmt.Sprintf(format, args...))
	}
}

// next is a table alias that nothing else has.
func (r *renderer) next() string {
	r.alias++
	return "t" + strconv.Itoa(r.alias)
}

// block is one SELECT in the making.
type block struct {
	with      []string // common table expressions it needs
	recursive bool
	distinct  string // DISTINCT, DISTINCT ON (…), or nothing
	cols      []string
	from      string // empty: one row
	joins     bool   // from is more than one item
	lateral   bool   // one source reads another, so no join may be put around it
	where     []string
	tail      string // GROUP BY, ORDER BY, LIMIT
	// open: cols are plain columns of from, and there is neither distinct nor
	// tail, so that conditions and other columns may still be put in.
	open bool
}

// bare blocks can stand in a FROM as they are.
func (b *block) bare() bool {
	return b.open && !b.lateral && len(b.where) == 0 && len(b.with) == 0 && b.from != ""
}

// ref is how an expression over the block's output names column i.
func (b *block) ref(r *renderer) func(int) string {
	return func(i int) string {
		if i < 0 || i >= len(b.cols) {
			r.fail("column %d of %d", i, len(b.cols))
			return "NULL"
		}
		return b.cols[i]
	}
}

// sql is the SELECT, with columns of the given names; nil: c0, c1, ….
func (b *block) sql(names []string) string {
	var s strings.Builder
	if len(b.with) > 0 {
		s.WriteString("WITH ")
		if b.recursive {
			s.WriteString("RECURSIVE ")
		}
		s.WriteString(strings.Join(b.with, ", "))
		s.WriteString(" ")
	}
	s.WriteString("SELECT ")
	s.WriteString(b.distinct)
	for i, c := range b.cols {
		if i > 0 {
			s.WriteString(", ")
		}
		s.WriteString(c)
		s.WriteString(" AS ")
		if names != nil && i < len(names) && names[i] != "" {
			s.WriteString(lexer.QuoteName(names[i]))
		} else {
			s.WriteString(ColumnName(i))
		}
	}
	if b.from != "" {
		s.WriteString(" FROM ")
		s.WriteString(b.from)
	}
	if len(b.where) > 0 {
		s.WriteString(" WHERE ")
		s.WriteString(strings.Join(b.where, " AND "))
	}
	s.WriteString(b.tail)
	return s.String()
}

// view is a block that reads a view whose columns are c0, c1, ….
func (r *renderer) view(name string, width int) *block {
	t := r.next()
	return &block{cols: columnsOf(t, width), from: name + " AS " + t, open: true}
}

func columnsOf(table string, width int) []string {
	cols := make([]string, width)
	for i := range cols {
		cols[i] = table + "." + ColumnName(i)
	}
	return cols
}

// reopen makes any block one that conditions and columns may be put in.
func (r *renderer) reopen(b *block) *block {
	if b.open {
		return b
	}
	return r.view("("+b.sql(nil)+")", len(b.cols))
}

// item is a block as an item of a FROM, bare.
func (r *renderer) item(b *block) *block {
	if b.bare() {
		return b
	}
	return r.view("("+b.sql(nil)+")", len(b.cols))
}

func (r *renderer) exprs(list []Expr, ref func(int) string) []string {
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = r.expr(x, ref)
	}
	return out
}
