package plan

import (
	"fmt"
	"sort"
	"strings"

	"github.com/pondmesh/pond/duck/lexer"
)

// RowNumber and FileName are the columns that DuckDB's readers generate.
const (
	RowNumber = "file_row_number"
	FileName  = "filename"
)

// SQL is the SELECT that reads a task's pieces; of no pieces, a SELECT of no
// rows with the right columns. Arrow files have none: the runtime reads them.
//
// Whole files go into one reader. A run of rows goes into a reader of its own
// with a filter on file_row_number, by which DuckDB skips row groups.
func (s *Scan) SQL(pieces []Piece) string {
	if len(pieces) == 0 {
		return s.none()
	}
	if s.From != "" {
		return s.some(pieces)
	}
	var parts []string
	for i := 0; i < len(pieces); {
		if !pieces[i].Whole {
			p := &pieces[i]
			parts = append(parts, s.reader([]string{p.Path}, true)+" WHERE "+p.within())
			i++
			continue
		}
		var paths []string
		for ; i < len(pieces) && pieces[i].Whole; i++ {
			paths = append(paths, pieces[i].Path)
		}
		parts = append(parts, s.reader(paths, false))
	}
	return strings.Join(parts, " UNION ALL ")
}

// within is the condition that a row is of the piece. DuckDB looks at every row for each
// bound, so that one that nothing is beyond is left out.
func (p *Piece) within() string {
	last := p.Start + p.Rows - 1
	switch {
	case p.ToEnd:
		return fmt.Sprintf("%s >= %d", RowNumber, p.Start)
	case p.Start == 0:
		return fmt.Sprintf("%s <= %d", RowNumber, last)
	}
	return fmt.Sprintf("%s BETWEEN %d AND %d", RowNumber, p.Start, last)
}

// some is those files of From that are among the pieces.
func (s *Scan) some(pieces []Piece) string {
	sql := "SELECT " + s.list(false) + " FROM " + s.From
	if s.Together != "" || s.Broadcast {
		return sql
	}
	names := make([]string, len(pieces))
	for i, p := range pieces {
		names[i] = lexer.QuoteText(p.Path)
	}
	return sql + " WHERE " + FileName + " IN (" + strings.Join(names, ", ") + ")"
}

// none is the scan's columns and no rows.
func (s *Scan) none() string {
	if s.Columns == nil {
		return s.reader([]string{s.Like}, false) + " WHERE false"
	}
	var list []string
	for _, c := range s.output() {
		list = append(list, fmt.Sprintf("NULL::%s AS %s", c.Type, lexer.QuoteName(c.Name)))
	}
	return "SELECT " + strings.Join(list, ", ") + " WHERE false"
}

// reader is SELECT … FROM read_x(paths); partial asks for row numbers to filter by.
func (s *Scan) reader(paths []string, partial bool) string {
	call := s.call(paths, partial || s.Options.RowNumber)
	if s.Columns != nil && s.Options.UnionByName {
		// Files of this task may lack columns that others have.
		anchor := *s
		anchor.Options.Columns = nil
		anchor.Options.RowNumber = partial || s.Options.RowNumber
		call = "(" + anchor.none() + " UNION ALL BY NAME SELECT * FROM " + call + ")"
	}
	return "SELECT " + s.list(partial) + " FROM " + call
}

// list is the SELECT list: pinned columns are cast, so that all tasks agree.
func (s *Scan) list(partial bool) string {
	o := s.Options
	if s.Columns == nil && o.Columns == nil {
		all := "*"
		if partial && !o.RowNumber {
			all += " EXCLUDE (" + RowNumber + ")"
		}
		if o.Filename && s.Named != "" {
			all += " REPLACE (" + s.Named + " AS " + FileName + ")"
		}
		return all
	}
	var list []string
	for _, c := range s.output() {
		q := lexer.QuoteName(c.Name)
		value := q
		if o.Filename && s.Named != "" && c.Name == FileName {
			value = s.Named
		}
		if c.Type != "" {
			q = fmt.Sprintf("CAST(%s AS %s) AS %s", value, c.Type, q)
		}
		list = append(list, q)
	}
	return strings.Join(list, ", ")
}

// output is the columns the scan gives, with types where they are known.
func (s *Scan) output() []Column {
	var out []Column
	if s.Options.Columns == nil {
		out = append(out, s.Columns...)
	}
	types := map[string]Column{}
	for _, c := range s.Columns {
		types[strings.ToLower(c.Name)] = c
	}
	for _, name := range s.Options.Columns {
		out = append(out, Column{Name: name, Type: types[strings.ToLower(name)].Type})
	}
	if s.Options.RowNumber {
		out = append(out, Column{RowNumber, "BIGINT"})
	}
	if s.Options.Filename {
		out = append(out, Column{FileName, "VARCHAR"})
	}
	return out
}

// call is the reader's call.
func (s *Scan) call(paths []string, number bool) string {
	quoted := make([]string, len(paths))
	for i, p := range paths {
		quoted[i] = lexer.QuoteText(EscapeGlob(p))
	}
	o := s.Options
	args := []string{"[" + strings.Join(quoted, ", ") + "]"}
	flag := func(name string, on bool) {
		if on {
			args = append(args, name+" = true")
		}
	}
	flag("union_by_name", o.UnionByName)
	flag(RowNumber, number)
	flag(FileName, o.Filename)
	// Said either way: DuckDB would guess from the paths it is given, and tasks
	// are given different ones.
	args = append(args, fmt.Sprintf("hive_partitioning = %t", o.Hive))
	if o.Hive && s.Columns != nil {
		args = append(args, "hive_types_autocast = false")
	}
	if len(o.Schema) > 0 {
		args = append(args, "columns = "+columnTypes(o.Schema))
	}
	for _, k := range sortedKeys(o.CSV) {
		args = append(args, k+" = "+o.CSV[k])
	}
	return map[Format]string{Parquet: "read_parquet(", CSV: "read_csv(", JSON: "read_json("}[s.Format] + strings.Join(args, ", ") + ")"
}

// EscapeGlob makes DuckDB take a path as it is: readers expand globs.
func EscapeGlob(p string) string {
	if !strings.ContainsAny(p, "*?[") {
		return p
	}
	return strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]").Replace(p)
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// SortKey is the SQL expression that a range exchange compares, a BLOB:
// create_sort_key(Keys[0], Order[0], …).
func (e *Exchange) SortKey() string {
	args := make([]string, len(e.Keys))
	for i, k := range e.Keys {
		args[i] = k + ", " + lexer.QuoteText(e.Order[i])
	}
	return "create_sort_key(" + strings.Join(args, ", ") + ")"
}
