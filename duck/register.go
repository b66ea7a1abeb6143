//go:build duckdb_arrow

package duck

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/pondmesh/pond/duck/lexer"
	"github.com/pondmesh/pond/duck/vec"
)

// Stream yields batches of one schema.
type Stream interface {
	// Next is the next batch, which the caller releases, or io.EOF.
	Next() (arrow.RecordBatch, error)
	Close() error
}

// Opener opens a stream from its beginning. Its batches have the given columns of
// the registered schema only, in that order; there may be none, just rows. It is
// called once or more a query, from DuckDB's threads; ctx ends with the query, and
// Next must then return.
type Opener func(ctx context.Context, columns []int) (Stream, error)

// Whole is the Opener of a stream that reads all columns whatever is asked of it.
func Whole(open func(ctx context.Context) (Stream, error)) Opener {
	return func(ctx context.Context, columns []int) (Stream, error) {
		s, err := open(ctx)
		if err != nil {
			return nil, err
		}
		return &picked{Stream: s, columns: columns}, nil
	}
}

// picked is a stream of some of a stream's columns.
type picked struct {
	Stream
	columns []int
	all     *arrow.Schema // of the last batch,
	schema  *arrow.Schema // and the columns of it
}

func (p *picked) Next() (arrow.RecordBatch, error) {
	batch, err := p.Stream.Next()
	if err != nil {
		return nil, err
	}
	defer batch.Release()
	if p.all != batch.Schema() {
		if n := batch.Schema().NumFields(); len(p.columns) > 0 && p.columns[len(p.columns)-1] >= n {
			return nil, fmt.Errorf("duck: a stream's batch has %d columns: %w", n, ErrQuery)
		}
		p.all, p.schema = batch.Schema(), pick(batch.Schema(), p.columns)
	}
	columns := make([]arrow.Array, len(p.columns))
	for i, c := range p.columns {
		columns[i] = batch.Column(c)
	}
	return array.NewRecordBatch(p.schema, columns, batch.NumRows()), nil
}

// pick is the schema of some columns.
func pick(schema *arrow.Schema, columns []int) *arrow.Schema {
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		fields[i] = schema.Field(c)
	}
	return arrow.NewSchema(fields, nil)
}

// UnknownRows is a number of rows that nobody knows.
const UnknownRows = -1

// source is what a registered view reads.
type source struct {
	schema  *arrow.Schema
	intake  *intake
	streams []Opener
	rows    int64 // or UnknownRows
}

// Register makes view the UNION ALL of streams, which all have schema and together
// have so many rows. It can be scanned any number of times; each scan opens each
// stream anew and closes it by the end of the query. Several threads of DuckDB read
// a stream each; one thread reads them in their order. No streams make an empty
// view. A scan that reads to the end and finds another number of rows fails with
// ErrShort. Fields whose metadata carries vec.TypeKey have that DuckDB type; those
// without a name are called c0, c1, … by their place, and DuckDB tells equal names
// apart by _1, _2. An error of an Opener or a Stream is returned, as it is, by the
// query that reads the view.
func (e *Engine) Register(ctx context.Context, view string, schema *arrow.Schema, streams []Opener, rows int64) error {
	if schema.NumFields() == 0 {
		return fmt.Errorf("duck: register %s: no columns", view)
	}
	o, err := e.begin(ctx, "register "+view)
	if err != nil {
		return err
	}
	return o.end(o.register(view, schema, streams, rows))
}

func (o *op) register(view string, schema *arrow.Schema, streams []Opener, rows int64) error {
	e := o.engine
	in, err := e.newIntake(schema)
	if err != nil {
		return err
	}
	e.sources = append(e.sources, &source{schema: schema, intake: in, streams: streams, rows: rows})
	list, err := in.list(schema)
	if err == nil {
		err = o.define("VIEW", view, fmt.Sprintf("SELECT %s FROM %s(%d)", list, scanName, len(e.sources)-1))
	}
	if err != nil {
		e.freeSources(len(e.sources) - 1)
	}
	return err
}

// list selects the columns of the scan under their names, cast to the DuckDB types
// that schema asks for.
func (in *intake) list(schema *arrow.Schema) (string, error) {
	list := make([]string, schema.NumFields())
	for i, f := range schema.Fields() {
		value := "c" + strconv.Itoa(i)
		if want, ok := f.Metadata.GetValue(vec.TypeKey); ok {
			t, err := describe(in.types[i])
			if err != nil {
				return "", err
			}
			if t.SQL != want {
				value = "CAST(" + value + " AS " + want + ")"
			}
		}
		name := f.Name
		if name == "" { // SQL has no such name
			name = "c" + strconv.Itoa(i)
		}
		list[i] = value + " AS " + lexer.QuoteName(name)
	}
	return strings.Join(list, ", "), nil
}

// columnNames is c0,c1,… for n columns.
func columnNames(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = "c" + strconv.Itoa(i)
	}
	return strings.Join(names, ",")
}

// freeSources forgets the sources from the first-th on, which no view refers to.
func (e *Engine) freeSources(first int) {
	for _, s := range e.sources[first:] {
		s.intake.free()
	}
	clear(e.sources[first:])
	e.sources = e.sources[:first]
}

// sameTypes refuses a batch whose types differ: its memory would be misread.
func sameTypes(got, want *arrow.Schema) error {
	same := got.NumFields() == want.NumFields()
	for i := 0; same && i < want.NumFields(); i++ {
		same = arrow.TypeEqual(got.Field(i).Type, want.Field(i).Type)
	}
	if !same {
		return fmt.Errorf("duck: a stream's batch has schema %v, registered is %v", got, want)
	}
	return nil
}
