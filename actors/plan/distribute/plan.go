package distribute

import (
	"errors"
	"fmt"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/logical"
)

// Query is a user's query.
type Query struct {
	// Tree is the query as DuckDB planned it; nil when it could not be had, and
	// then Why says so and the SQL runs whole.
	Tree *logical.Plan
	Why  string

	SQL    string      // as the user wrote it
	Views  []plan.View // that SQL needs, made before it in this order
	Access []string    // files, folders and globs that SQL names
	// Repeatable: as far as the text tells, it gives the same rows each time.
	// Matters only without a Tree.
	Repeatable bool
	// Elsewhere: some files are objects, of which nodes fetch what is read. Stages say
	// what that is.
	Elsewhere bool
	// Write, when not nil, is where the rows go instead of to the client.
	Write *plan.Write
	// Folders is how many folders the first rows of a Write with PartitionBy go to;
	// 0: not known.
	Folders int64
}

// Files are those that the tree's scans of Parquet read.
func (q *Query) Files() []string {
	if q.Tree == nil {
		return nil
	}
	return filesOf(q.Tree.Root)
}

// Facts describe the files.
type Facts struct {
	// Files are those that the tree's scans name, by path; Parquet files with
	// their row groups. A file that is missing makes the query run whole.
	Files map[string]plan.File
	// Stats bounds the columns of a file's row groups: by path, then group, then
	// column in lower case. What is missing is not known.
	Stats map[string][]map[string]Range
	// Tables are the files behind tables of the tree, by Get.Source: a query that
	// DuckDB cannot plan over files (CSV, JSON, Arrow) may be planned over an empty
	// table of the same columns.
	Tables map[string]Table
}

// Range bounds a column's values in a row group. Min and Max are SQL literals, as
// duck.Footers gives them.
type Range struct {
	Type     string // the file's own, DuckDB's name; of another type than the scan's it is of no use
	Known    bool   // Min and Max are
	Min, Max string
	Nulls    int64 // -1: not known
	Distinct int64 // values, at most or so; 0: not known
	Bytes    int64 // compressed; 0: not known
}

// Table is files that stand behind a table of the tree.
type Table struct {
	Format  plan.Format
	Options plan.ScanOptions // Columns nil
	plan.Facts
	From, Together string  // see plan.Scan
	Rows           float64 // guessed; 0: not
}

// Options are the inputs of a plan besides the query and its files.
type Options struct {
	JobID plan.JobID
	Salt  string // hashed into every stage id, see plan.NewBuilder
	// Parallelism is how many tasks can run at once in the pond; 0: 1.
	Parallelism int
	// Partitions is how many tasks every scan and exchange is cut in; 0: as many
	// as the sizes deserve.
	Partitions int
	// TargetBytes is the compressed size that a task should read; 0: 128 MiB.
	TargetBytes int64
	// SortBytes is the same of a task that sorts; 0: TargetBytes.
	SortBytes int64
	// BroadcastBytes is the size up to which a join's side is sent to every task
	// rather than both being hashed; 0: 16 MiB; negative: only where it must be.
	BroadcastBytes int64
	// LocalBytes is the size of the input, see work, below which the query runs
	// unchanged in one task; 0: 64 MiB.
	LocalBytes int64
	// Force distributes queries below LocalBytes too.
	Force bool
}

// LocalBytes is the size of the input below which a query runs unchanged: one node
// is then faster than several that must exchange rows.
const LocalBytes = 64 << 20

const (
	broadcastBytes = 16 << 20
	tinyBroadcast  = 1 << 20 // what all tasks together take in is not worth a thought
	targetBytes    = 128 << 20
)

func (o Options) sizing() plan.Sizing {
	return plan.Sizing{Parallelism: o.Parallelism, TargetBytes: o.TargetBytes, SortBytes: o.SortBytes}
}

func (o Options) filled() Options {
	o.Parallelism = max(o.Parallelism, 1)
	o.Partitions = min(o.Partitions, plan.MaxPartitions)
	if o.TargetBytes <= 0 {
		o.TargetBytes = targetBytes
	}
	if o.SortBytes <= 0 {
		o.SortBytes = o.TargetBytes
	}
	if o.BroadcastBytes == 0 {
		o.BroadcastBytes = broadcastBytes
	}
	if o.LocalBytes <= 0 {
		o.LocalBytes = LocalBytes
	}
	return o
}

// errSingleTask is why a query runs whole, in one task.
type errSingleTask struct{ why string }

func (e *errSingleTask) Error() string { return e.why }

// Plan turns a query into a job. The same query over the same files with the
// same options gives the same job. It fails only for defects: it gathers the parts
// that it cannot distribute.
func Plan(q *Query, facts Facts, o Options) (*Compiled, error) {
	o = o.filled()
	atOnce := func(why string) (*Compiled, error) {
		return &Compiled{Job: singleTask(q, facts, o, why)}, nil
	}
	if q.Tree == nil {
		return atOnce(q.Why)
	}
	checked := *q
	checked.Tree = &logical.Plan{Root: checkSums(q.Tree.Root), Names: q.Tree.Names}
	planned, err := newPlanner(&checked, facts, o).distribute()
	var w *errSingleTask
	switch {
	case errors.As(err, &w):
		return atOnce(w.why)
	case errors.Is(err, logical.ErrUnrendered):
		return atOnce(err.Error())
	case err != nil:
		return nil, fmt.Errorf("plan: distribute: %w", err)
	}
	return planned, nil
}
