package pond

import (
	"context"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// Rows is the result of a job or of a statement, to be read any number of times.
type Rows struct {
	// Schema is the columns, as Arrow has them; nil when there are none, as after
	// SET. The name that DuckDB has for a column's type is its metadata's
	// "duckdb:type". HUGEINT comes as DECIMAL(38,0).
	Schema *arrow.Schema
	// Status is the job at its end: what each stage did, where files are; nil
	// without a job.
	Status *Status
	ctx    context.Context
	result *api.Result         // the rows on the nodes that hold them
	here   []arrow.RecordBatch // or in this process
}

// open finds the rows of a job that has succeeded.
func (j *Job) open(ctx context.Context, st *api.JobStatus) (*Rows, error) {
	if st.Hidden {
		return nil, failure(plan.KindDenied, "read the result", j.ID(), "ask its owner, or a user with the role admin", "the job is another user's")
	}
	if st.Result == nil { // a node of another version has recorded the end
		return nil, failure(plan.KindUnavailable, "read the result", j.ID(), "submit the job again: what is still held is reused", "where its rows are was not recorded")
	}
	result, err := j.s.reader.Open(ctx, st.Result, j.remake)
	if err != nil {
		return nil, public(err)
	}
	return &Rows{Schema: result.Schema, Status: statusOf(st), ctx: ctx, result: result}, nil
}

// Len is the number of rows.
func (r *Rows) Len() int64 {
	n := int64(0)
	for _, b := range r.here {
		n += b.NumRows()
	}
	if r.result != nil {
		n += r.result.Len()
	}
	return n
}

// All yields the rows, batch by batch, in order of partition, straight from the
// nodes that hold them. A batch is valid until the next one is asked for; who
// keeps it longer calls Retain, and then Release. After an error nothing more
// comes.
//
// Rows that a node has lost, that have rotted on its disk or have died with it are
// made anew by running the job once more (see [OnWarning]), and the reading goes on
// behind those that were yielded. ErrLost: the job gives other rows when it runs once
// more (random(), say), or more than 16 million rows of the part had been yielded.
func (r *Rows) All() iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for _, b := range r.here {
			if !yield(b, nil) {
				return
			}
		}
		if r.result == nil || r.Schema == nil {
			return
		}
		for rec, err := range r.result.All(r.ctx) {
			if !yield(rec, public(err)) {
				return
			}
		}
	}
}

// Types of columns that are made here.
var (
	textType  = arrow.BinaryTypes.String
	textsType = arrow.ListOf(arrow.BinaryTypes.String)
	int64Type = arrow.PrimitiveTypes.Int64
	boolType  = arrow.FixedWidthTypes.Boolean
)

func column(name string, t arrow.DataType) arrow.Field {
	return arrow.Field{Name: name, Type: t, Nullable: true}
}

// localTable collects rows that are made here. Their memory is Go's: nobody needs
// to release it.
type localTable struct {
	b *array.RecordBuilder
}

func tableOf(columns ...arrow.Field) *localTable {
	return &localTable{array.NewRecordBuilder(memory.NewGoAllocator(), arrow.NewSchema(columns, nil))}
}

// add appends a row; nil is NULL. Values are of their columns' types.
func (t *localTable) add(values ...any) {
	for i, v := range values {
		switch b := t.b.Field(i).(type) {
		case *array.StringBuilder:
			if s, ok := v.(string); ok {
				b.Append(s)
				continue
			}
		case *array.Int64Builder:
			switch n := v.(type) {
			case int:
				b.Append(int64(n))
				continue
			case int64:
				b.Append(n)
				continue
			}
		case *array.BooleanBuilder:
			if x, ok := v.(bool); ok {
				b.Append(x)
				continue
			}
		case *array.ListBuilder:
			if list, ok := v.([]string); ok {
				b.Append(true)
				for _, s := range list {
					b.ValueBuilder().(*array.StringBuilder).Append(s)
				}
				continue
			}
		}
		t.b.Field(i).AppendNull()
	}
}

// rows ends the table.
func (t *localTable) rows() *Rows {
	rec := t.b.NewRecordBatch()
	return &Rows{Schema: rec.Schema(), here: []arrow.RecordBatch{rec}}
}
