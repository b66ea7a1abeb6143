package tree

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// textReaders are the readers that DuckDB writes no plan of.
var textReaders = map[string]bool{
	"read_csv": true, "read_csv_auto": true,
	"read_json": true, "read_json_auto": true, "read_ndjson": true, "read_ndjson_auto": true,
	"read_json_objects": true, "read_json_objects_auto": true, "read_ndjson_objects": true,
}

// TextScan is a place where a query reads text files (CSV, JSON) as a table.
type TextScan struct {
	Patterns []string // files and globs, as the query names them
	Function string
	node     Node
	named    []any // the reader's named arguments
	alias    string
}

// TextScans finds the text files that the tree reads where they are named by
// constants, as AbsoluteFiles does. Those in a form that this package does not
// know are left out.
func TextScans(root Node, views ...string) []*TextScan {
	hidden := cteNames(root)
	for _, v := range views {
		hidden[strings.ToLower(v)] = true
	}
	var out []*TextScan
	Walk(root, func(n Node) {
		var s *TextScan
		switch Text(n, "type") {
		case "BASE_TABLE":
			if !hidden[strings.ToLower(Text(n, "table_name"))] {
				s = fileScan(n)
			}
		case "TABLE_FUNCTION":
			s = readerScan(n)
		}
		if s != nil {
			out = append(out, s)
		}
	})
	return out
}

// fileScan is a file that stands for a table.
func fileScan(n Node) *TextScan {
	name := Text(n, "table_name")
	switch {
	case Text(n, "schema_name") != "" || Text(n, "catalog_name") != "" || n["at_clause"] != nil:
		return nil
	case !IsFile(name) || suffixOf(name) == "parquet":
		return nil
	}
	s := &TextScan{Patterns: []string{name}, Function: "read_json_auto", node: n, alias: name}
	if suffixOf(name) == "csv" {
		s.Function = "read_csv_auto"
	}
	if !strings.ContainsAny(name, "*?[") { // DuckDB calls it by the file's first name then
		s.alias, _, _ = strings.Cut(name[strings.LastIndex(name, "/")+1:], ".")
	}
	return s
}

// readerScan is a reader that is called.
func readerScan(n Node) *TextScan {
	fn, _ := n["function"].(Node)
	name := strings.ToLower(Text(fn, "function_name"))
	args, _ := fn["children"].([]any)
	if !textReaders[name] || len(args) == 0 || Text(n, "with_ordinality") != "WITHOUT_ORDINALITY" {
		return nil
	}
	s := &TextScan{Function: name, node: n, named: args[1:], alias: Text(fn, "function_name")}
	if !constantStrings(args[0], &s.Patterns) {
		return nil
	}
	for _, a := range s.named {
		if ArgName(a) == "" {
			return nil
		}
	}
	return s
}

// constantStrings collects a string constant, or a list of them.
func constantStrings(arg any, out *[]string) bool {
	n, _ := arg.(Node)
	if Text(n, "type") == "VALUE_CONSTANT" {
		v, _ := n["value"].(Node)
		s, ok := v["value"].(string)
		*out = append(*out, s)
		return ok
	}
	if Text(n, "function_name") != "list_value" && Text(n, "type") != "ARRAY_CONSTRUCTOR" {
		return false
	}
	children, _ := n["children"].([]any)
	for _, c := range children {
		if !constantStrings(c, out) {
			return false
		}
	}
	return len(children) > 0
}

// ArgName is the name of a reader's argument, in lower case: name = value, or
// name := value.
func ArgName(arg any) string {
	n, _ := arg.(Node)
	if name := Text(n, "alias"); name != "" {
		return strings.ToLower(name)
	}
	left, _ := n["left"].(Node)
	names, _ := left["column_names"].([]any)
	if Text(n, "type") != "COMPARE_EQUAL" || Text(left, "type") != "COLUMN_REF" || len(names) != 1 {
		return ""
	}
	name, _ := names[0].(string)
	return strings.ToLower(name)
}

// Has reports whether the reader is given one of the arguments, whatever its
// value.
func (s *TextScan) Has(names ...string) bool {
	return slices.ContainsFunc(s.named, func(a any) bool { return slices.Contains(names, ArgName(a)) })
}

