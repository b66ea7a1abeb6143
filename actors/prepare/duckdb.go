package prepare

import (
	"context"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/distribute"
	"github.com/pondmesh/pond/duck"
)

// DuckDB is what a Planner asks of DuckDB: here (Local), or in processes of its own.
// Access lists the files, and folders with a trailing slash, that an answer may look
// at. Errors are plan.Errors, or a context's. It is safe for concurrent use.
type DuckDB interface {
	// Version is DuckDB's.
	Version() string
	// Parse gives the syntax tree of a statement.
	Parse(ctx context.Context, sql string) (Tree, error)
	// Deparse is Parse the other way.
	Deparse(ctx context.Context, tree []byte) (string, error)
	// Footers reads the footers of Parquet files. each gets them in the order of paths,
	// some at a time, those from an index on; when a request is done again, it gets them
	// again.
	Footers(ctx context.Context, paths, access []string, each func(from int, list []duck.Footer) error) error
	// Columns names and types the columns of a query of Pond's own over files.
	Columns(ctx context.Context, sql string, access []string) ([]plan.Column, error)
	// Sniff tells the dialect of a CSV file, as SQL literals; nothing if it cannot be
	// told: reading then reports why.
	Sniff(ctx context.Context, path string, access []string, o plan.ScanOptions) (map[string]string, error)
	// Describe binds a step's query. Of one that is Told the columns are as DESCRIBE has them.
	Describe(ctx context.Context, op *plan.SQLOp, access []string) (Shape, error)
	// Plan binds, plans and optimizes a query.
	Plan(ctx context.Context, r PlanRequest) (Planned, error)
	// Folders counts the folders that a query's first rows would be written to.
	Folders(ctx context.Context, r FoldersRequest) (int64, error)
}

// Tree is a statement as DuckDB's parser reads it.
type Tree struct {
	JSON []byte
	None bool // DuckDB writes no tree of it down, though it may run it
}

// Shape is the columns of a query.
type Shape struct {
	Columns []plan.Column
	Dynamic bool // they had to be found in the data
}

// PlanRequest asks for a query's plan.
type PlanRequest struct {
	SQL    string
	Views  []plan.View
	Access []string
	Files  map[string]plan.File // those that it reads, by path
	Off    string               // optimizers: one of logical.OptimizerTries
}

// Planned is a query's plan as DuckDB writes it down.
type Planned struct {
	Names  []string                    // of its columns
	Plan   string                      // JSON
	Tables map[string]distribute.Table // that stand for its text files; nil when there are none
	Whole  string                      // why there is no plan; "": there is one
}

// FoldersRequest asks into how many folders columns part a query's first rows.
type FoldersRequest struct {
	SQL     string
	Views   []plan.View
	Access  []string
	Columns []string
}
