package pond

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// Job is a submitted plan. It goes on whatever becomes of this value.
type Job struct {
	s      *Session
	id     plan.JobID
	writes bool
}

// ID is the job's id, by which any node finds it.
func (j *Job) ID() string { return string(j.id) }

// Status is where the job stands.
func (j *Job) Status(ctx context.Context) (*api.JobStatus, error) { return j.s.api.Job(ctx, j.id) }

// Cancel ends the job, unless it has ended.
func (j *Job) Cancel(ctx context.Context) error {
	_, err := j.s.api.Cancel(ctx, j.id)
	return err
}

// Bounds of watching a job while its coordinator cannot be reached.
const (
	watchTriesMax = 20
	watchPause    = 500 * time.Millisecond
)

// Watch yields the job's status whenever it changes, the last time when it has
// ended. A connection that breaks is made anew.
func (j *Job) Watch(ctx context.Context) iter.Seq2[*api.JobStatus, error] {
	return func(yield func(*api.JobStatus, error) bool) {
		for tries := 0; ; tries++ {
			var err error
			for s, e := range j.s.api.Watch(ctx, j.id) {
				if err = e; err != nil {
					break
				}
				tries = 0
				if !yield(s, nil) || s.State.Ended() {
					return
				}
			}
			if ctx.Err() != nil {
				yield(nil, context.Cause(ctx))
				return
			}
			if !errors.Is(err, ErrUnavailable) || tries == watchTriesMax {
				yield(nil, err)
				return
			}
			select {
			case <-time.After(watchPause):
			case <-ctx.Done():
			}
		}
	}
}

// Wait waits for the job's end. A job that failed or was cancelled is an error.
func (j *Job) Wait(ctx context.Context) (*api.JobStatus, error) {
	for s, err := range j.Watch(ctx) {
		if err != nil {
			return nil, err
		}
		if s.State.Ended() {
			if s.Error != nil {
				return s, s.Error.Err()
			}
			return s, nil
		}
	}
	return nil, &Error{Kind: plan.KindUnavailable, Op: "wait", Subject: string(j.id), Text: "the job's end was not seen"}
}

// Rows is a finished job's result, to be read any number of times, or what a
// statement says that needs no job.
type Rows struct {
	// Schema is the columns, as Arrow has them. The name that DuckDB has for a
	// column's type is its metadata's "duckdb:type". HUGEINT comes as DECIMAL(38,0).
	Schema *arrow.Schema
	// Status is the job at its end: what each stage did; nil without a job.
	Status *api.JobStatus
	// Text is the stages of an EXPLAIN, for people to read instead of the rows.
	Text string
	// Note is what a statement has done that does not ask for rows: COPY, CREATE
	// VIEW, SET.
	Note   string
	ctx    context.Context
	result *api.Result         // the rows on the nodes that hold them
	here   []arrow.RecordBatch // or in this process
}

// Rows waits for the job's end and opens its rows. The context governs the
// reading too.
func (j *Job) Rows(ctx context.Context) (*Rows, error) {
	st, err := j.Wait(ctx)
	if err != nil {
		return nil, err
	}
	return j.open(ctx, st)
}

// open finds the rows of a job that has succeeded.
func (j *Job) open(ctx context.Context, st *api.JobStatus) (*Rows, error) {
	info := st.Result
	if info == nil { // a node of another version has recorded the end
		return nil, &Error{Kind: plan.KindUnavailable, Op: "read the result", Subject: j.ID(), Text: "where its rows are was not recorded",
			Hint: "submit the job again: what is still held is reused"}
	}
	result, err := j.s.reader.Open(ctx, info)
	if err != nil {
		return nil, err
	}
	return &Rows{Schema: result.Schema, Status: st, ctx: ctx, result: result}, nil
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
func (r *Rows) All() iter.Seq2[arrow.RecordBatch, error] {
	if r.Schema != nil && r.result != nil {
		return r.result.All(r.ctx)
	}
	return func(yield func(arrow.RecordBatch, error) bool) {
		for _, b := range r.here {
			if !yield(b, nil) {
				return
			}
		}
	}
}
