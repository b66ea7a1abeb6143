package pond

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/pondmesh/pond/actors/plan"
)

// DataFrame is a lazy, partitioned table: a plan, not data. It is immutable,
// and may be used any number of times: within one job a DataFrame that several
// others are made from is computed once. A mistake in building one is told by
// the action that runs it.
type DataFrame struct {
	s      *Session
	node   plan.Node // without ID and Inputs
	inputs []*DataFrame
	err    error
}

func (s *Session) source(n plan.Node, err error) *DataFrame {
	return &DataFrame{s: s, node: n, err: err}
}

// then is a step after df and others.
func (df *DataFrame) then(n plan.Node, others ...*DataFrame) *DataFrame {
	return &DataFrame{s: df.s, node: n, inputs: append([]*DataFrame{df}, others...)}
}

// ReadOption is an option of the Read methods.
type ReadOption func(*plan.ReadOp)

// Columns reads only these columns, in this order.
func Columns(names ...string) ReadOption {
	return func(r *plan.ReadOp) { r.Options.Columns = names }
}

// Recursive reads folders with all folders in them.
func Recursive() ReadOption { return func(r *plan.ReadOp) { r.Recursive = true } }

// UnionByName aligns files by column name: what a file lacks is NULL.
func UnionByName() ReadOption { return func(r *plan.ReadOp) { r.Options.UnionByName = true } }

// HivePartitioning takes columns from folders named key=value.
func HivePartitioning() ReadOption { return func(r *plan.ReadOp) { r.Options.Hive = true } }

// Schema gives the columns of CSV and JSON files as name, DuckDB type, name,
// type …; without it DuckDB infers them.
func Schema(namesAndTypes ...string) ReadOption {
	return func(r *plan.ReadOp) { r.Options.Schema = columnList(namesAndTypes) }
}

// columnList reads name, type, name, type …; a name without a type stays so.
func columnList(list []string) []plan.Column {
	var out []plan.Column
	for i := 0; i < len(list); i += 2 {
		c := plan.Column{Name: list[i]}
		if i+1 < len(list) {
			c.Type = list[i+1]
		}
		out = append(out, c)
	}
	return out
}

// CSVOption passes an option to DuckDB's read_csv; value is an SQL literal, such
// as '|' in quotes, or true.
func CSVOption(name, value string) ReadOption {
	return func(r *plan.ReadOp) {
		r.Options.CSV = maps.Clone(r.Options.CSV)
		if r.Options.CSV == nil {
			r.Options.CSV = map[string]string{}
		}
		r.Options.CSV[name] = value
	}
}

// Paths reads these files, folders or globs too, each as it stands: commas in
// them are part of their names.
func Paths(paths ...string) ReadOption {
	return func(r *plan.ReadOp) { r.Paths = append(r.Paths, paths...) }
}

func (s *Session) read(f plan.Format, path string, options []ReadOption) *DataFrame {
	op := &plan.ReadOp{Format: f}
	if _, err := os.Stat(path); err == nil {
		op.Paths = []string{path} // whatever commas it has
	} else if path != "" {
		op.Paths = strings.Split(path, ",")
	}
	for _, o := range options {
		o(op)
	}
	for i, p := range op.Paths {
		abs, err := absolute(strings.TrimSpace(p))
		if err != nil {
			return s.source(plan.Node{}, err)
		}
		op.Paths[i] = abs
	}
	return s.source(plan.Node{Read: op}, nil)
}

// absolute makes a path mean the same on every node, and keeps a trailing slash.
func absolute(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("pond: path %s: %w", path, err)
	}
	if strings.HasSuffix(path, "/") && abs != "/" {
		abs += "/"
	}
	return abs, nil
}

// ReadParquet reads files, folders or globs, several with commas between them
// (see Paths). Of a folder it reads the files in it, but for those whose names
// begin with a dot or an underscore.
// The nodes read them: a path must mean the same on each.
func (s *Session) ReadParquet(path string, options ...ReadOption) *DataFrame {
	return s.read(plan.Parquet, path, options)
}

// ReadCSV reads CSV files; DuckDB finds out the dialect, header and types.
func (s *Session) ReadCSV(path string, options ...ReadOption) *DataFrame {
	return s.read(plan.CSV, path, options)
}

// ReadJSON reads JSON files: an object a line, or one array.
func (s *Session) ReadJSON(path string, options ...ReadOption) *DataFrame {
	return s.read(plan.JSON, path, options)
}

// ReadArrow reads Arrow IPC files, in the file or the stream format.
func (s *Session) ReadArrow(path string, options ...ReadOption) *DataFrame {
	return s.read(plan.Arrow, path, options)
}

