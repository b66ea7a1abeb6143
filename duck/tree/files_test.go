package tree

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestIsFile(t *testing.T) {
	for name, want := range map[string]bool{
		"a.parquet": true, "dir/*.PARQUET": true, "a.csv.gz": true, "x.ndjson.zst": true,
		"lineitem": false, "a.parquet.bak": false, "parquet": false, "": false,
	} {
		if got := IsFile(name); got != want {
			t.Errorf("IsFile(%q) = %v", name, got)
		}
	}
}

// The tree of: WITH "c.csv" AS (…) SELECT … FROM 'a.parquet', "c.csv",
// read_csv(['b.csv', '/abs/d.csv']), main."t.csv", 'x/*.json'
const sample = `{"error":false,"statements":[{"node":{"type":"SELECT_NODE","cte_map":{"map":[{"key":"c.csv","value":{}}]},
"query_location":18446744073709551615,
"from_table":{"type":"JOIN","left":{"type":"BASE_TABLE","schema_name":"","catalog_name":"","table_name":"a.parquet"},
"right":{"type":"JOIN","left":{"type":"BASE_TABLE","schema_name":"","catalog_name":"","table_name":"c.csv"},
"right":{"type":"TABLE_FUNCTION","function":{"function_name":"read_csv","children":[{"function_name":"list_value","children":[
{"type":"VALUE_CONSTANT","value":{"value":"b.csv"}},{"type":"VALUE_CONSTANT","value":{"value":"/abs/d.csv"}}]}]}},
"extra":[{"type":"BASE_TABLE","schema_name":"main","catalog_name":"","table_name":"t.csv"},
{"type":"BASE_TABLE","schema_name":"","catalog_name":"","table_name":"x/*.json"}]}}}}]}`

func TestAbsoluteFiles(t *testing.T) {
	n, err := Decode([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	got := AbsoluteFiles(n, Place{Dir: "/home/u"})
	want := []File{{Path: "/abs/d.csv", Suffix: "csv"}, {Path: "/home/u/a.parquet", Suffix: "parquet"}, {Path: "/home/u/b.csv", Suffix: "csv"}, {Path: "/home/u/x/*.json", Suffix: "json"}}
	if !slices.Equal(got.List, want) || !got.Changed || got.Unclear != nil || got.Databases != nil {
		t.Fatalf("%+v, want %+v", *got, want)
	}
	b, err := Encode(n)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if got := AbsoluteFiles(again, Place{Dir: "/other"}); got.Changed || !slices.Equal(got.List, want) {
		t.Fatalf("the rewritten tree names %+v, want %+v", *got, want)
	}
	if !strings.Contains(string(b), "18446744073709551615") {
		t.Fatal("a large number lost its digits")
	}
}

func TestAbsolute(t *testing.T) {
	for name, want := range map[string]string{
		"a.csv": "/home/u/a.csv", "./a//b.csv": "/home/u/a/b.csv", "../a.csv": "/home/u/../a.csv", "/x/./a.csv": "/x/a.csv", "/x/../a/*.csv": "/x/../a/*.csv", "a/": "/home/u/a/",
		"s3://b/../a.csv": "s3://b/../a.csv", "file:///x/a.csv": "/x/a.csv", "file:/x/a.csv": "/x/a.csv", "file://localhost/x/a.csv": "/x/a.csv", "file://x/a.csv": "file://x/a.csv",
		"file:a.csv": "/home/u/file:a.csv", "~/a.csv": "/root/a.csv", "": "",
	} {
		if got := (Place{Dir: "/home/u", Home: "/root"}).Absolute(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// A path that is computed is not to be told, and DuckDB's own files are.
func TestFilesUnclear(t *testing.T) {
	column := Node{"type": "COLUMN_REF", "column_names": []any{"x"}}
	for _, c := range []struct {
		node Node
		want Files
	}{
		{reader("read_csv", column), Files{Unclear: []string{"read_csv"}}},
		{reader("read_csv", call("list_value", []any{constant("/a"), column})), Files{List: []File{{Path: "/a", Suffix: "csv"}}, Unclear: []string{"read_csv"}}},
		{reader("Read_Text", constant("/a")), Files{List: []File{{Path: "/a", Lax: true}}}},
		{reader("read_duckdb", constant("/a")), Files{Databases: []string{"read_duckdb"}}},
		{table("x.duckdb", ""), Files{Databases: []string{"x.duckdb"}}},
		{table("/a.csv?x", ""), Files{List: []File{{Path: "/a.csv?x", Suffix: "csv"}}}},
		{reader("range", column), Files{}},
	} {
		if got := AbsoluteFiles(Node{"from_table": c.node}, Place{Dir: "/"}); !reflect.DeepEqual(*got, c.want) {
			t.Errorf("%v: %+v, want %+v", c.node, *got, c.want)
		}
	}
}

// Views hide files, whatever they are called, and are tables.
func TestTables(t *testing.T) {
	n, err := Decode([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	same, err := Decode([]byte(strings.ReplaceAll(sample, "18446744073709551615", "7")))
	if err != nil {
		t.Fatal(err)
	}
	if reflect.DeepEqual(n, same) || !reflect.DeepEqual(Unplaced(n), Unplaced(same)) {
		t.Error("where a text has things counts for what it says")
	}
	if got, want := slices.Sorted(maps.Keys(Tables(n))), []string{"a.parquet", "t.csv", "x/*.json"}; !slices.Equal(got, want) {
		t.Errorf("tables %q, want %q", got, want)
	}
	got := AbsoluteFiles(n, Place{Dir: "/d"}, "a.parquet").List
	if slices.Contains(got, File{Path: "/d/a.parquet", Suffix: "parquet"}) || !slices.Contains(got, File{Path: "/d/x/*.json", Suffix: "json"}) {
		t.Errorf("files %v", got)
	}
	if reflect.DeepEqual(Unplaced(n), Unplaced(same)) {
		t.Error("other files count for nothing")
	}
}
