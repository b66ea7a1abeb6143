package distribute

import (
	"slices"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/logical"
)

// rel is an intermediate result: a piece of the tree over views, inside a stage
// that is not yet cut, and the proven properties of its rows.
type rel struct {
	// op is the piece. Its leaves are views (of scans and of other stages), or
	// operators that need no input.
	op logical.Operator
	// n is how many tasks hold the rows, each row in one of them; 0: any number,
	// and each holds all rows.
	n int
	// hashedBy says which task holds a row: the one of the hash of these keys.
	// Position by position the columns that carry the key's value; none when it
	// is no column. Nil: rows are anywhere.
	hashedBy []slot
	// stable: given ordered streams, the rows, in order of task, come in the
	// order that one DuckDB would give them. sorted: the query asked for it.
	stable, sorted bool
	// inOrder: the result of the piece depends on the order of its input, which
	// is right and must be kept.
	inOrder bool
	unique  [][]int         // sets of columns in which no two rows agree
	rows    float64         // guessed
	values  map[int]float64 // of columns, guessed: see valuesOf
	width   float64         // bytes of a row; 0: guessed
	// of is the operator of the query's tree all of whose rows these are; nil when
	// they are something in between. made: a stage has made them already.
	of   logical.Operator
	made *made
}

// slot is columns of equal values.
type slot []int

func (s slot) has(c int) bool { return slices.Contains(s, c) }

// leaf is the input of one view of a piece.
type leaf struct {
	view    *logical.View
	scan    *scan
	from    []*draft
	how     plan.How
	ordered bool
	why     string // it reads several partitions into one: Stage.Gathered
}

// draft is a stage to be.
type draft struct {
	root             logical.Operator
	n                int  // tasks
	counted          bool // somebody reads as many segments as there are tasks
	ex               plan.Exchange
	bounds           *draft // of a range exchange
	ordered          bool
	repeatable       bool // the exchange sends the same rows to the same partitions
	nondeterministic bool // another attempt may yield other rows
	// before and after are put around the piece's query; empty: nothing is.
	before, after string
	label         string
	names         []string // of the last stage's columns
	rows          float64
	values        map[int]float64
	index         int // in Job.Stages, -1 until written
	number        int
	twin          int              // see plan.Identity
	of            logical.Operator // see rel
	unique        [][]int          // of of's rows
	keys          []logical.Expr   // of a hash exchange
	rounded       bool             // see planner.rounded
}

// with puts op over r. The result keeps the properties of r except those that name
// columns: op may have others.
func (r *rel) with(op logical.Operator) *rel {
	out := *r
	out.op, out.hashedBy, out.unique, out.values = op, nil, nil, nil
	out.of, out.made, out.width = nil, nil, 0
	return &out
}

// over is the operator over pieces.
func over(op logical.Operator, ins ...*rel) logical.Operator {
	roots := make([]logical.Operator, len(ins))
	for i, r := range ins {
		roots[i] = r.op
	}
	return logical.WithInputs(op, roots)
}

// mapped adds to out the properties of r's columns. Column c of r has become the
// columns to(c) of out.
func (r *rel) mapped(out *rel, to func(c int) []int) *rel {
	for _, s := range r.hashedBy {
		var t slot
		for _, c := range s {
			t = append(t, to(c)...)
		}
		out.hashedBy = append(out.hashedBy, t)
	}
	for c, n := range r.values {
		for _, d := range to(c) {
			out.guess(d, n)
		}
	}
next:
	for _, u := range r.unique {
		var v []int
		for _, c := range u {
			d := to(c)
			if len(d) == 0 {
				continue next
			}
			v = append(v, d[0])
		}
		out.unique = append(out.unique, v)
	}
	return out
}

// guess notes how many values a column has.
func (r *rel) guess(c int, values float64) {
	if r.values == nil {
		r.values = map[int]float64{}
	}
	r.values[c] = values
}

// picked maps columns when the output is the input's columns at these
// positions (nil: all).
func picked(at []int) func(c int) []int {
	return func(c int) []int {
		if at == nil {
			return []int{c}
		}
		var out []int
		for i, p := range at {
			if p == c {
				out = append(out, i)
			}
		}
		return out
	}
}

