package plan

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// JobID names a job: 128 random bits in hex.
type JobID string

const jobIDLen = 32

// Check refuses a name that no job has. Names of files are made of ids: one that
// comes from elsewhere is checked before it is used.
func (id JobID) Check() error {
	if _, err := hex.DecodeString(string(id)); err != nil || len(id) != jobIDLen {
		return &Error{Kind: KindUser, Op: "name a job", Subject: fmt.Sprintf("%.64q", string(id)), Text: fmt.Sprintf("a job's id is %d hex digits", jobIDLen)}
	}
	return nil
}

// StageID is the content hash of everything a stage's output depends on: its
// SQL, its files (path, size, modification time), its exchange, the ids of the
// stages it reads. Equal ids mean equal rows, in any job. A stage that calls a
// volatile function has the job's id hashed in, so that it is never reused.
type StageID string

// TaskID names the work of one partition of a stage.
type TaskID struct {
	Stage     StageID
	Partition int
}

func (t TaskID) String() string { return fmt.Sprintf("%.8s/%d", string(t.Stage), t.Partition) }

// AttemptID names one try at a task within a job. Attempts count from 1 and are
// never reused within a job.
type AttemptID struct {
	Task    TaskID
	Attempt int
}

func (a AttemptID) String() string { return fmt.Sprintf("%s#%d", a.Task, a.Attempt) }

// AllCores, granted as threads, means as many as the node has cores.
const AllCores = 1 << 16

// Job is a compiled plan. Stages stand in an order in which each reads only
// earlier ones; the last is the result.
type Job struct {
	Stages []*Stage
	Result Result
}

// Result says what becomes of the last stage's output.
type Result struct {
	Write *Write // files, published when every task is done; nil: rows for the client
	// Ordered: rows are to be read in order of task, then in the task's order.
	Ordered bool
}

// Stage is a piece of the plan that runs without an exchange inside it: one
// task a partition, each in one DuckDB.
type Stage struct {
	ID     StageID
	Name   string // for people: "scan flights", "hash(origin)"
	Inputs []Input
	Steps  []Step
	// Query gives the output: SELECT … over the inputs and steps. Steps and Query may
	// hold {partition}, {partitions} and {seed}: run the stage that [Stage.Bind] returns.
	Query string
	// Ordered: the rows of a task leave in the query's order, through one thread;
	// inputs, steps and functions keep the order they are given rows in.
	Ordered  bool
	Exchange Exchange
	Tasks    Tasks
	// Deterministic: another attempt yields the same rows in the same
	// partitions, so consumers of two different attempts agree. When it is
	// false and an attempt is lost, whoever read it must be run again too.
	Deterministic bool
	// Optimized: the SQL was written from a plan that is optimised already. Joins
	// stay in its order: DuckDB does not know how many rows a stream will bring,
	// takes it for one, and would choose worse. False for a stage with a recursive
	// query.
	Optimized bool
	// Gathered is why the stage runs on one partition though its input has
	// several; empty when it does not.
	Gathered string
	// Access lists the files, folders and globs that SQL names by itself; an
	// engine must let it read them.
	Access []string
	// Reads are the columns that are read of files in Access, where that is known: of
	// Parquet files that are elsewhere, whose other columns are then left there.
	Reads map[string][]string `json:",omitempty"`
	// Unbound: the stage runs a user's query, with views, that DuckDB has not bound before.
	// The task may take as long for that as planning may.
	Unbound bool `json:",omitempty"`
	// Replanned is why the stage is there though the job was planned without it,
	// before the sizes of other stages were known; empty when it was not.
	Replanned string
	Memory    int64 // bytes a task is expected to need; 0: unknown
}

// Upstream lists the stages whose output a stage's tasks read, its bounds
// included, each once.
func (s *Stage) Upstream() []int {
	var out []int
	add := func(i int) {
		if !slices.Contains(out, i) {
			out = append(out, i)
		}
	}
	for _, in := range s.Inputs {
		if in.Read != nil {
			for _, i := range in.Read.Stages {
				add(i)
			}
		}
	}
	if s.Exchange.Kind == Range {
		add(s.Exchange.Bounds)
	}
	return out
}

// Input is a view that the stage's SQL reads. Exactly one of Scan, Read and
// Literal is set.
type Input struct {
	View    string // the view's name in SQL
	Scan    *Scan
	Read    *Read
	Literal *Literal
}

