package logical

// Plan is a query as DuckDB planned it.
type Plan struct {
	Root Operator
	// Names are the result's column names, as the user knows them; the tree has
	// none that can be trusted.
	Names []string
}

// Column is an output column of an operator. Its name is for people: SQL that
// is rendered calls column i c<i>.
type Column struct {
	Name string
	Type Type
}

// Operator is a node of the tree: one of the pointers to the structs below.
// Whoever cuts the tree may replace its children, but must keep their columns.
type Operator interface {
	// Head returns the part that all operators share; never nil.
	Head() *Node
}

// Node is the part that all operators share.
type Node struct {
	Kind    string     // DuckDB's name, such as LOGICAL_FILTER
	Inputs  []Operator // children: a join's left, then its right
	Columns []Column   // output, by position

	bindings []binding // of Columns; while decoding
}

// Head returns n.
func (n *Node) Head() *Node { return n }

// Child is the operator's i-th input.
func (n *Node) Child(i int) Operator { return n.Inputs[i] }

// Width is the number of output columns.
func (n *Node) Width() int { return len(n.Columns) }

// Get reads a table: files, a table function's result or a table of the catalog.
//
//	Schema:   all columns that the source has
//	Reads:    which of them are read: positions in Schema (or virtual columns)
//	Filters:  conditions on Schema's columns, which rows read must meet (AND)
//	Project:  which of Reads are output, in this order, then Carried
type Get struct {
	Node
	Table   int // DuckDB's index for it; nothing else has the same
	Func    string
	Schema  []Column
	Reads   []ColumnRead
	Project []int // positions in Reads; never nil
	Filters []TableFilter
	// Files are those that the function reads, as they were when it was bound,
	// after pruning; nil for functions that read none.
	Files []string
	Scan  ScanOptions
	// Source is the table of the catalog that is read (seq_scan), quoted and
	// qualified.
	Source string
	// Params and Named are the arguments of a function that reads no files.
	Params []Value
	Named  []NamedValue
	// InputTypes are those that the function takes its input's first columns as.
	InputTypes []Type
	// Carried: the function reads its input's rows, one call a row (LATERAL);
	// these columns of the input are output too.
	Carried    []int
	Ordinality bool // WITH ORDINALITY: the last column of Schema counts rows
	// Sample, when not nil, is the share of the table that is read.
	Sample *SampleOptions
	// Opaque says why the source cannot be rendered from this node's fields; empty
	// if it can.
	Opaque string
}

// ColumnRead is a column of a source.
type ColumnRead struct {
	Column  int    // position in Schema; -1 for a virtual column
	Virtual string // rowid, filename, file_row_number, file_index; "none": rows are counted only
	// Extract names the field of a struct column, and of a struct within it, that
	// is read in its place. Nil: the column itself.
	Extract []string
	// Fields are the only fields of a struct column that are used: an
	// optimisation, not a change of its type. Nil: all.
	Fields [][]int
}

// NamedValue is a named argument.
type NamedValue struct {
	Name  string
	Value Value
}

// ScanOptions are a reader's options, beyond its files.
type ScanOptions struct {
	// Args are the reader's arguments as SQL: name and value. They say
	// everything: nothing is left to be detected.
	Args []Arg
	// UnionByName, Hive and the rest are among Args too.
	UnionByName bool
	Hive        bool
	// Pruned: Files are fewer than the reader was bound to.
	Pruned bool
	// HiveColumns are positions in Schema that come from the files' paths.
	HiveColumns []int
	// FilenameColumn is the position in Schema of the file's path; -1: none.
	FilenameColumn int
}

// Arg is a named argument in SQL.
type Arg struct{ Name, SQL string }

// TableFilter is a condition on column Column of a source's schema. In X,
// Ref 0 is that column's value.
type TableFilter struct {
	Column  int    // -1: a virtual column
	Virtual string // its name then
	X       Expr
}

// DummyScan is one row; its column is of no interest.
type DummyScan struct{ Node }

