// Package rows sends a job's rows over HTTP: in the format that a request asks for, and
// so that nobody takes a part of them for the whole.
//
// It refuses to know where the rows come from; how each format looks is package output's.
package rows

import (
	"iter"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond/actors/output"
	"github.com/pondmesh/pond/actors/plan"
)

// rowTypes are the media types that rows are written in; one of none of them has
// JSON lines, which suit both people and programs.
var rowTypes = map[string]output.Format{
	"application/vnd.apache.arrow.stream": output.Arrow,
	"text/csv":                            output.CSV,
	"application/x-ndjson":                output.JSONL,
	"application/jsonl":                   output.JSONL,
	"application/json":                    output.JSON,
	"*/*":                                 output.JSONL,
	"application/*":                       output.JSONL,
	"text/*":                              output.CSV,
}

// typeOf is the media type of a format.
var typeOf = map[output.Format]string{
	output.Arrow: "application/vnd.apache.arrow.stream", output.CSV: "text/csv; charset=utf-8", output.JSONL: "application/x-ndjson", output.JSON: "application/json",
}

// Format is the format that a request asks for: by ?format=, else by the most
// preferred type of its Accept header.
func Format(r *http.Request) (output.Format, error) {
	const hint = "use ?format=arrow, csv, json or jsonl"
	if name := r.URL.Query().Get("format"); name != "" {
		f, err := output.Parse(name)
		if err != nil || typeOf[f] == "" {
			return "", &plan.Error{Kind: plan.KindUser, Op: "rows", Subject: name, Text: "rows are not sent in this format", Hint: hint}
		}
		return f, nil
	}
	accept := strings.Join(r.Header.Values("Accept"), ",")
	if accept == "" {
		return output.JSONL, nil
	}
	best, most := output.Format(""), 0.0
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

// Write sends rows. What goes wrong before the first of them is an answer of
// its own; afterwards the connection is broken, so that nobody takes a part for
// the whole.
func Write(w http.ResponseWriter, f output.Format, schema *arrow.Schema, rows iter.Seq2[arrow.RecordBatch, error]) (err error) {
	next, stop := iter.Pull2(rows)
	defer stop()
	rec, err, more := next()
	if more && err != nil {
		return err
	}
	w.Header().Set("Content-Type", typeOf[f])
	out, err := output.New(w, f, schema, output.Options{})
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
