package prepare

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unsafe"

	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/distribute"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/lexer"
	"github.com/pondmesh/pond/duck/tree"
	"github.com/pondmesh/pond/duck/vec"
)

// wrongRows are arguments by which rows that cannot be read are left out.
var wrongRows = []string{"ignore_errors", "store_rejects", "rejects_scan", "rejects_table", "rejects_limit"}

// table makes the table that stands in for a scan, and says how tasks read it.
func (s *placeholders) table(ctx context.Context, scan *tree.TextScan, name string) (*distribute.Table, error) {
	if scan.Has(wrongRows...) {
		return nil, &errWhole{"which rows of text files are left out as wrong depends on the columns that are read of them"}
	}
	t := &distribute.Table{Format: plan.JSON}
	if strings.Contains(scan.Function, "csv") {
		t.Format = plan.CSV
	}
	var err error
	if t.Files, err = s.expand(ctx, scan.Patterns); err != nil {
		return nil, err
	}
	if t.From, err = s.from(ctx, scan.Reader(scan.Function, anyPath), t.Files); err != nil {
		return nil, err
	}
	if t.Columns, err = s.columns(ctx, t.From); err != nil {
		return nil, err
	}
	for _, virtual := range []string{"filename", "file_index", "file_row_number", "rowid"} {
		if !hasColumn(t.Columns, virtual) {
			s.odd = append(s.odd, virtual)
		}
	}
	slices.Sort(s.odd)
	s.odd = slices.Compact(s.odd)
	if err := s.share(ctx, scan, t); err != nil {
		return nil, err
	}
	if t.Rows, err = guessRows(t.Files); err != nil {
		return nil, engines.Error("read", err)
	}
	return t, s.fill(ctx, t, name)
}

// expand lists the files of patterns in the order in which DuckDB reads them.
func (s *placeholders) expand(ctx context.Context, patterns []string) ([]plan.File, error) {
	var out []plan.File
	for _, p := range patterns {
		var paths []string
		_, err := s.e.Fetch(ctx, "SELECT file FROM glob("+lexer.QuoteText(p)+")", func(c *vec.Chunk) error {
			paths = append(paths, texts(c, 0)...)
			return nil
		})
		if err != nil {
			return nil, engines.Error("read", err)
		}
		if len(paths) == 0 {
			return nil, &errWhole{"no file is found for " + p}
		}
		for _, path := range paths {
			f, ok := s.files[path]
			if !ok {
				return nil, &errWhole{"the file " + path + " is not known"}
			}
			out = append(out, f)
		}
	}
	return out, nil
}

// texts is a column of texts, NULLs empty.
func texts(c *vec.Chunk, column int) []string {
	out := make([]string, c.Rows)
	for i := range out {
		if !c.Columns[column].Null(i) {
			out[i] = string(unsafe.Slice((*vec.Str)(c.Columns[column].Data), c.Columns[column].Rows)[i].Bytes())
		}
	}
	return out
}

func (s *placeholders) columns(ctx context.Context, from string) ([]plan.Column, error) {
	schema, err := s.e.Schema(ctx, "SELECT * FROM "+from)
	if err != nil {
		return nil, engines.Error("read", err)
	}
	var out []plan.Column
	for _, f := range schema.Fields {
		out = append(out, plan.Column{Name: f.Name, Type: f.Type.SQL})
	}
	return out, nil
}

func hasColumn(cols []plan.Column, name string) bool {
	return slices.ContainsFunc(cols, func(c plan.Column) bool { return strings.EqualFold(c.Name, name) })
}

// share has tasks pick files by their names, if each file reads the same alone as
// among the others; else t.Together says why one task reads them.
func (s *placeholders) share(ctx context.Context, scan *tree.TextScan, t *distribute.Table) error {
	seen := map[string]bool{}
	for _, f := range t.Files {
		seen[f.Path] = true
	}
	without := []string{"filename"}
	var dialect []string
	switch {
	case len(t.Files) == 1:
		t.Together = "a text file is not cut"
		return nil
	case len(seen) < len(t.Files):
		t.Together = "a file is read twice"
		return nil
	case t.Format == plan.CSV && !scan.Is("union_by_name", true) && !scan.Is("auto_detect", false):
		var err error
		if dialect, t.Together, err = s.dialect(ctx, scan, t); err != nil || t.Together != "" {
			return err
		}
		without = append(without, dialectArgs...)
	}
	return s.named(ctx, scan, t, without, dialect)
}

// named has the reader give the files' names, which DuckDB picks files by before
// it reads any.
func (s *placeholders) named(ctx context.Context, scan *tree.TextScan, t *distribute.Table, without, dialect []string) error {
	from, err := s.from(ctx, scan.Reader(scan.Function, anyPath, without...), t.Files, append(dialect, "filename = true")...)
	if err != nil {
		return err
	}
	cols, err := s.columns(ctx, from)
	if err != nil {
		t.Together = "with the files' names it cannot be read: " + err.Error()
		return nil //nolint:nilerr // the files can be read, if not so
	}
	var own []plan.Column // those that the user's call gives and this one does not
	for _, c := range t.Columns {
		if !slices.Contains(cols, c) {
			own = append(own, c)
		}
	}
	switch {
	case len(own) == 0:
		t.From = from
	case len(own) == 1 && own[0].Type == "VARCHAR" && scan.Has("filename") && !hasColumn(t.Columns, "filename"):
		t.From = "(SELECT *, filename AS " + lexer.QuoteName(own[0].Name) + " FROM " + from + ")"
	default:
		t.Together = "with the files' names it reads otherwise"
	}
	return nil
}