// shifted maps columns to where they are behind others.
func shifted(by int, then func(c int) []int) func(c int) []int {
	return func(c int) []int {
		var out []int
		for _, p := range then(c) {
			out = append(out, p+by)
		}
		return out
	}
}

// column returns the column that x equals for hashing and comparing: x itself
// under casts that keep the hash. It is -1 for any other expression.
func column(x logical.Expr) int {
	switch x := x.(type) {
	case *logical.Ref:
		return x.Index
	case *logical.Cast:
		if !x.Try && lossless(x.X.Type(), x.T) {
			return column(x.X)
		}
	}
	return -1
}

// stripCasts removes the outer casts of x that keep its hash.
func stripCasts(x logical.Expr) logical.Expr {
	for {
		c, ok := x.(*logical.Cast)
		if !ok || c.Try || !lossless(c.X.Type(), c.T) {
			return x
		}
		x = c.X
	}
}

var intWidth = map[string]int{"TINYINT": 1, "SMALLINT": 2, "INTEGER": 4, "BIGINT": 8, "HUGEINT": 16}
var uintWidth = map[string]int{"UTINYINT": 1, "USMALLINT": 2, "UINTEGER": 4, "UBIGINT": 8, "UHUGEINT": 16}

// lossless reports whether a cast keeps distinct values distinct and gives each
// the same hash as before: shuffle hashes all widths of a kind alike.
func lossless(from, to logical.Type) bool {
	if from.Alias != "" || to.Alias != "" {
		return false
	}
	fi, fu, ti, tu := intWidth[from.ID], uintWidth[from.ID], intWidth[to.ID], uintWidth[to.ID]
	switch {
	case from.Same(to):
		return true
	case fi > 0 && ti > 0:
		return fi <= ti
	case fu > 0 && tu > 0:
		return fu <= tu
	case fu > 0 && ti > 0:
		return fu < ti
	case from.ID == "DECIMAL" && to.ID == "DECIMAL":
		return from.Scale <= to.Scale && from.Width-from.Scale <= to.Width-to.Scale
	case from.ID == "FLOAT" && to.ID == "DOUBLE":
		return true
	}
	return false
}

// width is a guess of a value's bytes, compressed.
func width(t logical.Type) float64 {
	switch t.ID {
	case "BOOLEAN", "TINYINT", "UTINYINT", "ENUM":
		return 1
	case "SMALLINT", "USMALLINT":
		return 2
	case "INTEGER", "UINTEGER", "DATE", "FLOAT":
		return 4
	case "HUGEINT", "UHUGEINT", "UUID", "INTERVAL", "VARCHAR", "BLOB":
		return 16
	case "LIST", "STRUCT", "MAP", "ARRAY", "UNION":
		return 64
	}
	return 8
}

func rowWidth(cols []logical.Column) float64 {
	sum := 1.0
	for _, c := range cols {
		sum += width(c.Type)
	}
	return sum
}

// bytes estimates the size of all rows; for rows that a stage has made it is
// their measured size.
func (r *rel) bytes() float64 {
	if r.width > 0 {
		return r.rows * r.width
	}
	return r.rows * rowWidth(r.op.Head().Columns)
}

func ref(cols []logical.Column, i int) *logical.Ref {
	return &logical.Ref{Typed: logical.Typed{T: cols[i].Type}, Index: i}
}

func refs(cols []logical.Column, at ...int) []logical.Expr {
	out := make([]logical.Expr, len(at))
	for i, c := range at {
		out[i] = ref(cols, c)
	}
	return out
}

// project is a projection of expressions over r.
func project(r *rel, exprs []logical.Expr) *rel {
	cols := make([]logical.Column, len(exprs))
	at := make([]int, len(exprs))
	for i, x := range exprs {
		cols[i] = logical.Column{Type: x.Type()}
		at[i] = column(x)
	}
	op := &logical.Projection{Node: logical.Node{Kind: "LOGICAL_PROJECTION", Inputs: []logical.Operator{r.op}, Columns: cols}, Exprs: exprs}
	out := r.mapped(r.with(op), picked(at))
	for i, x := range exprs {
		out.guess(i, r.valuesIn(x))
	}
	return out
}
