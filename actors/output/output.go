// Package output writes rows as people and programs want them: as a table, CSV,
// JSON, JSON lines, an Arrow stream or Parquet. It streams: what it keeps does
// not grow with the rows, and it never changes or releases a batch of the
// caller's. It refuses no DuckDB type.
//
// Read text.go for how each type looks as text, parquet.go for the types that
// Parquet lacks.
package output

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
)

// Format is how rows are written.
type Format string

// The formats.
const (
	Table   Format = "table"
	CSV     Format = "csv"
	JSON    Format = "json"  // one array of objects
	JSONL   Format = "jsonl" // an object a line
	Arrow   Format = "arrow" // an IPC stream
	Parquet Format = "parquet"
)

// Formats lists all of them, the default first.
var Formats = []string{string(Table), string(CSV), string(JSON), string(JSONL), string(Arrow), string(Parquet)}

// Parse is the format of that name.
func Parse(name string) (Format, error) {
	for _, f := range Formats {
		if f == name {
			return Format(f), nil
		}
	}
	return "", fmt.Errorf("unknown format %q: use %s or %s", name, strings.Join(Formats[:len(Formats)-1], ", "), Formats[len(Formats)-1])
}

var byExtension = map[string]Format{
	".csv": CSV, ".json": JSON, ".jsonl": JSONL, ".ndjson": JSONL, ".arrow": Arrow, ".arrows": Arrow, ".ipc": Arrow, ".parquet": Parquet, ".txt": Table,
}

// OfFile returns the format that a file's name implies, if any.
func OfFile(path string) (Format, bool) {
	f, ok := byExtension[strings.ToLower(filepath.Ext(path))]
	return f, ok
}

// Binary reports whether f is not for a terminal.
func (f Format) Binary() bool { return f == Arrow || f == Parquet }

// Options are how a Writer writes. Only tables and CSV heed them.
type Options struct {
	Null    string // CSV: how NULL looks
	MaxRows int    // tables: rows shown; 0: all
	Total   int64  // tables: rows that there are, when fewer than those are written; 0: not known
	Width   int    // tables: columns of the terminal; 0: any
	Plain   bool   // tables: no frame and no types
	// Expanded tables have a line a value.
	Expanded bool
}

// ErrFull is Write's answer when further rows would not be shown.
var ErrFull = errors.New("enough rows")

// Writer takes batches of one schema. Close ends the output; it does not close the
// underlying writer.
type Writer interface {
	Write(rec arrow.RecordBatch) error
	Close() error
}

// New returns a writer of rows of schema to w.
func New(w io.Writer, f Format, schema *arrow.Schema, o Options) (Writer, error) {
	switch f {
	case Table:
		if o.Expanded {
			return newExpanded(w, schema, o), nil
		}
		return newTable(w, schema, o), nil
	case CSV:
		return newCSV(w, schema, o)
	case JSON, JSONL:
		return newJSON(w, schema, f == JSON), nil
	case Arrow:
		return ipc.NewWriter(w, ipc.WithSchema(schema)), nil
	case Parquet:
		return newParquet(w, schema)
	}
	_, err := Parse(string(f))
	return nil, err
}
