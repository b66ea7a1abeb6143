package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/vec"
	"github.com/pondmesh/pond/duck/vec/vectest"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/shuffle"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// holder is a node that holds segments, and a reader of results.
type holder struct {
	t        *testing.T
	store    *journal.Memory
	segments *journal.Segments
	addr     string
	reader   *api.ResultReader
	asked    atomic.Int64 // for columns
}

func newHolder(t *testing.T) *holder {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	h := &holder{t: t, store: new(journal.Memory)}
	var err error
	if h.segments, err = journal.OpenSegments(h.store, 1<<30, quiet); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.segments.Close)
	mux := http.NewServeMux()
	mux.Handle("/v1/blocks", transfer.Handler(func(*http.Request) transfer.Source { return h.segments }, transfer.Limits{}, quiet))
	mux.HandleFunc("GET /v1/segments/{id}/schema", func(w http.ResponseWriter, r *http.Request) {
		h.asked.Add(1)
		id, err := shuffle.ParseSegmentID(r.PathValue("id"))
		if err == nil {
			err = h.segments.Check(r.Context(), id)
		}
		var b []byte
		if err == nil {
			b, err = h.segments.Schema(r.Context(), id)
		}
		if err != nil {
			w.WriteHeader(api.StatusOf(plan.KindOf(err)))
			_ = json.NewEncoder(w).Encode(api.FromError(err))
			return
		}
		_, _ = w.Write(b)
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	h.addr = strings.TrimPrefix(srv.URL, "http://")
	client, blocks := api.NewClient(h.addr, nil), transfer.NewClient(transfer.ClientConfig{})
	t.Cleanup(func() {
		client.Close()
		_ = blocks.Close()
	})
	h.reader = api.NewResultReader(client, blocks)
	return h
}

// part is a segment of rows.
func (h *holder) part(rows ...uint64) api.ResultPart {
	h.t.Helper()
	d, err := h.segments.Create()
	if err != nil {
		h.t.Fatal(err)
	}
	defer d.Abort()
	numbers := &vec.Schema{Fields: []vec.Field{{Name: "i", Type: &vec.Type{Kind: vec.Int64, SQL: "BIGINT"}}}}
	w, err := shuffle.NewWriter(d, shuffle.WriterConfig{Schema: numbers, Partitioner: shuffle.RoundRobin(1, 0)})
	if err != nil {
		h.t.Fatal(err)
	}
	values := make([][]any, len(rows))
	for i, v := range rows {
		values[i] = []any{v}
	}
	chunk, keep := vectest.Chunk(numbers, values)
	_ = keep
	if err := w.Append(chunk); err != nil {
		h.t.Fatal(err)
	}
	sum, err := w.Finish()
	if err != nil {
		h.t.Fatal(err)
	}
	held, err := d.Commit(api.Held{Stage: "s", Rows: sum.Rows, Partitions: 1})
	if err != nil {
		h.t.Fatal(err)
	}
	return api.ResultPart{Addr: h.addr, Segment: held.Segment, Rows: held.Rows}
}

// rot damages a part's segment.
func (h *holder) rot(p api.ResultPart) {
	h.t.Helper()
	id, err := shuffle.ParseSegmentID(p.Segment)
	if err != nil || !h.store.Damage(fs.UploadID(id), fs.ErrCorrupt) {
		h.t.Fatal("not damaged", err)
	}
}

// TestResult: rows come part by part and each once, though parts rot before they are read:
// the job runs once more, and the reading goes on behind what was given. What cannot be
// right any more is an error: other rows, no way to make them, parts lost again and again.
func TestResult(t *testing.T) {
	parts := [][]uint64{{1, 2}, {}, {3, 4, 5}}
	for _, test := range []struct {
		name   string
		rotten []int        // parts that rot, before the reading
		made   [][][]uint64 // what each remake makes
		most   int          // rows that are wanted; 0: all
		want   string
		kind   plan.Kind // of the error; 0: none
		fresh  string    // of each remake, whether all was made anew
	}{
		{name: "whole", want: "[1 2 3 4 5]"},
		{name: "no more wanted", most: 1, want: "[1]"},
		{name: "the first is lost", rotten: []int{0}, made: [][][]uint64{parts}, want: "[1 2 3 4 5]", fresh: "[false]"},
		{name: "the last is lost", rotten: []int{2}, made: [][][]uint64{parts}, want: "[1 2 3 4 5]", fresh: "[false]"},
		{name: "in another order", rotten: []int{2}, made: [][][]uint64{{{2, 1}, {}, {5, 3, 4}}}, want: "[1 2 5 3 4]", fresh: "[false]"},
		{name: "other rows before", rotten: []int{2}, made: [][][]uint64{{{1, 9}, {}, {3, 4, 5}}}, want: "[1 2]", kind: plan.KindFetch, fresh: "[false]"},
		{name: "fewer parts", rotten: []int{2}, made: [][][]uint64{{{1, 2}}}, want: "[1 2]", kind: plan.KindFetch, fresh: "[false]"},
		{name: "no way to make it", rotten: []int{2}, want: "[1 2]", kind: plan.KindFetch},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHolder(t)
			info := &api.ResultInfo{}
			for _, rows := range parts {
				info.Parts = append(info.Parts, h.part(rows...))
			}
			for _, i := range test.rotten {
				h.rot(info.Parts[i])
			}
			var remake api.Remake
			var fresh []bool
			if test.made != nil {
				remake = func(_ context.Context, why error, anew bool) (*api.ResultInfo, error) {
					if !errors.Is(why, plan.ErrFetch) {
						t.Errorf("made anew because of %v", why)
					}
					rows := test.made[len(fresh)]
					fresh = append(fresh, anew)
					out := &api.ResultInfo{}
					for _, r := range rows {
						out.Parts = append(out.Parts, h.part(r...))
					}
					return out, nil
				}
			}
			got, err := h.read(t.Context(), info, remake, test.most)
			if fmt.Sprint(got) != test.want || (err == nil) != (test.kind == 0) || err != nil && plan.KindOf(err) != test.kind {
				t.Errorf("%v, %v; want %s, kind %v", got, err, test.want, test.kind)
			}
			if test.fresh == "" {
				test.fresh = "[]"
			}
			if fmt.Sprint(fresh) != test.fresh {
				t.Errorf("made anew: %v, want %s", fresh, test.fresh)
			}
		})
	}
}

