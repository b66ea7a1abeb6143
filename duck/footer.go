//go:build duckdb_arrow

package duck

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/pondmesh/pond/duck/lexer"
)

// Footer is the metadata of a Parquet file.
type Footer struct {
	Path    string
	Rows    int64
	Groups  []RowGroup
	Columns []FooterColumn // top level, in order
}

// FooterColumn is a top-level column of a Parquet file.
type FooterColumn struct {
	Name string
	Type string // DuckDB's
}

// RowGroup is a run of rows of a Parquet file.
type RowGroup struct {
	Rows  int64
	Bytes int64         // compressed
	Stats []ColumnStats // one a top-level column, in order
}

// ColumnStats bounds the values of a column in a row group. Parquet leaves NaN
// out of account.
type ColumnStats struct {
	Name     string
	HasStats bool   // Min and Max are known; never for nested columns
	Min, Max string // SQL literals: 42, '2024-01-31'
	Nulls    int64  // -1: unknown
	Distinct int64  // how many values, at most or so; 0: unknown
	Bytes    int64  // compressed
}

// footersBatch is how many files one query reads the footers of.
const footersBatch = 64

// Footers reads the footers of Parquet files, in the order of paths.
func (e *Engine) Footers(ctx context.Context, paths []string) ([]Footer, error) {
	o, err := e.begin(ctx, "footers")
	if err != nil {
		return nil, err
	}
	var all []Footer
	types := map[string][]FooterColumn{}
	for batch := range slices.Chunk(paths, footersBatch) {
		var list []Footer
		if list, err = footers(e.conn, batch, types); err != nil {
			break
		}
		all = append(all, list...)
	}
	if err = o.end(err); err != nil {
		return nil, err
	}
	return all, nil
}

// footers reads some files. types remembers the columns of schemas seen.
func footers(conn mapping.Connection, paths []string, types map[string][]FooterColumn) ([]Footer, error) {
	byPath := map[string]*footer{}
	for _, p := range paths {
		byPath[p] = &footer{Footer: Footer{Path: p}}
	}
	list := quoteList(paths)
	for _, part := range []struct {
		query string
		add   func(f *footer, row []string)
	}{
		{"SELECT file_name, num_rows FROM parquet_file_metadata(" + list + ")", (*footer).addFile},
		{"SELECT file_name, name, num_children, concat_ws('|', type, type_length, repetition_type, converted_type, scale, precision, logical_type) FROM parquet_schema(" + list + ")", (*footer).addSchema},
		{"SELECT file_name, row_group_id, row_group_num_rows, column_id, total_compressed_size, stats_min_value IS NOT NULL AND stats_max_value IS NOT NULL, stats_min_value, stats_max_value, stats_null_count, " + distinctSQL + " FROM parquet_metadata(" + list + ")", (*footer).addChunk},
	} {
		rows, err := query1(conn, part.query)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			f, ok := byPath[row[0]]
			if !ok {
				return nil, fmt.Errorf("DuckDB answered for %s, which was not asked", row[0])
			}
			part.add(f, row[1:])
		}
	}
	out := make([]Footer, len(paths))
	for i, p := range paths {
		f := byPath[p]
		if err := f.finish(conn, types); err != nil {
			return nil, err
		}
		out[i] = f.Footer
	}
	return out, nil
}

// footer gathers one file's rows of DuckDB's metadata functions.
type footer struct {
	Footer
	names  []string // every node of the schema, in pre-order, but for the root
	kids   []int
	shape  strings.Builder // the schema in full, to compare
	chunks []columnChunk
}

// distinctSQL is the number of distinct values of a column chunk, if its file says
// so; else the bytes of its dictionary, where each value takes at least one.
const distinctSQL = "coalesce(stats_distinct_count, CASE WHEN dictionary_page_offset > 0 THEN data_page_offset - dictionary_page_offset END)"

// columnChunk is one leaf column in one row group.
type columnChunk struct {
	group, leaf       int
	rows, bytes       int64
	distinct          int64
	known             bool
	min, max, nullStr string
}

func (f *footer) addFile(row []string) { f.Rows = number(row[0]) }

func (f *footer) addSchema(row []string) {
	if f.shape.Len() > 0 { // the root comes first and names nothing
		f.names = append(f.names, row[0])
		f.kids = append(f.kids, int(number(row[1])))
	}
	fmt.Fprintf(&f.shape, "%q\n", row)
}

func (f *footer) addChunk(row []string) {
	f.chunks = append(f.chunks, columnChunk{
		group: int(number(row[0])), rows: number(row[1]), leaf: int(number(row[2])), bytes: number(row[3]),
		known: row[4] == "true", min: row[5], max: row[6], nullStr: row[7], distinct: number(row[8]),
	})
}

// number is a count that DuckDB wrote; NULL is 0.
func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// finish puts the rows together.
func (f *footer) finish(conn mapping.Connection, types map[string][]FooterColumn) error {
	columns, ok := types[f.shape.String()]
	if !ok {
		rows, err := query1(conn, "SELECT column_name, column_type FROM (DESCRIBE FROM read_parquet("+lexer.QuoteText(f.Path)+", hive_partitioning = false))")
		if err != nil {
			return err
		}
		for _, row := range rows {
			columns = append(columns, FooterColumn{Name: row[0], Type: row[1]})
		}
		types[f.shape.String()] = columns
	}
	f.Columns = columns

	tops, flat := f.leaves()
	for _, c := range f.chunks {
		for len(f.Groups) <= c.group {
			g := RowGroup{Stats: make([]ColumnStats, len(columns))}
			for i := range g.Stats {
				g.Stats[i] = ColumnStats{Name: columns[i].Name, Nulls: -1}
			}
			f.Groups = append(f.Groups, g)
		}
		g := &f.Groups[c.group]
		g.Rows = c.rows
		g.Bytes += c.bytes
		if c.leaf >= len(tops) || tops[c.leaf] >= len(columns) {
			continue
		}
		s := &g.Stats[tops[c.leaf]]
		s.Bytes += c.bytes
		if !flat[tops[c.leaf]] {
			continue
		}
		s.Distinct = max(c.distinct, 0)
		if c.nullStr != "" {
			s.Nulls = number(c.nullStr)
		}
		if c.known {
			t := columns[tops[c.leaf]].Type
			s.HasStats, s.Min, s.Max = true, literal(t, c.min), literal(t, c.max)
		}
	}
	return nil
}

// leaves maps every leaf of the schema to its top-level column, and says which
// of those are not nested.
func (f *footer) leaves() (tops []int, flat []bool) {
	at := 0
	var visit func(top int)
	visit = func(top int) {
		kids := f.kids[at]
		at++
		if kids == 0 {
			tops = append(tops, top)
		}
		for range kids {
			visit(top)
		}
	}
	for at < len(f.kids) {
		flat = append(flat, f.kids[at] == 0)
		visit(len(flat) - 1)
	}
	return tops, flat
}

// bare are the types whose literals stand without quotes.
var bare = regexp.MustCompile(`^(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|DECIMAL\(.*\)|BOOLEAN)$`)

func literal(sqlType, text string) string {
	if bare.MatchString(sqlType) {
		return text
	}
	return lexer.QuoteText(text)
}