// FromRecords carries batches of one schema in the job itself. They are encoded
// at once, and stay the caller's to release.
func (s *Session) FromRecords(schema *arrow.Schema, recs ...arrow.RecordBatch) *DataFrame {
	if schema == nil {
		return s.source(plan.Node{}, badRows("records need a schema"))
	}
	var b bytes.Buffer
	w := ipc.NewWriter(&b, ipc.WithSchema(schema))
	rows := int64(0)
	for _, r := range recs {
		if err := w.Write(r); err != nil {
			return s.source(plan.Node{}, badRows("%v", err))
		}
		rows += r.NumRows()
	}
	err := w.Close()
	return s.source(plan.Node{Rows: &plan.RowsOp{IPC: b.Bytes(), Count: rows}}, err)
}

// FromRows carries rows in the job itself: one list a row, of values that
// encoding/json takes. columns are name, DuckDB type, name, type ….
func (s *Session) FromRows(columns []string, rows ...[]any) *DataFrame {
	op := &plan.RowsOp{}
	if op.Columns = columnList(columns); len(columns)%2 != 0 {
		return s.source(plan.Node{}, badRows("column %q has no type: columns are name, type, name, type …", columns[len(columns)-1]))
	}
	for i, row := range rows {
		var vs []json.RawMessage
		for _, v := range row {
			b, err := json.Marshal(v)
			if err != nil {
				return s.source(plan.Node{}, badRows("row %d: %v", i, err))
			}
			vs = append(vs, b)
		}
		op.Values = append(op.Values, vs)
	}
	op.Count = int64(len(rows))
	return s.source(plan.Node{Rows: op}, nil)
}

func badRows(format string, args ...any) error {
	return &Error{Kind: plan.KindUser, Op: "rows", Text: fmt.Sprintf(format, args...)}
}

// Query is a whole SELECT over files. By itself it is distributed as Session.SQL
// does it; under further steps it runs in one partition. files are those that its
// text names, by absolute paths; Session.SQL takes others too.
func (s *Session) Query(query string, files ...string) *DataFrame {
	for _, f := range files {
		if !filepath.IsAbs(f) {
			return s.source(plan.Node{}, &Error{Kind: plan.KindUser, Op: "query", Subject: f, Text: "the path is relative",
				Hint: "write absolute paths, or use Session.SQL, which looks them up in the working directory"})
		}
	}
	return s.source(plan.Node{SQL: &plan.SQLOp{Query: query, Access: files}}, nil)
}

// SQL runs a SELECT once a partition. {0} is df's partition, {1} and so on are
// those of others, which must be partitioned alike, or have one partition, which
// every partition then sees whole. {partition}, {partitions} and {seed} are
// numbers; {{ and }} are braces.
func (df *DataFrame) SQL(query string, others ...*DataFrame) *DataFrame {
	return df.then(plan.Node{SQL: &plan.SQLOp{Query: query}}, others...)
}

// Map computes a SELECT list for each row: "a, b + 1 AS b".
func (df *DataFrame) Map(list string) *DataFrame {
	return df.then(plan.Node{Map: &plan.MapOp{SQL: list}})
}

// MapFunc calls a registered Go function (see WithMapFunc) for each row.
func (df *DataFrame) MapFunc(name string) *DataFrame {
	return df.then(plan.Node{Map: &plan.MapOp{Func: name}})
}

// FlatMap computes a SELECT list that may use unnest: "id, unnest(tags) AS tag".
func (df *DataFrame) FlatMap(list string) *DataFrame {
	return df.then(plan.Node{FlatMap: &plan.MapOp{SQL: list}})
}

// FlatMapFunc calls a registered Go function for each row, which yields any
// number of rows.
func (df *DataFrame) FlatMapFunc(name string) *DataFrame {
	return df.then(plan.Node{FlatMap: &plan.MapOp{Func: name}})
}

// Filter keeps the rows for which an SQL condition is true.
func (df *DataFrame) Filter(condition string) *DataFrame {
	return df.then(plan.Node{Filter: &plan.MapOp{SQL: condition}})
}

// FilterFunc keeps the rows for which a registered Go function says so.
func (df *DataFrame) FilterFunc(name string) *DataFrame {
	return df.then(plan.Node{Filter: &plan.MapOp{Func: name}})
}

// MapBatches calls a registered Go function with batches of exactly rows rows,
// but for a partition's last; 0: as they come.
func (df *DataFrame) MapBatches(name string, rows int) *DataFrame {
	return df.then(plan.Node{MapBatches: &plan.MapBatchesOp{Func: name, BatchRows: rows}})
}

// Select keeps columns, or computes SQL expressions.
func (df *DataFrame) Select(columns ...string) *DataFrame {
	return df.then(plan.Node{Project: &plan.ProjectOp{Columns: columns}})
}