// read gives the rows of a result, at most so many.
func (h *holder) read(ctx context.Context, info *api.ResultInfo, remake api.Remake, most int) (rows []int64, err error) {
	result, err := h.reader.Open(ctx, info, remake)
	if err != nil {
		return nil, err
	}
	return rowsOf(ctx, result, most)
}

// rowsOf reads a result's rows, at most so many.
func rowsOf(ctx context.Context, result *api.Result, most int) (rows []int64, err error) {
	for rec, err := range result.All(ctx) {
		if err != nil {
			return rows, err
		}
		rows = append(rows, rec.Column(0).(*array.Int64).Int64Values()...)
		if most > 0 && len(rows) >= most {
			return rows[:most], nil
		}
	}
	return rows, nil
}

// TestResultFirst: a first part that comes with its result is not asked for; what comes in
// its place and is none is not believed.
func TestResultFirst(t *testing.T) {
	h := newHolder(t)
	parts := []api.ResultPart{h.part(1, 2), h.part(3)}
	id, err := shuffle.ParseSegmentID(parts[0].Segment)
	if err != nil {
		t.Fatal(err)
	}
	first, err := h.segments.Small(id, "", 1<<20)
	if err != nil || len(first) == 0 {
		t.Fatalf("%d bytes, %v", len(first), err)
	}
	if none, err := h.segments.Small(id, "", int64(len(first)-1)); err != nil || none != nil {
		t.Errorf("of one that is too large: %d bytes, %v", len(none), err)
	}
	damaged := slices.Clone(first)
	damaged[shuffle.BlockHeaderLen] ^= 1 << 6 // in the first block
	info := &api.ResultInfo{Parts: parts, First: first}
	for _, test := range []struct {
		name  string
		first []byte
		asked int64 // for columns, which is the check of a part: the second is checked in any case
	}{
		{"all of it", first, 1},
		{"none", nil, 2},
		{"no segment", []byte("no segment"), 2},
		{"cut short", first[:len(first)-1], 2},
	} {
		h.asked.Store(0)
		info.First = test.first
		got, err := h.read(t.Context(), info, nil, 0)
		if err != nil || fmt.Sprint(got) != "[1 2 3]" || h.asked.Load() != test.asked {
			t.Errorf("%s: %v, %v, columns asked for %d times", test.name, got, err, h.asked.Load())
		}
	}
	info.First = damaged
	remake := func(context.Context, error, bool) (*api.ResultInfo, error) {
		return nil, errors.New("made anew, though the holder has it")
	}
	if got, err := h.read(t.Context(), info, remake, 0); err != nil || fmt.Sprint(got) != "[1 2 3]" {
		t.Errorf("a damaged block: %v, %v", got, err)
	}
	h.rot(parts[0])
	info.First = first
	result, err := h.reader.Open(t.Context(), info, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the rows are here, however often they are read
		if got, err := rowsOf(t.Context(), result, 0); err != nil || fmt.Sprint(got) != "[1 2 3]" {
			t.Errorf("read of what came before the segment rotted: %v, %v", got, err)
		}
	}
	if b, err := h.segments.Small(id, "", 1<<20); !errors.Is(err, plan.ErrFetch) {
		t.Errorf("of a damaged segment: %d bytes, %v", len(b), err)
	}
}

// TestResultLostAgain: a part that is lost each time it was made anew ends the reading, once
// it has been made of what is held, and from the beginning.
func TestResultLostAgain(t *testing.T) {
	h := newHolder(t)
	info := &api.ResultInfo{Parts: []api.ResultPart{h.part(1)}}
	h.rot(info.Parts[0])
	var fresh []bool
	_, err := h.read(t.Context(), info, func(_ context.Context, _ error, anew bool) (*api.ResultInfo, error) {
		fresh = append(fresh, anew)
		out := &api.ResultInfo{Parts: []api.ResultPart{h.part(1)}}
		h.rot(out.Parts[0])
		return out, nil
	}, 0)
	if !errors.Is(err, plan.ErrFetch) || !slices.Equal(fresh, []bool{false, true, true}) {
		t.Errorf("%v, after %v", err, fresh)
	}
	if plan.AsError(err).Hint == "" {
		t.Errorf("what to do is not told: %v", err)
	}
}
