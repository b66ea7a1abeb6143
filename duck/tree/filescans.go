package tree

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// FileScan is a place where a query reads files that it names by constants.
type FileScan struct {
	Patterns []string // files and globs, as the query names them
	Function string   // the reader, in lower case
	node     Node
	named    []any // the reader's named arguments
	alias    string
}

// FileScans finds the places where the tree reads files, as AbsoluteFiles does.
func FileScans(root Node, views ...string) []*FileScan {
	hidden := cteNames(root)
	for _, v := range views {
		hidden[strings.ToLower(v)] = true
	}
	var out []*FileScan
	Walk(root, func(n Node) {
		switch Text(n, "type") {
		case "BASE_TABLE":
			name := Text(n, "table_name")
			if Text(n, "schema_name") != "" || Text(n, "catalog_name") != "" || n["at_clause"] != nil || hidden[strings.ToLower(name)] || !IsFile(name) {
				return
			}
			s := &FileScan{Patterns: []string{name}, Function: "read_" + suffixOf(name), node: n}
			if !strings.ContainsAny(name, "*?[") { // DuckDB calls it by the file's first name then
				s.alias, _, _ = strings.Cut(name[strings.LastIndex(name, "/")+1:], ".")
			}
			out = append(out, s)
		case "TABLE_FUNCTION":
			fn, _ := n["function"].(Node)
			args, _ := fn["children"].([]any)
			s := &FileScan{Function: strings.ToLower(Text(fn, "function_name")), node: n}
			if IsReader(s.Function) && len(args) > 0 && constantStrings(args[0], &s.Patterns) {
				s.named = args[1:]
				out = append(out, s)
			}
		}
	})
	return out
}

// Has reports whether the reader is given one of the arguments, whatever its value.
func (s *FileScan) Has(names ...string) bool {
	return slices.ContainsFunc(s.named, func(a any) bool { return slices.Contains(names, ArgName(a)) })
}

// FileNames is the column in which the reader was asked to tell names of files, by its
// name or as true; "" if it was not. It is not clear where the argument is no constant.
func (s *FileScan) FileNames() (column string, clear bool) {
	for _, a := range s.named {
		if ArgName(a) != "filename" {
			continue
		}
		value, text := argValue(a)
		switch asked, known := truth(value); {
		case text:
			return value, true
		case known && asked:
			return "filename", true
		default:
			return "", known
		}
	}
	return "", true
}

// Within has the tree read a query, of which it has the tree too, over the scan: the query
// knows it as a table. The names stay by which the rest knows the scan and its columns.
func (s *FileScan) Within(query Node, table string) error {
	statements, _ := query["statements"].([]any)
	if len(statements) != 1 {
		return fmt.Errorf("tree: %d statements are no query", len(statements))
	}
	scan, outer := maps.Clone(s.node), s.node
	fn, _ := scan["function"].(Node)
	alias := Text(scan, "alias")
	if alias == "" {
		alias = Text(fn, "function_name")
	}
	Walk(query, func(n Node) {
		if Text(n, "type") == "BASE_TABLE" && Text(n, "table_name") == table {
			clear(n)
			maps.Copy(n, scan)
			s.node = n
		}
	})
	clear(outer)
	maps.Copy(outer, Node{"type": "SUBQUERY", "alias": alias, "sample": scan["sample"], "query_location": unplaced, "subquery": statements[0], "column_name_alias": scan["column_name_alias"]})
	s.node["alias"], s.node["sample"], s.node["column_name_alias"] = "", nil, []any{}
	return nil
}

// Read has the scan read a path in place of its patterns.
func (s *FileScan) Read(path string) {
	if fn, ok := s.node["function"].(Node); ok {
		args, _ := fn["children"].([]any)
		fn["children"] = append([]any{constant(path)}, args[1:]...)
		return
	}
	old := maps.Clone(s.node)
	clear(s.node)
	alias := Text(old, "alias")
	if alias == "" {
		alias = s.alias
	}
	maps.Copy(s.node, Node{"type": "TABLE_FUNCTION", "alias": alias, "sample": old["sample"], "query_location": unplaced, "function": call(s.Function, []any{constant(path)}),
		"column_name_alias": old["column_name_alias"], "with_ordinality": "WITHOUT_ORDINALITY"})
}