// guessBytes is how much of a file tells how long its lines are.
const guessBytes = 64 << 10

// guessRows is how many lines the files have if they are as long as the first
// ones; 0: packed files do not tell.
func guessRows(files []plan.File) (float64, error) {
	total := 0.0
	for _, f := range files {
		total += float64(f.Size)
	}
	first := files[slices.IndexFunc(files, func(f plan.File) bool { return f.Size == slices.MaxFunc(files, bySize).Size })]
	if low := strings.ToLower(first.Path); strings.HasSuffix(low, ".gz") || strings.HasSuffix(low, ".zst") {
		return 0, nil
	}
	f, err := os.Open(first.Path)
	if err != nil {
		return 0, fmt.Errorf("prepare: look at %s: %w", first.Path, err)
	}
	defer f.Close()
	buf := make([]byte, guessBytes)
	n, err := io.ReadFull(f, buf)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, fmt.Errorf("prepare: look at %s: %w", first.Path, err)
	}
	lines := max(bytes.Count(buf[:n], []byte("\n")), 1)
	return max(total*float64(lines)/float64(max(n, 1)), 1), nil
}

func bySize(a, b plan.File) int { return int(min(max(a.Size-b.Size, -1), 1)) }

// dialectArgs are arguments that say how CSV files are written, or how to find
// out.
var dialectArgs = []string{
	"delim", "sep", "delimiter", "quote", "escape", "new_line", "skip", "comment", "header",
	"dateformat", "date_format", "timestampformat", "timestamp_format",
	"columns", "names", "column_names", "types", "dtypes", "column_types", "all_varchar", "normalize_names",
	"auto_detect", "auto_type_candidates", "sample_size", "files_to_sniff",
}

// manyFiles are arguments that sniff_csv has no use for.
var manyFiles = []string{"filename", "hive_partitioning", "hive_types", "hive_types_autocast", "union_by_name", "files_to_sniff"}

// written are sniff_csv's columns that say how a file is written, and the
// arguments that tell a reader so. What is NULL needs no telling.
var written = []struct{ column, arg string }{
	{"Delimiter", "delim"}, {"Quote", "quote"}, {"Escape", "escape"}, {"NewLineDelimiter", "new_line"}, {"CAST(SkipRows AS VARCHAR)", "skip"},
	{"Comment", "comment"}, {"CAST(HasHeader AS VARCHAR)", "header"}, {"DateFormat", "dateformat"}, {"TimestampFormat", "timestampformat"},
}

// sniffedMax is how many CSV files are looked at before a query; more are read by
// one task. sniffedAtOnce are looked at by one statement.
const (
	sniffedMax    = 1000
	sniffedAtOnce = 20
)

// dialect returns the dialect of all of a table's CSV files, as arguments, or the
// reason why it may differ among them. DuckDB finds it file by file, by rules that
// depend on the number of files.
func (s *placeholders) dialect(ctx context.Context, scan *tree.TextScan, t *distribute.Table) (args []string, why string, err error) {
	if len(t.Files) > sniffedMax {
		return nil, fmt.Sprintf("there are more than %d files", sniffedMax), nil
	}
	var first []string
	for part := range slices.Chunk(t.Files, sniffedAtOnce) {
		rows, err := s.sniff(ctx, scan, part)
		switch {
		case errors.Is(err, duck.ErrQuery):
			return nil, "DuckDB cannot tell how one of the files is written", nil
		case err != nil:
			return nil, "", err
		}
		for _, row := range rows {
			if first == nil {
				first = row
			}
			if !slices.Equal(row, first) {
				return nil, "the files differ in how they are written", nil
			}
		}
	}
	for i, w := range written {
		switch v := first[i]; {
		case v == "(empty)":
			args = append(args, w.arg+" = ''")
		case v != "":
			args = append(args, w.arg+" = "+lexer.QuoteText(v))
		}
	}
	var columns []string
	for _, name := range first[len(written):] {
		at := slices.IndexFunc(t.Columns, func(c plan.Column) bool { return c.Name == name })
		if at < 0 {
			return nil, "the files' columns are called otherwise together than alone", nil
		}
		columns = append(columns, lexer.QuoteText(name)+": "+lexer.QuoteText(t.Columns[at].Type))
	}
	return append(args, "auto_detect = false", "columns = {"+strings.Join(columns, ", ")+"}"), "", nil
}

// sniff is a row a file: how it is written, and its columns' names.
func (s *placeholders) sniff(ctx context.Context, scan *tree.TextScan, files []plan.File) ([][]string, error) {
	list := make([]string, len(files))
	columns := make([]string, len(written))
	for i, w := range written {
		columns[i] = w.column
	}
	for i, f := range files {
		from, err := s.from(ctx, scan.Reader("sniff_csv", anyPath, manyFiles...), []plan.File{f})
		if err != nil {
			return nil, err
		}
		list[i] = "SELECT [" + strings.Join(columns, ", ") + "] || list_transform(Columns, lambda c: c.name) AS l FROM " + from
	}
	var out [][]string
	sql := "SELECT generate_subscripts(l, 1) = 1, unnest(l) FROM (" + strings.Join(list, " UNION ALL ") + ")"
	_, err := s.e.Fetch(ctx, sql, func(c *vec.Chunk) error {
		starts := unsafe.Slice((*bool)(c.Columns[0].Data), c.Columns[0].Rows)
		for i, text := range texts(c, 1) {
			if starts[i] {
				out = append(out, nil)
			}
			out[len(out)-1] = append(out[len(out)-1], text)
		}
		return nil
	})
	return out, err
}
