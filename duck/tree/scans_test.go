package tree

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// reader is a call as json_serialize_sql writes it.
func reader(name string, path any, args ...any) Node {
	return Node{"type": "TABLE_FUNCTION", "alias": "", "function": call(name, append([]any{path}, args...)), "with_ordinality": "WITHOUT_ORDINALITY"}
}

func table(name, alias string) Node {
	return Node{"type": "BASE_TABLE", "alias": alias, "schema_name": "", "catalog_name": "", "table_name": name, "at_clause": nil}
}

func TestTextScans(t *testing.T) {
	column := Node{"type": "COLUMN_REF", "column_names": []any{"x"}}
	for _, c := range []struct {
		node  Node
		want  string // patterns
		alias string // that the columns are known by
	}{
		{table("/d/a.b.csv", ""), "/d/a.b.csv", "a"},
		{table("/d/*.json.gz", ""), "/d/*.json.gz", "/d/*.json.gz"},
		{table("/d/a.ndjson", "n"), "/d/a.ndjson", "n"},
		{table("/d/a.parquet", ""), "", ""},
		{table("hidden.csv", ""), "", ""},
		{reader("read_csv", constant("/a.txt")), "/a.txt", "read_csv"},
		{reader("READ_JSON", call("list_value", []any{constant("/a"), constant("/b")}), flag("filename")), "/a /b", "READ_JSON"},
		{reader("read_csv", column), "", ""},
		{reader("read_csv", call("list_value", []any{constant("/a"), column})), "", ""},
		{reader("read_csv", constant("/a"), constant("/b")), "", ""},
		{reader("read_parquet", constant("/a")), "", ""},
	} {
		list := TextScans(Node{"from_table": c.node}, "Hidden.csv")
		text, _ := json.Marshal(c.node)
		if c.want == "" {
			if len(list) != 0 {
				t.Errorf("%s is a scan of %q", text, list[0].Patterns)
			}
			continue
		}
		if len(list) != 1 || strings.Join(list[0].Patterns, " ") != c.want {
			t.Errorf("%s: %v, want one of %s", text, list, c.want)
			continue
		}
		key := list[0].Key()
		list[0].Replace("temp", "main", "t1")
		if Text(c.node, "type") != "BASE_TABLE" || Text(c.node, "table_name") != "t1" || Text(c.node, "alias") != c.alias {
			t.Errorf("%s becomes %v", text, c.node)
		}
		if !strings.Contains(key, list[0].Function) {
			t.Errorf("the key %s does not name the reader", key)
		}
	}
}

func TestTextScanArguments(t *testing.T) {
	named := Node{"class": "CAST", "type": "OPERATOR_CAST", "alias": "Union_By_Name", "child": constant("t")}
	s := TextScans(reader("read_csv", constant("/a"), flag("header"), named))[0]
	if !s.Is("header", true) || s.Is("header", false) || !s.Is("union_by_name", true) || s.Is("skip", true) {
		t.Error("flags are misread")
	}
	if !s.Has("skip", "header") || s.Has("skip") {
		t.Error("arguments are misread")
	}
	fn, _ := s.Reader("sniff_csv", "/b", "header")["function"].(Node)
	args, _ := fn["children"].([]any)
	if Text(fn, "function_name") != "sniff_csv" || len(args) != 2 || ArgName(args[1]) != "union_by_name" {
		t.Errorf("the call is %v", fn)
	}
	root := Node{"a": Node{"column_names": []any{"t", "FileName"}}, "b": Node{"using_columns": []any{"rowid"}}}
	for _, name := range []string{"filename", "rowid"} {
		if !Mentions(root, name) {
			t.Errorf("%s is not found", name)
		}
	}
	if slices.ContainsFunc([]string{"t.filename", "file_index"}, func(n string) bool { return Mentions(root, n) }) {
		t.Error("what is not there is found")
	}
}

// flag is a reader's argument, name = true.
func flag(name string) Node {
	column := Node{"class": "COLUMN_REF", "type": "COLUMN_REF", "alias": "", "query_location": unplaced, "column_names": []any{name}}
	return Node{"class": "COMPARISON", "type": "COMPARE_EQUAL", "alias": "", "query_location": unplaced, "left": column, "right": constant("t")}
}
