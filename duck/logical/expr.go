package logical

// Expr is an expression: one of the pointers to the structs below. A [Ref] is
// the only way to a column.
type Expr interface {
	// Type is the value's.
	Type() Type
}

// Typed is the part that all expressions share.
type Typed struct {
	T     Type
	Alias string // of some arguments of functions a name that counts, else for people
}

// Type is the expression's.
func (t *Typed) Type() Type { return t.T }

// Ref is the input's column Index; of a join's conditions and a lambda see there.
type Ref struct {
	Typed
	Index int
}

// Const is a value.
type Const struct {
	Typed
	Value Value
}

// Func is a call of a scalar function. Args have the types that the function
// takes: casts are explicit.
type Func struct {
	Typed
	Name string
	Args []Expr
	// Operator: written between its arguments (a + b).
	Operator bool
	// Lambda is the function's lambda argument, if it has one.
	Lambda *Lambda
}

// Lambda is a lambda argument. In Body, Ref i < Params is a parameter (the last
// parameter first); Ref Params+j is argument j+1 of the function: a capture.
type Lambda struct {
	Body    Expr
	Params  int
	Index   bool // the last parameter counts the elements
	Initial bool // list_reduce with an initial value
}

// Cast converts; Try gives NULL where that fails.
type Cast struct {
	Typed
	X   Expr
	Try bool
}

// Compare compares.
type Compare struct {
	Typed
	Op          CompareOp
	Left, Right Expr
}

// Between is X between Low and High, each inclusive or not.
type Between struct {
	Typed
	X, Low, High              Expr
	LowIncluded, HighIncluded bool
}

// Logic is AND (all) or OR of its arguments.
type Logic struct {
	Typed
	Or   bool
	Args []Expr
}

// Case is CASE WHEN … END.
type Case struct {
	Typed
	Whens []When
	Else  Expr
}

// When is a branch.
type When struct{ If, Then Expr }

// Op is an operator with a syntax of its own: NOT, IS NULL, IS NOT NULL, IN,
// NOT IN, COALESCE, NULLIF, TRY, and so on.
type Op struct {
	Typed
	Kind string // DuckDB's name: OPERATOR_NOT, COMPARE_IN, …
	Args []Expr
}

// UnnestExpr is unnest(List).
type UnnestExpr struct {
	Typed
	List Expr
}

// AggExpr is a call of an aggregate function.
type AggExpr struct {
	Typed
	Name     string
	Args     []Expr
	Distinct bool
	Filter   Expr       // nil: none
	Order    []OrderKey // nil: none

}

// WindowExpr is a window function: Agg for an aggregate, else by Name
// (row_number, lead, …).
type WindowExpr struct {
	Typed
	Name        string
	Aggregate   bool // Name is an aggregate function
	Args        []Expr
	Offset      Expr // lead, lag; nil: none
	Default     Expr // lead, lag; nil: none
	Distinct    bool
	Filter      Expr
	ArgOrder    []OrderKey // ORDER BY within the arguments
	IgnoreNulls bool
	Partitions  []Expr
	Orders      []OrderKey
	Frame       Frame
}

// Frame is a window's frame, in DuckDB's words: UNBOUNDED_PRECEDING,
// CURRENT_ROW_RANGE, EXPR_PRECEDING_ROWS, …; Exclude NO_OTHER, CURRENT_ROW,
// GROUP, TIES.
type Frame struct {
	Start, End         string
	StartExpr, EndExpr Expr // for EXPR_…
	Exclude            string
}

// UnknownExpr is an expression that this package does not know.
type UnknownExpr struct {
	Typed
	Why string
}

// aliasOf is an expression's alias.
func aliasOf(x Expr) string {
	if t, ok := x.(interface{ typed() *Typed }); ok {
		return t.typed().Alias
	}
	return ""
}

func (t *Typed) typed() *Typed { return t }
