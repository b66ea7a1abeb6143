package tree

import (
	"path/filepath"
	"slices"
	"strings"
)

// readers are the table functions whose first argument names files.
var readers = map[string]bool{
	"read_parquet": true, "parquet_scan": true, "parquet_metadata": true, "parquet_schema": true,
	"parquet_file_metadata": true, "parquet_kv_metadata": true, "parquet_bloom_probe": true,
	"read_csv": true, "read_csv_auto": true, "sniff_csv": true,
	"read_json": true, "read_json_auto": true, "read_ndjson": true, "read_ndjson_auto": true,
	"read_json_objects": true, "read_json_objects_auto": true, "read_ndjson_objects": true,
	"read_text": true, "read_blob": true, "glob": true,
}

// suffixes are the file names that DuckDB reads when they stand for a table.
var suffixes = []string{".parquet", ".csv", ".tsv", ".json", ".jsonl", ".ndjson"}

// packed are compressions that may follow a text format's suffix.
var packed = []string{".gz", ".zst"}

// IsFile reports whether DuckDB takes a table's name for a file's, or a glob.
func IsFile(name string) bool {
	low := strings.ToLower(name)
	for _, p := range packed {
		low = strings.TrimSuffix(low, p)
	}
	return slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(low, s) })
}

// IsReader reports whether a table function's first argument names files.
func IsReader(function string) bool { return readers[strings.ToLower(function)] }

// Absolute is a file's name that means the same in every folder; dir is the one
// that a relative name is looked up in.
func Absolute(dir, name string) string {
	switch {
	case strings.Contains(name, "://"):
		return name
	case filepath.IsAbs(name):
		return filepath.Clean(name)
	}
	return filepath.Join(dir, name)
}

// AbsoluteFiles makes every file that the tree names absolute, in place,
// against the folder dir, and returns them, each once, sorted, and whether one
// was not so before. Names of views, in lower case, are no files whatever they
// look like.
func AbsoluteFiles(n Node, dir string, views ...string) (files []string, changed bool) {
	resolve := func(path string) string {
		abs := Absolute(dir, path)
		files = append(files, abs)
		changed = changed || abs != path
		return abs
	}
	ctes := cteNames(n)
	for _, v := range views {
		ctes[v] = true
	}
	Walk(n, func(n Node) {
		switch {
		case Text(n, "type") == "BASE_TABLE":
			name := Text(n, "table_name")
			if Text(n, "schema_name") == "" && Text(n, "catalog_name") == "" && !ctes[strings.ToLower(name)] && IsFile(name) {
				n["table_name"] = resolve(name)
			}
		case Text(n, "type") == "TABLE_FUNCTION":
			fn, _ := n["function"].(Node)
			args, _ := fn["children"].([]any)
			if IsReader(Text(fn, "function_name")) && len(args) > 0 {
				eachString(args[0], resolve)
			}
		}
	})
	slices.Sort(files)
	return slices.Compact(files), changed
}

// eachString replaces a string constant, or each of a list of them.
func eachString(arg any, f func(string) string) {
	n, _ := arg.(Node)
	switch {
	case Text(n, "type") == "VALUE_CONSTANT":
		if v, ok := n["value"].(Node); ok {
			if s, ok := v["value"].(string); ok {
				v["value"] = f(s)
			}
		}
	case Text(n, "function_name") == "list_value", Text(n, "type") == "ARRAY_CONSTRUCTOR":
		children, _ := n["children"].([]any)
		for _, c := range children {
			eachString(c, f)
		}
	}
}

// Tables are the names, in lower case, that the tree reads as tables or views and
// that WITH does not give. Those of other schemas than a session's own are left
// out.
func Tables(n Node) map[string]bool {
	ctes, out := cteNames(n), map[string]bool{}
	Walk(n, func(n Node) {
		name, schema, catalog := strings.ToLower(Text(n, "table_name")), strings.ToLower(Text(n, "schema_name")), strings.ToLower(Text(n, "catalog_name"))
		switch {
		case Text(n, "type") != "BASE_TABLE", ctes[name] && schema == "":
		case !own[schema] || !own[catalog]:
		default:
			out[name] = true
		}
	})
	return out
}

// own are the schemas and databases in which a session's views are.
var own = map[string]bool{"": true, "main": true, "temp": true, "memory": true}

// cteNames are the names that WITH gives, anywhere, in lower case: they hide
// files.
func cteNames(n Node) map[string]bool {
	names := map[string]bool{}
	Walk(n, func(n Node) {
		m, _ := n["cte_map"].(Node)
		entries, _ := m["map"].([]any)
		for _, e := range entries {
			if e, ok := e.(Node); ok {
				names[strings.ToLower(Text(e, "key"))] = true
			}
		}
	})
	return names
}
