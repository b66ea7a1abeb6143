package plan

import "encoding/json"

// NodeID names a node within its Plan; errors and explain show it.
type NodeID string

// Plan is a DataFrame program or a job file: a list of nodes, each reading earlier
// ones, and the sink of one of them. A node that several others read is computed
// once. The JSON form is the job file's (docs in decode.go); field names are stable.
type Plan struct {
	Name  string `json:"name,omitempty"`
	Nodes []Node `json:"nodes"`
	Sink  Sink   `json:"sink"`
}

// Node is one step. Exactly one of the operations is set.
type Node struct {
	ID     NodeID   `json:"id"`
	Inputs []NodeID `json:"inputs,omitempty"`

	Read          *ReadOp        `json:"read,omitempty"`
	Rows          *RowsOp        `json:"rows,omitempty"`
	SQL           *SQLOp         `json:"sql,omitempty"`
	Map           *MapOp         `json:"map,omitempty"`
	FlatMap       *MapOp         `json:"flat_map,omitempty"`
	Filter        *MapOp         `json:"filter,omitempty"`
	MapBatches    *MapBatchesOp  `json:"map_batches,omitempty"`
	Project       *ProjectOp     `json:"project,omitempty"`
	PartialSort   *SortOp        `json:"partial_sort,omitempty"`
	Sort          *SortOp        `json:"sort,omitempty"`
	RandomShuffle *ShuffleOp     `json:"random_shuffle,omitempty"`
	Limit         *LimitOp       `json:"limit,omitempty"`
	Union         *UnionOp       `json:"union,omitempty"`
	Broadcast     *CountOp       `json:"broadcast,omitempty"`
	Consolidate   *CountOp       `json:"consolidate,omitempty"`
	Repartition   *RepartitionOp `json:"repartition,omitempty"`
}

// ReadOp reads files. Paths may be files, folders or globs; the Catalog lists
// their files. The planner chooses the partitions of the rows until a Repartition.
type ReadOp struct {
	Format    Format      `json:"format"`
	Paths     []string    `json:"paths"`
	Recursive bool        `json:"recursive,omitempty"` // folders: their folders too
	Options   ScanOptions `json:"options,omitzero"`
}

// RowsOp is rows carried in the plan: an Arrow IPC stream (Count rows), or
// Values, one list a row, one value a column.
type RowsOp struct {
	IPC     []byte              `json:"ipc,omitempty"`
	Count   int64               `json:"count,omitempty"`
	Columns []Column            `json:"columns,omitempty"`
	Values  [][]json.RawMessage `json:"values,omitempty"`
}

// SQLOp is a SELECT run once a partition, over that partition's rows of the
// inputs: {0}, {1}, … are the inputs, {partition} the partition's number from
// 0, {partitions} how many there are, {seed} a number that differs by
// partition and stays the same when the job is run again. {{ and }} are plain
// braces; struct literals such as {'a': 1} need no escape.
//
// Several inputs must be partitioned alike; one that has a single partition,
// or that nobody has partitioned, is given whole to every partition.
//
// Without inputs it is a whole query: it runs once. Access then lists the
// files, folders or globs that its text names, and Views are made for it. The node
// that plans a job derives Access, Lax and Views from the text: what a plan says of
// them is not believed.
type SQLOp struct {
	Query  string   `json:"query"`
	Access []string `json:"access,omitempty"`
	Lax    []string `json:"lax,omitempty"` // of Access, those that may mean no file
	// Views are made, in order, before a whole query.
	Views []View `json:"views,omitempty"`
	// Told has its columns described for people, as DESCRIBE does. No job looks at it.
	Told bool `json:"told,omitempty"`
}

// View is a name for a SELECT.
type View struct {
	Name string `json:"name"`
	SQL  string `json:"sql"`
}

// MapOp makes rows out of rows. For Map and FlatMap SQL is a SELECT list, for
// Filter a condition; else Func names a registered Go function.
type MapOp struct {
	SQL  string `json:"sql,omitempty"`
	Func string `json:"func,omitempty"`
}

// MapBatchesOp calls a registered Go function on batches of exactly BatchRows
// rows, but for a partition's last; 0: on batches as they come.
type MapBatchesOp struct {
	Func      string `json:"func"`
	BatchRows int    `json:"batch_rows,omitempty"`
}

