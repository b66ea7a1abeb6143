package transfer

import (
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond/shuffle"
)

// rowsSource has segments of one partition of 1000 rows each, in several blocks.
func rowsSource(t *testing.T, segments int) (*memSource, *arrow.Schema) {
	return sourceOf(t, segments, 1000)
}

func sourceOf(t *testing.T, segments int, rows int64) (*memSource, *arrow.Schema) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "i", Type: arrow.PrimitiveTypes.Int64}}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for i := range rows {
		b.Field(0).(*array.Int64Builder).Append(i * 7919 % 1009 << 40)
	}
	rec := b.NewRecordBatch()
	defer rec.Release()
	blocks, sum, err := shuffle.EncodeBatch(nil, rec, shuffle.None, 1024)
	if err != nil {
		t.Fatal(err)
	}
	src := &memSource{segs: map[shuffle.SegmentID]*memSegment{}}
	for i := range segments {
		sum.Offset, sum.Length = 0, int64(len(blocks))
		src.segs[id(i)] = &memSegment{data: blocks, parts: [][]shuffle.Extent{{sum}}}
	}
	return src, schema
}

// TestRowsDue: a run that ends before its rows is lost, by name, and is told once;
// the other runs are read. Without a number of rows any end is the end.
func TestRowsDue(t *testing.T) {
	run := func(addr string, seg int, skip, rows int64) Run {
		return Run{Addr: addr, Segment: id(seg), Partition: 0, Skip: skip, Rows: rows}
	}
	for name, c := range map[string]struct {
		skip, due int64 // of the middle one of three runs
		absent    bool  // its segment is gone
		rows      int64
		want      error
	}{
		"all":           {0, 1000, false, 3000, nil},
		"a part":        {300, 600, false, 2600, nil},
		"unknown":       {0, -1, false, 3000, nil},
		"none":          {0, 0, false, 2000, nil},
		"one too few":   {0, 1001, false, 3000, shuffle.ErrCorrupt},
		"after a skip":  {300, 701, false, 2700, shuffle.ErrCorrupt},
		"beyond it all": {5000, 1, false, 2000, shuffle.ErrCorrupt},
		"gone":          {0, 1000, true, 2000, ErrGone},
	} {
		for _, mode := range []string{"remote", "local"} {
			src, schema := rowsSource(t, 3)
			if c.absent {
				delete(src.segs, id(1))
			}
			addr := addrOf(serve(t, src, Limits{}))
			cfg := ClientConfig{}
			if mode == "local" {
				cfg.Local, cfg.LocalAddr = src, addr
			}
			decode, err := shuffle.NewDecoder(schema, memory.DefaultAllocator, shuffle.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			client := newTestClient(t, cfg)
			rows := client.Rows(t.Context(), decode, []Run{run(addr, 0, 0, 1000), run(addr, 1, c.skip, c.due), run(addr, 2, 0, 1000)})
			var got int64
			var told []error
			for {
				rec, err := rows.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					if told = append(told, err); len(told) > 3 {
						break
					}
					continue
				}
				got += rec.NumRows()
				rec.Release()
			}
			rows.Close()
			var lost *LostError
			switch {
			case got != c.rows:
				t.Errorf("%s, %s: %d rows, want %d", name, mode, got, c.rows)
			case c.want == nil && len(told) > 0:
				t.Errorf("%s, %s: %v", name, mode, told)
			case c.want != nil && (len(told) != 1 || !errors.Is(told[0], c.want) || !errors.As(told[0], &lost) || !slices.Equal(lost.Segments, []shuffle.SegmentID{id(1)})):
				t.Errorf("%s, %s: told %v, want one %v of the second segment", name, mode, told, c.want)
			}
		}
	}
}

