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
	got, changed := AbsoluteFiles(n, "/home/u")
	want := []string{"/abs/d.csv", "/home/u/a.parquet", "/home/u/b.csv", "/home/u/x/*.json"}
	if !slices.Equal(got, want) {
		t.Fatalf("files %q, want %q", got, want)
	}
	b, err := Encode(n)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if files, again := AbsoluteFiles(again, "/other"); !changed || again || !slices.Equal(files, want) {
		t.Fatalf("the rewritten tree names %q, want %q", files, want)
	}
	if !strings.Contains(string(b), "18446744073709551615") {
		t.Fatal("a large number lost its digits")
	}
}

func TestAbsolute(t *testing.T) {
	for name, want := range map[string]string{
		"a.csv": "/home/u/a.csv", "../a.csv": "/home/a.csv", "/x/./a.csv": "/x/a.csv", "/x/../a/*.csv": "/a/*.csv", "s3://b/../a.csv": "s3://b/../a.csv",
	} {
		if got := Absolute("/home/u", name); got != want {
			t.Errorf("Absolute(%q) = %q, want %q", name, got, want)
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
	if got, _ := AbsoluteFiles(n, "/d", "a.parquet"); slices.Contains(got, "/d/a.parquet") || !slices.Contains(got, "/d/x/*.json") {
		t.Errorf("files %q", got)
	}
	if reflect.DeepEqual(Unplaced(n), Unplaced(same)) {
		t.Error("other files count for nothing")
	}
}