// EmptyResult is no rows.
type EmptyResult struct{ Node }

// Values is rows that stand in the query: VALUES (LOGICAL_EXPRESSION_GET) or
// constants that the optimiser gathered (LOGICAL_CHUNK_GET). Expressions of the
// former may refer to the columns of the input, if there is one.
type Values struct {
	Node
	Rows [][]Expr
}

// Filter keeps the rows for which all conditions hold. Project, when not nil,
// lists the input's columns that are output.
type Filter struct {
	Node
	Conds   []Expr
	Project []int
}

// Projection computes its columns from the input's.
type Projection struct {
	Node
	Exprs []Expr
}

// Aggregate groups. Its columns are the groups, then the aggregates, then the
// values of GROUPING().
type Aggregate struct {
	Node
	Groups []Expr
	// Sets are the grouping sets: lists of positions in Groups. One set that
	// lists all groups, or no set, is a plain GROUP BY.
	Sets     [][]int
	Aggs     []*AggExpr
	Grouping [][]int // of each GROUPING(): positions in Groups
}

// Plain reports whether there is just one grouping set, of all groups.
func (a *Aggregate) Plain() bool {
	return len(a.Grouping) == 0 && (len(a.Sets) == 0 || len(a.Sets) == 1 && len(a.Sets[0]) == len(a.Groups))
}

// Distinct drops duplicates. On: one row for each value of Targets, the first
// by Order, or any.
type Distinct struct {
	Node
	On      bool
	Targets []Expr
	Order   []OrderKey
}

// Window adds columns to its input's.
type Window struct {
	Node
	Exprs []*WindowExpr
}

// Unnest adds columns of elements to its input's, a row for each element of the
// longest list; shorter ones are filled with NULL.
type Unnest struct {
	Node
	Lists []Expr
}

// OrderKey is a key of ORDER BY.
type OrderKey struct {
	X          Expr
	Desc       bool
	NullsFirst bool
}

// Order sorts. Project, when not nil, lists the input's columns that are output.
type Order struct {
	Node
	Keys    []OrderKey
	Project []int
}

// TopN is the Limit rows after the first Offset, in order.
type TopN struct {
	Node
	Keys   []OrderKey
	Limit  uint64
	Offset uint64
}

// Limit is rows of the input, in its order.
type Limit struct {
	Node
	Limit, Offset Bound
}

// BoundKind says how a limit or offset is given.
type BoundKind string

// Kinds of bound. A BoundExpr's expression is over the input's columns; all
// rows have the same value of it.
const (
	NoBound      BoundKind = "UNSET"
	BoundRows    BoundKind = "CONSTANT_VALUE"
	BoundPercent BoundKind = "CONSTANT_PERCENTAGE"
	BoundExpr    BoundKind = "EXPRESSION_VALUE"
	BoundShare   BoundKind = "EXPRESSION_PERCENTAGE"
)

// Bound is a limit or an offset.
type Bound struct {
	Kind    BoundKind
	Rows    uint64  // BoundRows
	Percent float64 // BoundPercent: 0 to 100
	X       Expr    // BoundExpr, BoundShare
}

// JoinType is a kind of join.
type JoinType string

// Kinds of join.
const (
	Inner     JoinType = "INNER"
	Left      JoinType = "LEFT"
	Right     JoinType = "RIGHT"
	Full      JoinType = "FULL"
	Semi      JoinType = "SEMI"       // left rows with a match
	Anti      JoinType = "ANTI"       // left rows without one
	RightSemi JoinType = "RIGHT_SEMI" // right rows with a match
	RightAnti JoinType = "RIGHT_ANTI"
	Mark      JoinType = "MARK"   // left rows, and whether one matches, as IN says: true, false or NULL
	Single    JoinType = "SINGLE" // LEFT; more than one match is an error
)

// CompareOp is a comparison, as SQL writes it.
type CompareOp string