// Scan reads files with DuckDB's own readers.
type Scan struct {
	Format  Format
	Options ScanOptions
	// Splits has one list of pieces a task; a single list with Broadcast set is
	// read whole by every task.
	Splits    [][]Piece
	Broadcast bool
	// Columns are those of all files together: a task casts its files to them.
	// Nil: all files are alike.
	Columns []Column
	// Named, if set, is SQL that makes the column filename of a path: what is read over a
	// network is kept in files that users do not know.
	Named string `json:",omitempty"`
	// Like is a file to take the columns from when a task has no piece.
	Like string
	// From, if set, is the FROM item that reads all the files, all Options included.
	// It has the column `filename`, by which a task picks its own files: DuckDB
	// looks at some files to decide how to read others. Together says why one task
	// reads all of it; then it needs no such column.
	From     string `json:",omitempty"`
	Together string `json:",omitempty"`
}

// Format is a file format.
type Format string

// The formats that can be read and written.
const (
	Parquet Format = "parquet"
	CSV     Format = "csv"
	JSON    Format = "json" // newline-delimited or one array, as DuckDB detects
	Arrow   Format = "arrow"
)

// ScanOptions are passed to DuckDB's reader.
type ScanOptions struct {
	Columns     []string          `json:"columns,omitempty"`       // only these, in this order; nil: all
	UnionByName bool              `json:"union_by_name,omitempty"` // align files by column name, not position
	Hive        bool              `json:"hive,omitempty"`          // take columns from key=value folders
	Filename    bool              `json:"filename,omitempty"`      // add a column `filename`
	RowNumber   bool              `json:"row_number,omitempty"`    // add a column `file_row_number` (Parquet)
	CSV         map[string]string `json:"csv,omitempty"`           // read_csv options as SQL literals: delim, header, nullstr …
	Schema      []Column          `json:"schema,omitempty"`        // explicit schema for CSV and JSON; nil: inferred
}

// Column is a name and a DuckDB type.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// Piece is a file or a run of a Parquet file's rows.
type Piece struct {
	Path  string
	Rows  int64 // rows in the piece; -1: unknown
	Start int64 // first row; meaningful when Whole is false
	Whole bool  // the entire file
	ToEnd bool  `json:",omitempty"` // a run of rows up to the file's last one
	Bytes int64 // compressed bytes, estimated for a run of rows
}

// Read reads the blocks of earlier stages. Its view may be scanned once only;
// what would scan it twice goes through a materialized step.
type Read struct {
	Stages []int // indexes into Job.Stages; several are a UNION ALL, in this order
	How    How
	// Ordered: the blocks come as one stream, in order of producing task.
	Ordered bool
}

// How says which blocks of its producers a task reads.
type How string

// Ways to read.
const (
	ReadPartition How = "partition" // task p: partition p of every segment; of fewer tasks than partitions each takes a contiguous share; of a fitted stage, its Share
	ReadAll       How = "all"       // every task: every partition of every segment (broadcast)
	ReadSegments  How = "segments"  // task t: a contiguous share of whole segments, in order
	ReadRows      How = "rows"      // task t: an even share of all rows, cut exactly
)

// Literal is rows carried in the job itself: an Arrow IPC stream.
type Literal struct {
	IPC       []byte
	Rows      int64
	Broadcast bool // every task reads all of it; else tasks read even shares
}

// Step makes a view, a temporary table, or the output of a Go function, before
// Query runs. Steps run in order and may read inputs and earlier steps.
type Step struct {
	View string // what later steps and Query call it
	SQL  string // SELECT …; the function's input when Func is set
	// Materialize: a temporary table instead of a view, because more than one
	// reader wants it or because it must be evaluated once.
	Materialize bool
	Func        *FuncCall
}

// FuncCall names a Go function: the stage runs on nodes that have registered it.
type FuncCall struct {
	Name      string
	Kind      FuncKind
	BatchRows int // rows a call, exactly, but for the last; 0: as they come
}

// FuncKind is the way in which a Go function is called.
type FuncKind string

// Kinds of function call.
const (
	FuncMap     FuncKind = "map"      // a row for a row
	FuncFilter  FuncKind = "filter"   // keep the row or not
	FuncFlatMap FuncKind = "flat_map" // any number of rows for a row
	FuncBatches FuncKind = "batches"  // a batch for a batch
)

