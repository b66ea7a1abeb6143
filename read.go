package pond

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs/object"
)

// ReadOption is an option of the Read methods.
type ReadOption struct{ set func(*plan.ReadOp) }

// Columns reads only these columns, in this order.
func Columns(names ...string) ReadOption {
	return ReadOption{func(r *plan.ReadOp) { r.Options.Columns = names }}
}

// Recursive reads folders with all folders in them.
func Recursive() ReadOption { return ReadOption{func(r *plan.ReadOp) { r.Recursive = true }} }

// UnionByName aligns files by column name; a column that a file lacks is NULL.
func UnionByName() ReadOption {
	return ReadOption{func(r *plan.ReadOp) { r.Options.UnionByName = true }}
}

// HivePartitioning takes columns from folders named key=value.
func HivePartitioning() ReadOption { return ReadOption{func(r *plan.ReadOp) { r.Options.Hive = true }} }

// Schema gives the columns of CSV and JSON files as name, DuckDB type, name,
// type …; without it DuckDB infers them.
func Schema(namesAndTypes ...string) ReadOption {
	return ReadOption{func(r *plan.ReadOp) { r.Options.Schema = columnList(namesAndTypes) }}
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
	return ReadOption{func(r *plan.ReadOp) {
		r.Options.CSV = maps.Clone(r.Options.CSV)
		if r.Options.CSV == nil {
			r.Options.CSV = map[string]string{}
		}
		r.Options.CSV[name] = value
	}}
}

// Paths reads these files, folders or globs too, each as it stands: commas in
// them are part of their names.
func Paths(paths ...string) ReadOption {
	return ReadOption{func(r *plan.ReadOp) { r.Paths = append(r.Paths, paths...) }}
}

func (s *Session) read(f plan.Format, path string, options []ReadOption) *DataFrame {
	op := &plan.ReadOp{Format: f}
	if _, err := os.Stat(path); err == nil {
		op.Paths = []string{path} // whatever commas it has
	} else if path != "" {
		op.Paths = strings.Split(path, ",")
	}
	for _, o := range options {
		o.set(op)
	}
	for i, p := range op.Paths {
		op.Paths[i] = strings.TrimSpace(p)
		if object.IsRemote(op.Paths[i]) {
			continue
		}
		abs, err := absolute(op.Paths[i])
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
// (see Paths). Globs have their meaning in SQL. Of a folder it reads the files
// in it, except those whose names begin with a dot or an underscore.
// The nodes read them: a path must mean the same on each. They also read s3://BUCKET/KEY,
// globs included, and http(s):// URLs, with the nodes' own credentials: of Parquet the
// footers and what a query reads of the rest.
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
	return mistake("rows", "", "", format, args...)
}