// Is reports whether the reader is certainly given a flag of that value.
func (s *TextScan) Is(name string, value bool) bool {
	for _, a := range s.named {
		if ArgName(a) != name {
			continue
		}
		said, _ := argValue(a)
		if is, known := truth(said); known {
			return is == value
		}
	}
	return false
}

// argValue is a constant that is given as an argument, and whether it is a text as it
// stands; "" if it is none.
func argValue(arg any) (value string, text bool) {
	v, _ := arg.(Node)
	if right, ok := v["right"].(Node); ok {
		v = right
	}
	text = true
	if child, ok := v["child"].(Node); ok && Text(v, "type") == "OPERATOR_CAST" {
		v, text = child, false
	}
	if v, _ = v["value"].(Node); v["value"] == nil {
		return "", false
	}
	typ, _ := v["type"].(Node)
	return fmt.Sprint(v["value"]), text && Text(typ, "id") == "VARCHAR"
}

// truth is what a text says as a BOOLEAN.
func truth(text string) (value, known bool) {
	switch strings.ToLower(text) {
	case "t", "true", "1":
		return true, true
	case "f", "false", "0":
		return false, true
	}
	return false, false
}

// Key tells scans apart that may read different rows.
func (s *TextScan) Key() string {
	b, err := json.Marshal([]any{s.Function, s.Patterns, Unplaced(s.named)})
	if err != nil { // strings and numbers always have JSON
		return fmt.Sprintf("%p", s)
	}
	return string(b)
}

// Reader is the scan as a call of function on a path, with the named arguments
// but those left out, as the FROM of a tree.
func (s *TextScan) Reader(function, path string, without ...string) Node {
	args := []any{constant(path)}
	for _, a := range s.named {
		if !slices.Contains(without, ArgName(a)) {
			args = append(args, a)
		}
	}
	return Node{"type": "TABLE_FUNCTION", "alias": "", "sample": nil, "query_location": unplaced, "function": call(function, args),
		"column_name_alias": []any{}, "with_ordinality": "WITHOUT_ORDINALITY"}
}

// Replace has the tree read a table instead. It keeps the name by which the rest
// of the query knows the columns.
func (s *TextScan) Replace(catalog, schema, table string) {
	old := maps.Clone(s.node)
	clear(s.node)
	alias := Text(old, "alias")
	if alias == "" {
		alias = s.alias
	}
	maps.Copy(s.node, Node{"type": "BASE_TABLE", "alias": alias, "sample": old["sample"], "query_location": unplaced,
		"catalog_name": catalog, "schema_name": schema, "table_name": table, "column_name_alias": old["column_name_alias"], "at_clause": nil})
}

// Mentions reports whether the tree names a column so, in lower case. An argument of a
// reader, name = value, names none.
func Mentions(root Node, names ...string) bool {
	count := 0
	Walk(root, func(n Node) {
		for _, field := range []string{"column_names", "using_columns"} {
			list, _ := n[field].([]any)
			for _, v := range list {
				if s, _ := v.(string); slices.Contains(names, strings.ToLower(s)) {
					count++
				}
			}
		}
		if Text(n, "type") != "TABLE_FUNCTION" {
			return
		}
		fn, _ := n["function"].(Node)
		args, _ := fn["children"].([]any)
		for _, a := range args {
			if arg, _ := a.(Node); arg["left"] != nil && slices.Contains(names, ArgName(a)) {
				count--
			}
		}
	})
	return count > 0
}

// unplaced is DuckDB's number for: not in the text.
const unplaced = json.Number("18446744073709551615")

func constant(s string) Node {
	return Node{"class": "CONSTANT", "type": "VALUE_CONSTANT", "alias": "", "query_location": unplaced,
		"value": Node{"type": Node{"id": "VARCHAR", "type_info": nil}, "is_null": false, "value": s}}
}

func call(function string, args []any) Node {
	return Node{"class": "FUNCTION", "type": "FUNCTION", "alias": "", "query_location": unplaced, "function_name": function, "schema": "",
		"children": args, "filter": nil, "order_bys": Node{"type": "ORDER_MODIFIER", "orders": []any{}},
		"distinct": false, "is_operator": false, "export_state": false, "catalog": ""}
}