// WithFilename adds the column filename, straight after a Read.
func (df *DataFrame) WithFilename() *DataFrame {
	return df.then(plan.Node{Project: &plan.ProjectOp{Filename: true}})
}

// WithRowNumber adds the column file_row_number, from 0 in each file, straight
// after a read of Parquet.
func (df *DataFrame) WithRowNumber() *DataFrame {
	return df.then(plan.Node{Project: &plan.ProjectOp{RowNumber: true}})
}

// PartialSort orders each partition by terms such as "price DESC".
func (df *DataFrame) PartialSort(by ...string) *DataFrame {
	return df.then(plan.Node{PartialSort: &plan.SortOp{By: by}})
}

// Sort orders all rows: the partitions follow one another.
func (df *DataFrame) Sort(by ...string) *DataFrame {
	return df.then(plan.Node{Sort: &plan.SortOp{By: by}})
}

// RandomShuffle puts all rows in random order.
func (df *DataFrame) RandomShuffle() *DataFrame {
	return df.then(plan.Node{RandomShuffle: &plan.ShuffleOp{}})
}

// Limit keeps the first n rows of all partitions together.
func (df *DataFrame) Limit(n int64) *DataFrame {
	return df.then(plan.Node{Limit: &plan.LimitOp{N: n}})
}

// Union appends the rows of others, by position; duplicates stay.
func (df *DataFrame) Union(others ...*DataFrame) *DataFrame {
	return df.then(plan.Node{Union: &plan.UnionOp{}}, others...)
}

// Broadcast repeats all rows in each of n partitions; 0: in as many as what they
// are joined with has.
func (df *DataFrame) Broadcast(n int) *DataFrame {
	return df.then(plan.Node{Broadcast: &plan.CountOp{N: n}})
}

// Consolidate merges neighbouring partitions until n are left, moving nothing
// between nodes but what must be.
func (df *DataFrame) Consolidate(n int) *DataFrame {
	return df.then(plan.Node{Consolidate: &plan.CountOp{N: n}})
}

// PartitionBy says how Repartition deals rows out.
type PartitionBy func(*plan.RepartitionOp)

// ByFiles keeps whole files, or whole partitions, together.
func ByFiles() PartitionBy { return func(r *plan.RepartitionOp) { r.By = plan.ByFiles } }

// ByRows gives even shares, in order, that differ by one row at most.
func ByRows() PartitionBy { return func(r *plan.RepartitionOp) { r.By = plan.ByRows } }

// ByHash brings rows together whose keys, columns or expressions, are equal.
func ByHash(keys ...string) PartitionBy {
	return func(r *plan.RepartitionOp) { r.By, r.Keys = plan.ByHash, keys }
}

// ByColumn takes the partition's number, 0 to n-1, from an expression.
func ByColumn(expr string) PartitionBy {
	return func(r *plan.RepartitionOp) { r.By, r.Keys = plan.ByValue, []string{expr} }
}

// ByRange makes partitions that follow one another by sort terms.
func ByRange(terms ...string) PartitionBy {
	return func(r *plan.RepartitionOp) { r.By, r.Keys = plan.ByRange, terms }
}

// ByRoundRobin deals rows out in turn.
func ByRoundRobin() PartitionBy { return func(r *plan.RepartitionOp) { r.By = plan.ByRoundRobin } }

// ByRandom deals rows out at random.
func ByRandom() PartitionBy { return func(r *plan.RepartitionOp) { r.By = plan.ByRandom } }

// ByFunc has a registered scalar function of all columns give each row's
// partition.
func ByFunc(name string) PartitionBy {
	return func(r *plan.RepartitionOp) { r.By, r.Func = plan.ByUser, name }
}

// Repartition deals the rows out anew into n partitions; 0: as many as suit the
// pond.
func (df *DataFrame) Repartition(n int, by PartitionBy) *DataFrame {
	op := &plan.RepartitionOp{N: n}
	by(op)
	return df.then(plan.Node{Repartition: op})
}

// WriteOption is an option of the Write methods.
type WriteOption func(*plan.Write)

// Overwrite replaces what is in the folder, at once, when all is written.
func Overwrite(w *plan.Write) { w.Mode = plan.WriteOverwrite }

// Append adds to what is in the folder.
func Append(w *plan.Write) { w.Mode = plan.WriteAppend }

// HiveFolders writes a folder key=value for each value of columns, of Parquet and
// CSV.
func HiveFolders(columns ...string) WriteOption {
	return func(w *plan.Write) { w.PartitionBy = columns }
}

// CopyOption passes an option to DuckDB's COPY; value is an SQL literal.
func CopyOption(name, value string) WriteOption {
	return func(w *plan.Write) {
		if w.Options == nil {
			w.Options = map[string]string{}
		}
		w.Options[name] = value
	}
}