// Comparisons.
const (
	Eq          CompareOp = "="
	Ne          CompareOp = "<>"
	Lt          CompareOp = "<"
	Gt          CompareOp = ">"
	Le          CompareOp = "<="
	Ge          CompareOp = ">="
	IsDistinct  CompareOp = "IS DISTINCT FROM"
	NotDistinct CompareOp = "IS NOT DISTINCT FROM"
)

// JoinCond is Left Op Right: Left over the left input's columns, Right over the
// right's.
type JoinCond struct {
	Op          CompareOp
	Left, Right Expr
}

// Join matches rows on all of Conds. Its columns are the left's, then the
// right's (see JoinType for those without), as LeftProject and RightProject
// pick them (nil: all), then the mark.
type Join struct {
	Node
	Type                      JoinType
	Conds                     []JoinCond
	LeftProject, RightProject []int
	// Asof: the last condition is an inequality, and of the right rows that
	// match, the nearest one counts.
	Asof bool
	// Residual (Asof only) is over the join's output.
	Residual Expr
	// Delim, when not nil: a DelimGet below the Other side reads the distinct
	// values of these expressions over the other input (the left, or the right
	// when Flipped).
	Delim   []Expr
	Flipped bool
	// DelimID is the ID carried by the DelimGets that read Delim; 0: there are none.
	DelimID int
}

// DelimGet is the distinct rows of the join's Delim whose DelimID is ID.
type DelimGet struct {
	Node
	ID int
}

// AnyJoin matches rows on any condition, over the left's columns followed by
// the right's, as LeftProject and RightProject pick them (nil: all).
type AnyJoin struct {
	Node
	Type                      JoinType
	Cond                      Expr
	LeftProject, RightProject []int
}

// CrossProduct pairs all rows.
type CrossProduct struct{ Node }

// PositionalJoin pairs the n-th rows; the shorter side is filled with NULL.
type PositionalJoin struct{ Node }

// SetKind is a set operation as SQL writes it: UNION, EXCEPT or INTERSECT.
type SetKind string

// Union is the only set operation that may run in pieces.
const Union SetKind = "UNION"

// SetOp combines two inputs of the same columns.
type SetOp struct {
	Node
	Op  SetKind
	All bool // keep duplicates
}

// MaterializedCTE runs its left input once; CTERefs below its right input read
// it, and the right's rows are the result.
type MaterializedCTE struct {
	Node
	ID   int
	Name string // for people
	// Materialize is the user's choice: CTE_MATERIALIZE_ALWAYS, _NEVER, _DEFAULT.
	Materialize string
}

// RecursiveCTE starts with its left input's rows and repeats its right, whose
// CTERefs read the rows of the last turn, until there are no new ones.
type RecursiveCTE struct {
	Node
	ID   int
	Name string
	All  bool   // UNION ALL
	Keys []Expr // USING KEY: over the output's columns
	// Recurring: the right side also reads all rows so far.
	Recurring bool
}

// CTERef reads the CTE whose ID is CTE.
type CTERef struct {
	Node
	CTE int
	// Recurring: all rows so far of a recursive CTE, rather than the last turn's.
	Recurring bool
}

// SampleOptions are those of TABLESAMPLE and USING SAMPLE.
type SampleOptions struct {
	Size    Value
	Percent bool
	Method  string // System, Bernoulli, Reservoir
	Seed    int64  // -1: none
}

// Sample is some of its input's rows.
type Sample struct {
	Node
	Options SampleOptions
}

// Pivot spreads lists over columns. The input's columns are Groups group
// columns, a list for each aggregate, and last the list of their names.
type Pivot struct {
	Node
	Groups int
	Names  []string
	Aggs   []*AggExpr // for the value of a name without rows
}

// Unknown is an operator that this package does not know. Its columns may be
// missing.
type Unknown struct {
	Node
	Why string
}

// View is a leaf that whoever cuts the tree puts in place of what runs
// elsewhere: the rows of a view or table whose columns are called c0, c1, ….
type View struct {
	Node
	Name string // as SQL, quoted where it must be
}
