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

// AbsoluteFiles makes every file that the tree names absolute, in place,
// against the folder dir, and returns them, each once, sorted.
func AbsoluteFiles(n Node, dir string) []string {
	var files []string
	resolve := func(path string) string {
		if !filepath.IsAbs(path) && !strings.Contains(path, "://") {
			path = filepath.Join(dir, path)
		}
		files = append(files, path)
		return path
	}
	ctes := cteNames(n)
	Walk(n, func(n Node) {
		switch {
		case Text(n, "type") == "BASE_TABLE":
			name := Text(n, "table_name")
			if Text(n, "schema_name") == "" && Text(n, "catalog_name") == "" && !ctes[name] && IsFile(name) {
				n["table_name"] = resolve(name)
			}
		case Text(n, "type") == "TABLE_FUNCTION":
			fn, _ := n["function"].(Node)
			args, _ := fn["children"].([]any)
			if readers[strings.ToLower(Text(fn, "function_name"))] && len(args) > 0 {
				eachString(args[0], resolve)
			}
		}
	})
	slices.Sort(files)
	return slices.Compact(files)
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

// cteNames are the names that WITH gives, anywhere: they hide files.
func cteNames(n Node) map[string]bool {
	names := map[string]bool{}
	Walk(n, func(n Node) {
		m, _ := n["cte_map"].(Node)
		entries, _ := m["map"].([]any)
		for _, e := range entries {
			if e, ok := e.(Node); ok {
				names[Text(e, "key")] = true
			}
		}
	})
	return names
}