// WriteParquet writes a file a partition into a folder. Readers see none of
// them, or all. A folder that has something in it is an error (ErrExists)
// without Overwrite or Append.
func (df *DataFrame) WriteParquet(ctx context.Context, dir string, options ...WriteOption) error {
	return df.Write(ctx, string(plan.Parquet), dir, options...)
}

// WriteCSV is WriteParquet for CSV.
func (df *DataFrame) WriteCSV(ctx context.Context, dir string, options ...WriteOption) error {
	return df.Write(ctx, string(plan.CSV), dir, options...)
}

// WriteJSON is WriteParquet for JSON, an object a line.
func (df *DataFrame) WriteJSON(ctx context.Context, dir string, options ...WriteOption) error {
	return df.Write(ctx, string(plan.JSON), dir, options...)
}

// WriteArrow is WriteParquet for Arrow IPC files.
func (df *DataFrame) WriteArrow(ctx context.Context, dir string, options ...WriteOption) error {
	return df.Write(ctx, string(plan.Arrow), dir, options...)
}

// Write writes files of a format: parquet, csv, json or arrow.
func (df *DataFrame) Write(ctx context.Context, format, dir string, options ...WriteOption) error {
	abs, err := absolute(dir)
	if err != nil {
		return err
	}
	w := &plan.Write{Path: strings.TrimSuffix(abs, "/"), Format: plan.Format(format), Mode: plan.WriteError}
	for _, o := range options {
		o(w)
	}
	job, err := df.submit(ctx, plan.Sink{Write: w})
	if err != nil {
		return err
	}
	_, err = job.Wait(ctx)
	return err
}

// Submit starts a job that collects the rows, without waiting for it.
func (df *DataFrame) Submit(ctx context.Context) (*Job, error) {
	return df.submit(ctx, plan.Sink{Collect: &plan.CollectOp{}})
}

// Collect runs the DataFrame and opens its rows, in order of partition.
func (df *DataFrame) Collect(ctx context.Context) (*Rows, error) {
	job, err := df.Submit(ctx)
	if err != nil {
		return nil, err
	}
	return job.Rows(ctx)
}

// Take is the first n rows.
func (df *DataFrame) Take(ctx context.Context, n int64) (*Rows, error) {
	job, err := df.submit(ctx, plan.Sink{Take: &plan.LimitOp{N: n}})
	if err != nil {
		return nil, err
	}
	return job.Rows(ctx)
}

// Count is the number of rows.
func (df *DataFrame) Count(ctx context.Context) (int64, error) {
	job, err := df.submit(ctx, plan.Sink{Count: &plan.CollectOp{}})
	if err != nil {
		return 0, err
	}
	rows, err := job.Rows(ctx)
	if err != nil {
		return 0, err
	}
	for rec, err := range rows.All() {
		if err != nil {
			return 0, err
		}
		if c, ok := rec.Column(0).(*array.Int64); ok && c.Len() == 1 {
			return c.Value(0), nil
		}
	}
	return 0, fmt.Errorf("pond: count: the job gave no number: %w", ErrInternal)
}

// Explain is the stages that collecting the DataFrame would run as.
func (df *DataFrame) Explain(ctx context.Context) (string, error) {
	p, err := df.plan(plan.Sink{Collect: &plan.CollectOp{}})
	if err != nil {
		return "", err
	}
	return df.s.Explain(ctx, p, false)
}

func (df *DataFrame) submit(ctx context.Context, sink plan.Sink) (*Job, error) {
	p, err := df.plan(sink)
	if err != nil {
		return nil, err
	}
	return df.s.Submit(ctx, p)
}

// plan lists the DataFrame and all that it is made from, each once.
func (df *DataFrame) plan(sink plan.Sink) (*plan.Plan, error) {
	p := &plan.Plan{}
	ids := map[*DataFrame]plan.NodeID{}
	var add func(d *DataFrame) (plan.NodeID, error)
	add = func(d *DataFrame) (plan.NodeID, error) {
		if id, ok := ids[d]; ok {
			return id, nil
		}
		if d.err != nil {
			return "", d.err
		}
		n := d.node
		for _, in := range d.inputs {
			id, err := add(in)
			if err != nil {
				return "", err
			}
			n.Inputs = append(n.Inputs, id)
		}
		n.ID = plan.NodeID(fmt.Sprintf("s%d", len(p.Nodes)))
		ids[d] = n.ID
		p.Nodes = append(p.Nodes, n)
		return n.ID, nil
	}
	id, err := add(df)
	if err != nil {
		return nil, err
	}
	sink.Input = id
	p.Sink = sink
	return p, nil
}
