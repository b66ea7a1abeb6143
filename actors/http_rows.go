package actors

import (
	"context"
	"iter"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/jobs"
	formats "github.com/pondmesh/pond/actors/output"
	"github.com/pondmesh/pond/actors/plan"
)

// rowTypes are the media types that rows are written in; one of none of them has
// JSON lines, which suit both people and programs.
var rowTypes = map[string]formats.Format{
	"application/vnd.apache.arrow.stream": formats.Arrow,
	"text/csv":                            formats.CSV,
	"application/x-ndjson":                formats.JSONL,
	"application/jsonl":                   formats.JSONL,
	"application/json":                    formats.JSON,
	"*/*":                                 formats.JSONL,
	"application/*":                       formats.JSONL,
	"text/*":                              formats.CSV,
}

// typeOf is the media type of a format.
var typeOf = map[formats.Format]string{
	formats.Arrow: "application/vnd.apache.arrow.stream", formats.CSV: "text/csv; charset=utf-8", formats.JSONL: "application/x-ndjson", formats.JSON: "application/json",
}

// getRows waits for a job's end and writes its rows.
func (s *server) getRows(w http.ResponseWriter, r *http.Request, id plan.JobID) (any, error) {
	format, err := rowFormat(r)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(r.Context())
	defer stop()
	st, err := s.awaitEnd(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := noRows(st); err != nil {
		return nil, err
	}
	result, err := api.NewResultReader(&s.n.api.At(s.n.APIAddr()).Client, s.n.blocks).Open(ctx, st.Result, nil)
	if err == nil {
		err = writeRows(w, format, result.Schema, result.All(ctx))
	}
	return nil, lostRows(id, err)
}

// lostRows says what to do about rows that nobody holds any more.
func lostRows(id plan.JobID, err error) error {
	if plan.KindOf(err) != plan.KindFetch {
		return err
	}
	return &plan.Error{Kind: plan.KindUnavailable, Op: "rows", Subject: string(id), Text: err.Error(), Hint: "pondnode job result makes them anew; or submit the job again"}
}

// awaitEnd is a job's status once it has ended.
func (s *server) awaitEnd(ctx context.Context, id plan.JobID) (*api.JobStatus, error) {
	for {
		st, changed := s.n.jobs.Watch(id)
		if st == nil {
			return nil, jobs.Moved(id)
		}
		if st.State.Ended() {
			return st, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-s.n.stopped:
			return nil, &plan.Error{Kind: plan.KindUnavailable, Op: "rows", Subject: string(id), Text: "the node is stopping", Hint: "ask another node"}
		}
	}
}

// noRows is why an ended job has none.
func noRows(st *api.JobStatus) error {
	switch {
	case st.Error != nil:
		return st.Error.Err()
	case st.State != api.Succeeded:
		return &plan.Error{Kind: plan.KindCancelled, Op: "rows", Subject: string(st.ID), Text: "the job was cancelled"}
	case st.Output != "":
		return &plan.Error{Kind: plan.KindUser, Op: "rows", Subject: string(st.ID), Text: "the job wrote files, and has no rows to be read", Hint: "read them: " + st.Output}
	case st.Result == nil || len(st.Result.Parts) == 0:
		return &plan.Error{Kind: plan.KindUnavailable, Op: "rows", Subject: string(st.ID), Text: "where its rows are was not recorded", Hint: "submit the job again: what is still held is reused"}
	}
	return nil
}

// rowFormat is the format that a request asks for: by ?format=, else by the most
// preferred type of its Accept header.
func rowFormat(r *http.Request) (formats.Format, error) {
	const hint = "use ?format=arrow, csv, json or jsonl"
	if name := r.URL.Query().Get("format"); name != "" {
		f, err := formats.Parse(name)
		if err != nil || typeOf[f] == "" {
			return "", &plan.Error{Kind: plan.KindUser, Op: "rows", Subject: name, Text: "rows are not sent in this format", Hint: hint}
		}
		return f, nil
	}
	accept := strings.Join(r.Header.Values("Accept"), ",")
	if accept == "" {
		return formats.JSONL, nil
	}
	best, most := formats.Format(""), 0.0
	for _, item := range strings.Split(accept, ",") {
		t, params, err := mime.ParseMediaType(item)
		q, qerr := strconv.ParseFloat(params["q"], 64)
		if params["q"] == "" || qerr != nil {
			q = 1
		}
		if f := rowTypes[t]; err == nil && f != "" && q > most {
			best, most = f, q
		}
	}
	if best == "" {
		return "", &plan.Error{Kind: plan.KindUser, Op: "rows", Subject: "Accept: " + accept, Text: "rows are sent in none of these types", Hint: hint}
	}
	return best, nil
}

// writeRows sends rows. What goes wrong before the first of them is an answer of
// its own; afterwards the connection is broken, so that nobody takes a part for
// the whole.
func writeRows(w http.ResponseWriter, f formats.Format, schema *arrow.Schema, rows iter.Seq2[arrow.RecordBatch, error]) (err error) {
	next, stop := iter.Pull2(rows)
	defer stop()
	rec, err, more := next()
	if more && err != nil {
		return err
	}
	w.Header().Set("Content-Type", typeOf[f])
	out, err := formats.New(w, f, schema, formats.Options{})
	for ; err == nil && more; rec, err, more = next() {
		if err = out.Write(rec); err != nil {
			break
		}
	}
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		panic(http.ErrAbortHandler) // net/http's way to cut the response: the status is sent already
	}
	return nil
}
