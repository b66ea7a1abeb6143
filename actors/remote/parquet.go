package remote

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"slices"
	"sort"
	"strings"

	"github.com/apache/arrow-go/v18/parquet/metadata"

	"github.com/pondmesh/pond/actors/plan"
)

// A Parquet file ends in its footer, the footer's size and a magic word. Most footers
// are in the first tailBytes that are fetched; one larger than footerMax is read with
// the whole file.
const (
	tailBytes = 64 << 10
	footerMax = 256 << 20
	endBytes  = 8
)

var magic = []byte("PAR1")

// layout says where the chunks of a Parquet file are.
type layout struct {
	groups []group
	starts []int64 // where something begins: chunks, indexes, filters; and the footer, which is the last
}

// group is a row group.
type group struct {
	rows   int64
	chunks []chunk
}

// chunk is a leaf column of a row group.
type chunk struct {
	column string  // the column of the table that it is part of, in lower case
	starts []int64 // of its pages, then of its indexes and its filter
	pages  int64   // bytes of all its pages, as the footer says
}

// isParquet reports whether a name is a Parquet file's. Whether the object is one is
// seen in its end.
func isParquet(name string) bool {
	name, _, _ = strings.Cut(name, "?")
	return strings.HasSuffix(strings.ToLower(name), ".parquet")
}

// look fetches the footer of what is called a Parquet file. It is false if there is
// none that is understood. The entry is locked.
func (c *Cache) look(ctx context.Context, e *entry) (bool, error) {
	if e.looked {
		return e.layout != nil, nil
	}
	size := e.object.Size
	if size < endBytes+int64(len(magic)) {
		e.looked = true
		return false, nil
	}
	if err := c.bring(ctx, e, []span{{max(size-tailBytes, 0), size}}); err != nil {
		return false, err
	}
	end, err := e.read(size-endBytes, endBytes)
	if err != nil {
		return false, err
	}
	n := int64(binary.LittleEndian.Uint32(end))
	if !bytes.Equal(end[4:], magic) || n > min(footerMax, size-endBytes) {
		e.looked = true
		return false, nil
	}
	at := size - endBytes - n
	if err := c.bring(ctx, e, []span{{at, size}}); err != nil {
		return false, err
	}
	footer, err := e.read(at, n)
	if err != nil {
		return false, err
	}
	e.layout, e.looked = layoutOf(footer, at), true
	return e.layout != nil, nil
}

func (e *entry) read(off, n int64) ([]byte, error) {
	f, err := os.Open(e.local)
	if err != nil {
		return nil, diskError(e.object.Name, err)
	}
	defer f.Close()
	out := make([]byte, n)
	if _, err := f.ReadAt(out, off); err != nil {
		return nil, diskError(e.object.Name, err)
	}
	return out, nil
}

// layoutOf reads a footer that begins at an offset; nil if it is not understood.
func layoutOf(footer []byte, at int64) (out *layout) {
	defer func() {
		if recover() != nil { // the library's: the file is then read whole, and DuckDB says what is wrong
			out = nil
		}
	}()
	m, err := metadata.NewFileMetaData(footer, nil)
	if err != nil {
		return nil
	}
	l := &layout{}
	for g := range m.RowGroups {
		rg := m.RowGroups[g]
		next := group{rows: rg.GetNumRows()}
		for _, col := range rg.GetColumns() {
			meta := col.GetMetaData()
			if meta == nil || len(meta.GetPathInSchema()) == 0 || col.IsSetFilePath() || col.IsSetCryptoMetadata() {
				return nil
			}
			ch := chunk{column: strings.ToLower(meta.GetPathInSchema()[0])}
			first := meta.GetDataPageOffset()
			for _, p := range []int64{meta.GetDictionaryPageOffset(), meta.GetIndexPageOffset()} {
				if p > 0 && p < first {
					first = p
				}
			}
			if first <= 0 || meta.GetTotalCompressedSize() < 0 || first+meta.GetTotalCompressedSize() > at {
				return nil
			}
			ch.starts, ch.pages = append(ch.starts, first), meta.GetTotalCompressedSize()
			for _, p := range []int64{meta.GetBloomFilterOffset(), col.GetColumnIndexOffset(), col.GetOffsetIndexOffset()} {
				if p > 0 && p < at {
					ch.starts = append(ch.starts, p)
				}
			}
			l.starts = append(l.starts, ch.starts...)
			next.chunks = append(next.chunks, ch)
		}
		l.groups = append(l.groups, next)
	}
	l.starts = append(l.starts, at)
	slices.Sort(l.starts)
	l.starts = slices.Compact(l.starts)
	if l.overlaps() {
		return nil
	}
	return l
}

// overlaps reports whether something else begins among the pages of a chunk.
func (l *layout) overlaps() bool {
	return slices.ContainsFunc(l.groups, func(g group) bool {
		return slices.ContainsFunc(g.chunks, func(ch chunk) bool { return ch.starts[0]+ch.pages > l.end(ch.starts[0]) })
	})
}

// spans are what is read of the columns, nil for all, in runs of rows. A part goes from
// where it begins to where the next one does, whatever the footer says of its size.
func (l *layout) spans(columns []string, rows []plan.Piece) (out []span) {
	wanted := map[string]bool{}
	for _, c := range columns {
		wanted[strings.ToLower(c)] = true
	}
	first := int64(0)
	for _, g := range l.groups {
		if touches(rows, first, first+g.rows) {
			for _, ch := range g.chunks {
				if columns == nil || wanted[ch.column] {
					for _, s := range ch.starts {
						out = append(out, span{s, l.end(s)})
					}
				}
			}
		}
		first += g.rows
	}
	return normal(out, 0)
}

// end is where what begins at an offset ends.
func (l *layout) end(start int64) int64 {
	i := sort.Search(len(l.starts), func(i int) bool { return l.starts[i] > start })
	if i == len(l.starts) {
		return start
	}
	return l.starts[i]
}

// touches reports whether one of the pieces has one of the rows [from, to).
func touches(pieces []plan.Piece, from, to int64) bool {
	return slices.ContainsFunc(pieces, func(p plan.Piece) bool {
		return p.Whole || p.Start < to && from < p.Start+p.Rows
	})
}