// Exchange says how rows leave a stage's tasks.
type Exchange struct {
	Kind       ExchangeKind
	Partitions int      // of the output; 1 for Single
	Keys       []string // SQL expressions over Query's columns: hashed, compared, or the partition itself (ByColumn, User: one)
	// Order has one of "ASC NULLS LAST", … a key (Range).
	Order []string
	// Bounds (Range) is the index of the stage whose rows, one BLOB column, are
	// the bounds in ascending order: at most Partitions-1 of them, none for an
	// empty input. A row goes to partition i when i bounds are less than its
	// SortKey.
	Bounds int
	Seed   uint64 // Random: task t draws from a generator seeded by (Seed, t)
	Func   string // User: the registered scalar function that Keys[0] calls
	Write  *Write // Files
	// Grouped (Files): there are so many folders that a task is to write one after
	// the other: it sorts its rows by them.
	Grouped bool `json:",omitempty"`
}

// ManyFolders is how many folders a task writes at once: DuckDB keeps as many files
// open. To write more, tasks exchange rows, so that each folder has one task, and write
// one folder after the other.
const ManyFolders = 100

// BlobKey is a sort key that orders nothing. DuckDB makes a BIGINT of short sort
// keys and a BLOB of others; with a string among them it is always a BLOB.
const BlobKey = "''"

// ExchangeKind is a way to cut a task's output.
type ExchangeKind string

// Kinds of exchange.
const (
	Single     ExchangeKind = "single"     // one partition: gathered, broadcast, or read by segment
	Hash       ExchangeKind = "hash"       // by the stable hash of Keys
	Range      ExchangeKind = "range"      // by Keys against sampled bounds
	ByColumn   ExchangeKind = "column"     // Keys[0] is the partition's number
	RoundRobin ExchangeKind = "roundrobin" // row by row
	Random     ExchangeKind = "random"     // by a seeded generator
	User       ExchangeKind = "user"       // by a Go function
	Files      ExchangeKind = "files"      // no exchange: DuckDB writes the task's rows to a staged file
)

// DatasetScheme begins the path of a dataset, which is a table by its name.
const DatasetScheme = "pond://"

// StoreScheme begins the path of a folder, or of an object, of S3.
const StoreScheme = "s3://"

// CutScheme is a path without its scheme, in whatever case that is written.
func CutScheme(path, scheme string) (rest string, ok bool) {
	if n := len(scheme); len(path) >= n && strings.EqualFold(path[:n], scheme) {
		return path[n:], true
	}
	return path, false
}

// InStore reports whether a path is one of a store of objects: attempts upload there.
func InStore(path string) bool { return strings.HasPrefix(path, StoreScheme) }

// Write is the target of a job's files, and how to treat files already there.
type Write struct {
	Path        string            `json:"path"`             // a folder, here or in a store, or a dataset; a file or an object with Single
	Single      bool              `json:"single,omitempty"` // one task writes one file of that name
	Format      Format            `json:"format"`
	Mode        WriteMode         `json:"mode,omitempty"`
	Force       bool              `json:"force,omitempty"`        // files make room that no earlier output left there, too
	Existing    bool              `json:"existing,omitempty"`     // with mode append: the dataset has to be there
	Options     map[string]string `json:"options,omitempty"`      // COPY options as SQL literals
	PartitionBy []string          `json:"partition_by,omitempty"` // hive folders by these columns
}

// WriteMode says how to publish into a folder that exists.
type WriteMode string

// Modes of publishing. Without Force, overwrite and replace refuse to remove files that
// no earlier output left there.
const (
	WriteError     WriteMode = "error"
	WriteOverwrite WriteMode = "overwrite"
	WriteAppend    WriteMode = "append"
	WriteReplace   WriteMode = "replace" // append, but what earlier writes left in the same folders goes
)

// Tasks says how many tasks a stage has: N, or, when N is 0, as many as the
// upstream decides: the sum of the producers' tasks (ReadSegments), or what Fit
// makes of their sizes.
type Tasks struct {
	N   int
	Fit *Fit `json:",omitempty"`
	// Specs are the partitions that each task reads once Fit is applied: see [Fitted].
	Specs []PartitionSpec `json:",omitempty"`
}