// TestRowsElsewhere: what a node does not give is read from another that holds it, from the
// row on that was reached, in the same order; what nobody else holds is lost, by name.
func TestRowsElsewhere(t *testing.T) {
	src, schema := rowsSource(t, 3)
	whole := addrOf(serve(t, src, Limits{}))
	lacking, _ := rowsSource(t, 3) // the second segment
	delete(lacking.segs, id(1))
	lacks := addrOf(serve(t, lacking, Limits{}))
	damaged, _ := rowsSource(t, 3) // behind the first block of the second segment
	bad := *damaged.segs[id(1)]
	bad.data = slices.Clone(bad.data)
	bad.data[len(bad.data)-9] ^= 1
	damaged.segs[id(1)] = &bad
	rots := addrOf(serve(t, damaged, Limits{}))
	gone := serve(t, src, Limits{})
	dead := addrOf(gone)
	gone.Close()
	for name, c := range map[string]struct {
		addrs [3][]string // of three runs: who is asked in turn
		rows  [3]int64    // due; -1: all
		lost  []shuffle.SegmentID
		err   error
	}{
		"all there":             {[3][]string{{whole}, {whole}, {whole}}, [3]int64{1000, 1000, 1000}, nil, nil},
		"a dead node":           {[3][]string{{dead, whole}, {dead, whole}, {dead, whole}}, [3]int64{1000, -1, 1000}, nil, nil},
		"two of them":           {[3][]string{{whole}, {dead, dead, whole}, {whole}}, [3]int64{1000, 500, 1000}, nil, nil},
		"one lacks a segment":   {[3][]string{{lacks, whole}, {lacks, whole}, {lacks, whole}}, [3]int64{1000, 1000, -1}, nil, nil},
		"one has a damaged one": {[3][]string{{rots, whole}, {rots, whole}, {rots, whole}}, [3]int64{1000, 1000, 1000}, nil, nil},
		"that and all of it":    {[3][]string{{rots, whole}, {rots, whole}, {rots, whole}}, [3]int64{-1, -1, -1}, nil, nil},
		"both lack it":          {[3][]string{{lacks, whole}, {lacks, lacks}, {lacks, whole}}, [3]int64{1000, 1000, 1000}, []shuffle.SegmentID{id(1)}, ErrGone},
		"nobody else has it":    {[3][]string{{lacks, whole}, {lacks}, {lacks, whole}}, [3]int64{1000, 1000, 1000}, []shuffle.SegmentID{id(1)}, ErrGone},
		"it is damaged":         {[3][]string{{whole}, {rots}, {whole}}, [3]int64{1000, 1000, 1000}, []shuffle.SegmentID{id(1)}, shuffle.ErrCorrupt},
		"nor lives":             {[3][]string{{whole}, {dead}, {whole}}, [3]int64{1000, 1000, 1000}, nil, ErrUnavailable},
	} {
		decode, err := shuffle.NewDecoder(schema, memory.DefaultAllocator, shuffle.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		var runs []Run
		var want []int64
		for i, addrs := range c.addrs {
			runs = append(runs, Run{Addr: addrs[0], Others: addrs[1:], Segment: id(i), Skip: 300, Rows: c.rows[i]})
			for k := range int64(700) {
				if c.rows[i] > 0 && k >= c.rows[i]-300 || c.lost != nil && i == 1 {
					break
				}
				want = append(want, (k+300)*7919%1009<<40)
			}
			runs[i].Rows = max(c.rows[i]-300, -1)
		}
		rows := newTestClient(t, ClientConfig{RetriesMax: -1}).Rows(t.Context(), decode, runs)
		var got []int64
		var lost *LostError
		for {
			rec, e := rows.Next()
			if e == nil {
				got = append(got, rec.Column(0).(*array.Int64).Int64Values()...)
				rec.Release()
				continue
			}
			if errors.Is(e, io.EOF) {
				break
			}
			err = e
			if !errors.As(e, &lost) {
				break
			}
		}
		rows.Close()
		if !errors.Is(err, c.err) || lost != nil && !slices.Equal(lost.Segments, c.lost) || (lost == nil) != (c.lost == nil) {
			t.Errorf("%s: %v, want %v of %v", name, err, c.err, c.lost)
		}
		if (c.err == nil || c.err == ErrGone) && !slices.Equal(got, want) {
			t.Errorf("%s: %d rows, want %d: %v", name, len(got), len(want), err)
		}
	}
}

// TestRowsShort: what a node ends too early is read from another, of each run and in order,
// also when several runs are of one segment; what nobody else holds is told.
func TestRowsShort(t *testing.T) {
	src, schema := rowsSource(t, 2)
	whole := addrOf(serve(t, src, Limits{}))
	few, _ := sourceOf(t, 2, 400)
	brief := addrOf(serve(t, few, Limits{}))
	decode, err := shuffle.NewDecoder(schema, memory.DefaultAllocator, shuffle.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		others [3][]string
		seg    [3]int
		rows   [3]int64 // that are read
		told   []shuffle.SegmentID
	}{
		"one segment":        {[3][]string{{whole}, {whole}, {whole}}, [3]int{0, 0, 0}, [3]int64{900, 900, 900}, nil},
		"two":                {[3][]string{{whole}, {whole}, {whole}}, [3]int{0, 1, 0}, [3]int64{900, 900, 900}, nil},
		"nobody else":        {[3][]string{nil, nil, nil}, [3]int{0, 1, 0}, [3]int64{300, 300, 0}, []shuffle.SegmentID{id(0), id(1)}},
		"of the middle one":  {[3][]string{{whole}, nil, {whole}}, [3]int{0, 1, 0}, [3]int64{900, 300, 900}, []shuffle.SegmentID{id(1)}},
		"of the first alone": {[3][]string{nil, {whole}, {whole}}, [3]int{0, 0, 1}, [3]int64{300, 900, 900}, []shuffle.SegmentID{id(0)}},
	} {
		var runs []Run
		var want []int64
		for i := range c.seg {
			runs = append(runs, Run{Addr: brief, Others: c.others[i], Segment: id(c.seg[i]), Skip: 100, Rows: 900})
			for k := range c.rows[i] {
				want = append(want, (k+100)*7919%1009<<40)
			}
		}
		rows := newTestClient(t, ClientConfig{}).Rows(t.Context(), decode, runs)
		var got []int64
		var told []shuffle.SegmentID
		for range 1000 {
			rec, err := rows.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if lost, ok := errors.AsType[*LostError](err); ok {
				told = append(told, lost.Segments...)
				continue
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got = append(got, rec.Column(0).(*array.Int64).Int64Values()...)
			rec.Release()
		}
		rows.Close()
		if !slices.Equal(got, want) || !slices.Equal(slices.Compact(told), c.told) {
			t.Errorf("%s: %d rows, want %d; told %v, want %v", name, len(got), len(want), told, c.told)
		}
	}
}