// ProjectOp picks columns: names or SQL expressions; none: all. RowNumber and
// Filename add `file_row_number` and `filename`, straight after a Read only.
type ProjectOp struct {
	Columns   []string `json:"columns,omitempty"`
	Filename  bool     `json:"filename,omitempty"`
	RowNumber bool     `json:"row_number,omitempty"`
}

// SortOp orders by terms such as "price", "price DESC", "lower(name) ASC NULLS
// FIRST". PartialSort orders each partition; Sort all rows, into N partitions
// that follow one another (0: the planner chooses).
type SortOp struct {
	By []string `json:"by"`
	N  int      `json:"n,omitempty"`
}

// ShuffleOp puts all rows in random order, in as many partitions as before.
// With a Seed the order is the same each time.
type ShuffleOp struct {
	Seed *uint64 `json:"seed,omitempty"`
}

// LimitOp keeps the first N rows of all partitions together.
type LimitOp struct {
	N int64 `json:"n"`
}

// UnionOp appends its inputs (UNION ALL: by position, duplicates kept). Inputs
// partitioned alike are united partition by partition; else the partitions of
// one follow those of the other.
type UnionOp struct{}

// CountOp sets the number of partitions: Broadcast repeats all rows in each of N (0:
// as many as the other side of the join has); Consolidate merges neighbouring
// partitions, without an exchange, until N are left.
type CountOp struct {
	N int `json:"n,omitempty"`
}

// RepartitionOp deals the rows out anew into N partitions (0: the planner
// chooses).
type RepartitionOp struct {
	N    int         `json:"n,omitempty"`
	By   PartitionBy `json:"by,omitempty"`
	Keys []string    `json:"keys,omitempty"` // hash: expressions; range: sort terms; column: one expression; user: Func's arguments, none: all columns
	Func string      `json:"func,omitempty"` // user: a registered scalar function
	Seed *uint64     `json:"seed,omitempty"` // random
}

// PartitionBy is a way to repartition.
type PartitionBy string

// Ways to repartition.
const (
	ByFiles      PartitionBy = "files"      // whole files, or whole partitions; the default
	ByRows       PartitionBy = "rows"       // even shares, in order, sizes differ by one row at most
	ByHash       PartitionBy = "hash"       // rows with equal Keys meet
	ByValue      PartitionBy = "column"     // Keys[0] is the partition's number, 0 to N-1
	ByRange      PartitionBy = "range"      // partitions follow one another by Keys
	ByRoundRobin PartitionBy = "roundrobin" // row by row
	ByRandom     PartitionBy = "random"
	ByUser       PartitionBy = "user" // Func gives each row's partition, 0 to N-1
)

// Sink is the use of one node's rows. Exactly one of Collect, Count, Take and
// Write is set.
type Sink struct {
	Input   NodeID     `json:"input"`
	Collect *CollectOp `json:"collect,omitempty"`
	Count   *CollectOp `json:"count,omitempty"`
	Take    *LimitOp   `json:"take,omitempty"`
	Write   *Write     `json:"write,omitempty"`
}

// CollectOp has no options: rows (Collect) or their number (Count), for the client.
type CollectOp struct{}

// Source is a node that names files, with the options by which the Catalog finds them.
type Source struct {
	Node      NodeID
	Read      *ReadOp  // nil for SQL
	Access    []string // SQL's files and globs
	Lax       []string // of Access, those that may mean no file
	Footers   bool     // row groups are wanted (Parquet)
	Recursive bool
}

// Sources lists the nodes whose files a Catalog must resolve.
func (p *Plan) Sources() []Source {
	var out []Source
	for i := range p.Nodes {
		n := &p.Nodes[i]
		switch {
		case n.Read != nil:
			out = append(out, Source{Node: n.ID, Read: n.Read, Footers: n.Read.Format == Parquet, Recursive: n.Read.Recursive})
		case n.SQL != nil && len(n.SQL.Access) > 0:
			out = append(out, Source{Node: n.ID, Access: n.SQL.Access, Lax: n.SQL.Lax})
		}
	}
	return out
}
