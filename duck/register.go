//go:build duckdb_arrow

package duck

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/cgo"
	"strconv"
	"strings"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/cdata"
	"github.com/duckdb/duckdb-go/v2/arrowmapping"
	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/pondmesh/pond/duck/lexer"
	"github.com/pondmesh/pond/duck/vec"
)

// Stream yields batches of one schema.
type Stream interface {
	// Next is the next batch, which the caller releases, or io.EOF.
	Next() (arrow.RecordBatch, error)
	Close() error
}

// Opener opens a stream from its beginning. It is called once a scan, so once
// or more a query, from DuckDB's threads; ctx ends with the query, and Next
// must then return.
type Opener func(ctx context.Context) (Stream, error)

// source is a registered stream; scan is one reading of it.
type source struct {
	engine *Engine
	name   string // of DuckDB's view of it
	list   string // its columns, as SQL selects them from the fence
	schema *arrow.Schema
	unions bool
	open   Opener               // nil: its user is gone
	format *C.pond_arrow_schema // asRows(schema)
	stream *C.pond_arrow_stream // what DuckDB copies for each scan
	handle cgo.Handle
}

type scan struct {
	source *source
	op     *op
	stream Stream // nil: Opener failed
	handle cgo.Handle
	ended  bool
	rest   arrow.RecordBatch // of a schema with unions: a batch that is given in pieces,
	at     int               // and its next row
}

// Register makes view the UNION ALL of streams, which all have schema. It can
// be scanned any number of times; each scan opens each stream anew and closes
// it by the end of the query. No streams make an empty view. Fields whose
// metadata carries vec.TypeKey have that DuckDB type; those without a name are
// called c0, c1, … by their place, and DuckDB tells equal names apart by _1, _2.
// An error of an Opener or
// a Stream is returned, as it is, by the query that reads the view.
func (e *Engine) Register(ctx context.Context, view string, schema *arrow.Schema, streams []Opener) error {
	return e.RegisterRows(ctx, view, schema, streams, 0)
}

// RegisterRows is Register of about that many rows, by which DuckDB chooses the
// side of a join that it holds in memory.
func (e *Engine) RegisterRows(ctx context.Context, view string, schema *arrow.Schema, streams []Opener, rows int64) error {
	if schema.NumFields() == 0 {
		return fmt.Errorf("duck: register %s: no columns", view)
	}
	if len(streams) == 0 {
		streams = []Opener{func(context.Context) (Stream, error) { return nothing{}, nil }}
	}
	o, err := e.begin(ctx, "register "+view)
	if err != nil {
		return err
	}
	return o.end(o.register(view, schema, streams, rows))
}

func (o *op) register(view string, schema *arrow.Schema, streams []Opener, rows int64) error {
	selects := make([]string, len(streams))
	for i, open := range streams {
		s, err := o.addStream(schema, open)
		if err != nil {
			return err
		}
		selects[i] = "SELECT " + s.list + " FROM " + fence(s.name)
	}
	if rows > 0 {
		nulls := strings.Repeat(", NULL", schema.NumFields())[len(", "):]
		selects = append(selects, fmt.Sprintf("SELECT %s FROM %s(%d)", nulls, rowsName, rows))
	}
	return o.define("VIEW", view, strings.Join(selects, " UNION ALL "))
}

// addStream makes open the engine's next stream. What an earlier user left in its
// place is taken over when it has that schema: telling DuckDB of a stream takes
// it as long as a small query.
func (o *op) addStream(schema *arrow.Schema, open Opener) (*source, error) {
	e := o.engine
	at := e.streams
	if at < len(e.sources) {
		if s := e.sources[at]; s.schema.Equal(schema) {
			s.schema, s.open = schema, open
			e.streams++
			return s, nil
		}
		if err := e.dropStreams(at); err != nil {
			return nil, err
		}
	}
	s := e.newSource(schema, open)
	if err := o.tell(s); err != nil {
		return nil, errors.Join(err, e.dropStreams(at))
	}
	e.streams++
	return s, nil
}

