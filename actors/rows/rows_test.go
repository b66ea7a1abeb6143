package rows

import (
	"errors"
	"iter"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond/actors/output"
	"github.com/pondmesh/pond/actors/plan"
)

// TestFormat: ?format= decides, else the most preferred type that is known.
func TestFormat(t *testing.T) {
	for _, c := range []struct {
		query, accept string
		want          output.Format // "": refused
	}{
		{"", "", output.JSONL},
		{"", "*/*", output.JSONL},
		{"", "text/*", output.CSV},
		{"", "text/html, application/x-ndjson;q=0.5, text/csv;q=0.8", output.CSV},
		{"", "application/json, text/csv", output.JSON},
		{"", "text/csv;q=0, application/json;q=0.1", output.JSON},
		{"", "text/csv;q=much", output.CSV},
		{"", "image/png", ""},
		{"", "text/csv;q=0", ""},
		{"", ";", ""},
		{"?format=arrow", "text/csv", output.Arrow},
		{"?format=parquet", "", ""},
		{"?format=x", "", ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/rows"+c.query, nil)
		if c.accept != "" {
			r.Header.Set("Accept", c.accept)
		}
		got, err := Format(r)
		if got != c.want || (err != nil) != (c.want == "") || err != nil && !errors.Is(err, plan.ErrQuery) {
			t.Errorf("%q, %q: %q, %v", c.query, c.accept, got, err)
		}
	}
}

// sent is how rows that end with err are sent, where it cut the answer off, and its
// error.
func sent(err error, batches ...arrow.RecordBatch) (w *httptest.ResponseRecorder, cut any, answer error) {
	var rows iter.Seq2[arrow.RecordBatch, error] = func(yield func(arrow.RecordBatch, error) bool) {
		for _, b := range batches {
			if !yield(b, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
	w = httptest.NewRecorder()
	defer func() { cut = recover() }()
	answer = Write(w, output.CSV, arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int64}}, nil), rows)
	return w, nil, answer
}

// TestWrite: rows are sent whole; what goes wrong before the first is an answer of its
// own, and afterwards the connection is cut.
func TestWrite(t *testing.T) {
	b := array.NewInt64Builder(memory.DefaultAllocator)
	b.AppendValues([]int64{1, 2}, nil)
	batch := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int64}}, nil), []arrow.Array{b.NewArray()}, 2)
	w, cut, err := sent(nil, batch, batch)
	if err != nil || cut != nil || w.Body.String() != "a\n1\n2\n1\n2\n" || w.Header().Get("Content-Type") != "text/csv; charset=utf-8" {
		t.Errorf("%q, %v, %v", w.Body, err, cut)
	}
	if w, cut, err := sent(nil); err != nil || cut != nil || w.Body.String() != "a\n" {
		t.Errorf("no rows: %q, %v, %v", w.Body, err, cut)
	}
	lost := errors.New("lost")
	if w, cut, err := sent(lost); !errors.Is(err, lost) || cut != nil || w.Body.Len() != 0 {
		t.Errorf("lost before the first: %q, %v, %v", w.Body, err, cut)
	}
	if _, cut, _ := sent(lost, batch); cut != http.ErrAbortHandler {
		t.Errorf("lost after the first: %v", cut)
	}
}
