package plan

import (
	"maps"
	"path/filepath"
	"strings"

	"github.com/pondmesh/pond/duck/lexer"
)

// typeOptions are read_csv's names for the types of columns.
var typeOptions = []string{"types", "dtypes", "column_types"}

// PinText has tasks that are given different text files read the same columns.
// Of CSV it fixes the types by name, and found: whether there is a header, and
// how dates are written, as the first file tells. The rest of a dialect may
// differ by file, as in one DuckDB: the first one's quotes would misread another.
func (s *Scan) PinText(found map[string]string) {
	o := &s.Options
	columns := s.Columns != nil && o.Schema == nil && !o.UnionByName
	switch {
	case s.Format == JSON && columns:
		o.Schema = withoutHive(s.Columns, s)
	case s.Format == CSV && !o.UnionByName:
		csv := maps.Clone(found)
		if csv == nil {
			csv = map[string]string{}
		}
		maps.Copy(csv, o.CSV)
		if _, given := csv["columns"]; columns && !given {
			for _, k := range typeOptions {
				delete(csv, k)
			}
			csv["types"] = columnTypes(withoutHive(s.Columns, s))
		}
		o.CSV = csv
	}
}

// columnTypes is columns as an SQL struct of their types.
func columnTypes(cols []Column) string {
	list := make([]string, len(cols))
	for i, c := range cols {
		list[i] = lexer.QuoteText(c.Name) + ": " + lexer.QuoteText(c.Type)
	}
	return "{" + strings.Join(list, ", ") + "}"
}

// withoutHive is the columns that stand in the files themselves.
func withoutHive(cols []Column, s *Scan) []Column {
	if !s.Options.Hive {
		return cols
	}
	keys := map[string]bool{}
	for _, part := range strings.Split(filepath.ToSlash(s.Like), "/") {
		if k, _, ok := strings.Cut(part, "="); ok {
			keys[strings.ToLower(k)] = true
		}
	}
	var out []Column
	for _, c := range cols {
		if !keys[strings.ToLower(c.Name)] {
			out = append(out, c)
		}
	}
	return out
}