// tell makes a new stream known to DuckDB.
func (o *op) tell(s *source) (err error) {
	e := o.engine
	if arrowmapping.ArrowScan(e.conn, s.name, arrowmapping.ArrowStream{Ptr: unsafe.Pointer(s.stream)}) == mapping.StateError {
		return errors.New("DuckDB cannot read this schema: " + s.schema.String())
	}
	if e.streams > 0 && e.sources[e.streams-1].schema == s.schema {
		s.list = e.sources[e.streams-1].list
		return nil
	}
	imported, err := schemaOf(e.conn, "SELECT "+rowNames("r", s.schema.NumFields())+" FROM "+s.name)
	if err == nil {
		s.list = castList(s.schema, imported)
	}
	return err
}

// asRows is the schema that DuckDB sees: one struct r of all columns, c0, c1, …
// The optimizer believes that DuckDB's Arrow scan can leave columns out, but
// scans registered through the C interface get whatever the stream yields:
// other columns, taken for those. One column cannot be confused.
func asRows(schema *arrow.Schema) *arrow.Schema {
	fields := make([]arrow.Field, schema.NumFields())
	for i, f := range schema.Fields() {
		f.Name = "c" + strconv.Itoa(i)
		fields[i] = f
	}
	return arrow.NewSchema([]arrow.Field{{Name: "r", Type: arrow.StructOf(fields...)}}, nil)
}

// fence is the rows r of a stream within a struct x beside a volatile 0. The
// optimizer also believes that the scan applies filters; it moves none through
// a volatile value. It costs no copy.
func fence(stream string) string {
	return "(SELECT struct_pack(r := r, fence := " + fenceName + "()) AS x FROM " + stream + ")"
}

// castList selects the imported columns under their names, cast to the DuckDB
// types that schema asks for.
func castList(schema *arrow.Schema, imported *vec.Schema) string {
	list := make([]string, schema.NumFields())
	for i, f := range schema.Fields() {
		value := "x.r.c" + strconv.Itoa(i)
		if want, ok := f.Metadata.GetValue(vec.TypeKey); ok && want != imported.Fields[i].Type.SQL {
			value = "CAST(" + value + " AS " + want + ")"
		}
		name := f.Name
		if name == "" { // SQL has no such name
			name = "c" + strconv.Itoa(i)
		}
		list[i] = value + " AS " + lexer.QuoteName(name)
	}
	return strings.Join(list, ", ")
}

// rowNames is row.c0,row.c1,… for n columns.
func rowNames(row string, n int) string {
	return row + "." + strings.ReplaceAll(columnNames(n), ",", ","+row+".")
}

// columnNames is c0,c1,… for n columns.
func columnNames(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = "c" + strconv.Itoa(i)
	}
	return strings.Join(names, ",")
}

// newSource makes a stream that DuckDB can scan; dropStreams and freeStreams free it.
func (e *Engine) newSource(schema *arrow.Schema, open Opener) *source {
	rows := asRows(schema)
	s := &source{engine: e, name: "pond_stream_" + strconv.Itoa(len(e.sources)), schema: schema, unions: hasUnion(rows.Field(0).Type), open: open}
	s.handle = cgo.NewHandle(s)
	s.format = (*C.pond_arrow_schema)(C.calloc(1, C.sizeof_pond_arrow_schema))
	cdata.ExportArrowSchema(rows, (*cdata.CArrowSchema)(unsafe.Pointer(s.format)))
	s.stream = (*C.pond_arrow_stream)(C.calloc(1, C.sizeof_pond_arrow_stream))
	C.pond_init_stream(s.stream, C.uintptr_t(s.handle))
	e.sources = append(e.sources, s)
	return s
}

// dropStreams has DuckDB forget the streams from the first-th on, and frees them.
func (e *Engine) dropStreams(first int) error {
	for i := first; i < len(e.sources); i++ {
		if _, err := run(e.conn, "DROP VIEW IF EXISTS main."+e.sources[i].name); err != nil {
			return err
		}
	}
	e.freeStreams(first)
	return nil
}

// freeStreams frees the streams from the first-th on, which no view refers to.
func (e *Engine) freeStreams(first int) {
	for _, s := range e.sources[first:] {
		cdata.ReleaseCArrowSchema((*cdata.CArrowSchema)(unsafe.Pointer(s.format)))
		C.free(unsafe.Pointer(s.format))
		C.free(unsafe.Pointer(s.stream))
		s.handle.Delete()
	}
	clear(e.sources[first:])
	e.sources = e.sources[:first]
}

// leaveStreams takes the streams from their user: queries that still read them
// fail. Some stay for the next user.
func (e *Engine) leaveStreams() error {
	e.streams = 0
	for _, s := range e.sources {
		s.open = nil
	}
	return e.dropStreams(min(streamsKept, len(e.sources)))
}

// streamsKept is how many streams wait for the next user to have such ones.
const streamsKept = 32

// pondSchema hands DuckDB the schema of a stream or a scan. It is shared:
// DuckDB must not, and does not, release it.
//
//export pondSchema
func pondSchema(self *C.pond_arrow_stream, out *C.pond_arrow_schema) C.int {
	switch v := cgo.Handle(self.private_data).Value().(type) {
	case *source:
		*out = *v.format
	case *scan:
		*out = *v.source.format
	}
	out.release = nil
	return 0
}

// pondNext hands DuckDB the next batch of a scan; one without a release is the
// end. DuckDB calls it from any thread, but once at a time for a scan.
//
//export pondNext
func pondNext(self *C.pond_arrow_stream, out *C.pond_arrow_array) C.int {
	*out = C.pond_arrow_array{}
	var sc *scan
	switch v := cgo.Handle(self.private_data).Value().(type) {
	case *source:
		o := v.engine.current.Load()
		if o == nil || self == v.stream {
			return 1 // not a scan of a query
		}
		sc = o.newScan(v)
		self.private_data = C.uintptr_t(sc.handle)
	case *scan:
		sc = v
	}
	if err := safely(func() error { return sc.next(out) }); err != nil {
		sc.op.fail(err)
		return 1
	}
	return 0
}

// newScan starts a reading of s that ends with the query.
func (o *op) newScan(s *source) *scan {
	sc := &scan{source: s, op: o}
	sc.handle = cgo.NewHandle(sc)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.scans = append(o.scans, sc)
	return sc
}

// next fills out with the next batch, and leaves it as it is at the end.
func (s *scan) next(out *C.pond_arrow_array) error {
	for s.rest == nil {
		batch, err := s.read()
		if batch == nil || err != nil {
			return err
		}
		if !s.source.unions && !slicedStructs(batch) {
			exportBatch(batch, out)
			batch.Release()
			return nil
		}
		s.rest, s.at = batch, 0
		s.drop(0)
	}
	columns, n := rebased(s.rest, s.at)
	exportColumns(columns, int64(n), out)
	s.drop(n)
	return nil
}

// drop moves past n rows of the batch that is given in pieces.
func (s *scan) drop(n int) {
	s.at += n
	if s.at >= int(s.rest.NumRows()) {
		s.rest.Release()
		s.rest = nil
	}
}

// read is the stream's next batch, nil at its end.
func (s *scan) read() (arrow.RecordBatch, error) {
	if s.ended {
		return nil, nil
	}
	if s.stream == nil {
		if s.source.open == nil {
			return nil, fmt.Errorf("duck: stream %s is not registered: %w", s.source.name, ErrQuery)
		}
		stream, err := s.source.open(s.op.ctx)
		if err != nil {
			return nil, err
		}
		s.stream = stream
	}
	batch, err := s.stream.Next()
	if err == io.EOF {
		s.ended = true
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := sameTypes(batch.Schema(), s.source.schema); err != nil {
		batch.Release()
		return nil, err
	}
	return batch, nil
}

// sameTypes refuses a batch whose types differ: DuckDB would misread its memory.
func sameTypes(got, want *arrow.Schema) error {
	if got == want {
		return nil
	}
	same := got.NumFields() == want.NumFields()
	for i := 0; same && i < want.NumFields(); i++ {
		same = arrow.TypeEqual(got.Field(i).Type, want.Field(i).Type)
	}
	if !same {
		return fmt.Errorf("duck: a stream's batch has schema %v, registered is %v", got, want)
	}
	return nil
}

// closeScans closes the streams that the op's query opened.
func (o *op) closeScans() {
	for _, s := range o.scans {
		if s.rest != nil {
			s.rest.Release()
		}
		if s.stream != nil {
			if err := safely(s.stream.Close); err != nil {
				o.engine.config.Log.Warn("duck: closing a stream", "error", err)
			}
		}
		s.handle.Delete()
	}
	o.scans = nil
}

// nothing is the stream without batches.
type nothing struct{}

func (nothing) Next() (arrow.RecordBatch, error) { return nil, io.EOF }
func (nothing) Close() error                     { return nil }
