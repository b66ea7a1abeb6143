package tree

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"
)

// readers are the table functions whose first argument names files, with the
// suffix of the files that they read in a folder; none where they read no folders.
var readers = map[string]string{
	"read_parquet": "parquet", "parquet_scan": "parquet", "parquet_metadata": "parquet", "parquet_schema": "parquet",
	"parquet_file_metadata": "parquet", "parquet_kv_metadata": "parquet", "parquet_bloom_probe": "parquet", "parquet_full_metadata": "parquet",
	"read_csv": "csv", "read_csv_auto": "csv", "sniff_csv": "",
	"read_json": "json", "read_json_auto": "json", "read_ndjson": "json", "read_ndjson_auto": "json",
	"read_json_objects": "json", "read_json_objects_auto": "json", "read_ndjson_objects": "json",
	"read_text": "", "read_blob": "", "glob": "",
}

// suffixes are the file names that DuckDB reads when they stand for a table, also
// where a question mark follows.
var suffixes = []string{".parquet", ".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".geojson", ".geojsonl"}

// packed are compressions that may follow a text format's suffix.
var packed = []string{".gz", ".zst"}

// databases are the names of DuckDB's own files.
var databases = []string{".db", ".ddb", ".duckdb"}

// IsFile reports whether DuckDB takes a table's name for a file's, or a glob.
func IsFile(name string) bool { return like(name, suffixes) }

// like reports whether a name ends so.
func like(name string, suffixes []string) bool {
	low := strings.ToLower(name)
	for _, p := range packed {
		if cut, ok := strings.CutSuffix(low, p); ok {
			low = cut
			break
		}
	}
	return slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(low, s) || strings.Contains(low, s+"?") })
}

// IsReader reports whether a table function's first argument names files.
func IsReader(function string) bool {
	_, ok := readers[strings.ToLower(function)]
	return ok
}

// Place is where names of files are looked up.
type Place struct {
	Dir  string // relative names
	Home string // what ~ stands for
	// Pins are URLs that stand for others, such as one of a version.
	Pins map[string]string
	// Views are names of views, by URLs: what reads such a URL, and says nothing of how, is
	// to read the view.
	Views map[string]string
}

// local is the path of a file's URL on this machine, or the name itself.
func local(name string) string {
	for _, host := range []string{"file://localhost/", "file:///"} {
		if path, ok := strings.CutPrefix(name, host); ok {
			return "/" + path
		}
	}
	if path, ok := strings.CutPrefix(name, "file:/"); ok && !strings.HasPrefix(path, "/") {
		return "/" + path
	}
	return name
}

// Absolute returns a file's name that means the same in every place. A name with
// .. in it is unchanged: its meaning depends on links.
func (p Place) Absolute(name string) string {
	name = local(name)
	switch {
	case strings.HasPrefix(name, "~"):
		name = p.Home + name[1:]
	case strings.Contains(name, "://"), name == "":
		return cmp.Or(p.Pins[name], name)
	}
	if !filepath.IsAbs(name) {
		name = p.Dir + "/" + name
	}
	if slices.Contains(strings.Split(name, "/"), "..") {
		return name
	}
	if strings.HasSuffix(name, "/") {
		return strings.TrimSuffix(filepath.Clean(name), "/") + "/"
	}
	return filepath.Clean(name)
}

// File is a file, a folder or a glob that a query names.
type File struct {
	Path   string
	Suffix string // of the files read from it if it is a folder; empty: none
	Lax    bool   // that it means no file is no error
}

// lax are the readers that give no rows where there are no files.
var lax = map[string]bool{"read_text": true, "read_blob": true, "glob": true}

// FileOf is a file that a reader of that name is called with.
func FileOf(function, path string) File {
	function = strings.ToLower(function)
	return File{path, readers[function], lax[function]}
}

// Files lists the files that a query reads.
type Files struct {
	List    []File   // each once, in order
	Changed bool     // one was not named so before
	URLs    []string // such as Place.Views may have, and has not
	// Unclear are readers whose first argument is no text, nor a list of texts:
	// which files they read is not to be told.
	Unclear []string
	// Databases are files of DuckDB's own that it reads.
	Databases []string
}

// AbsoluteFiles makes every file that the tree names absolute, in place. Names of
// views, in lower case, are no files whatever they look like.
func AbsoluteFiles(n Node, place Place, views ...string) *Files {
	out := &Files{}
	resolve := func(reader string) func(string) string {
		return func(path string) string {
			abs := place.Absolute(path)
			out.List = append(out.List, FileOf(reader, abs))
			out.Changed = out.Changed || abs != path
			return abs
		}
	}
	ctes := cteNames(n)
	for _, v := range views {
		ctes[v] = true
	}
	Walk(n, func(n Node) {
		if url, ok := plainURL(n, ctes); ok {
			if view := place.Views[url]; view == "" {
				out.URLs = append(out.URLs, url)
			} else {
				readView(n, url, view)
				out.Changed = true
				return
			}
		}
		switch Text(n, "type") {
		case "BASE_TABLE":
			name := Text(n, "table_name")
			switch {
			case Text(n, "schema_name") != "" || Text(n, "catalog_name") != "" || ctes[strings.ToLower(name)]:
			case IsFile(name):
				n["table_name"] = resolve("read_" + suffixOf(name))(name)
			case like(name, databases):
				out.Databases = append(out.Databases, name)
			}
		case "TABLE_FUNCTION":
			fn, _ := n["function"].(Node)
			args, _ := fn["children"].([]any)
			name := strings.ToLower(Text(fn, "function_name"))
			switch {
			case name == "read_duckdb":
				out.Databases = append(out.Databases, name)
			case IsReader(name) && len(args) > 0 && !eachString(args[0], resolve(name)):
				out.Unclear = append(out.Unclear, name)
			}
		}
	})
	slices.SortFunc(out.List, func(a, b File) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Suffix, b.Suffix))
	})
	out.List = slices.Compact(out.List)
	return out
}

// suffixOf is that of the reader which DuckDB takes for a file that stands for a
// table.
func suffixOf(name string) string {
	switch {
	case like(name, suffixes[:1]):
		return "parquet"
	case like(name, suffixes[1:3]):
		return "csv"
	}
	return "json"
}

// eachString replaces a string constant, or each of a list of them. It reports
// whether the argument is nothing else.
func eachString(arg any, f func(string) string) bool {
	n, _ := arg.(Node)
	switch {
	case Text(n, "type") == "VALUE_CONSTANT":
		v, _ := n["value"].(Node)
		s, ok := v["value"].(string)
		if ok {
			v["value"] = f(s)
		}
		return ok
	case Text(n, "function_name") == "list_value", Text(n, "type") == "ARRAY_CONSTRUCTOR":
		children, _ := n["children"].([]any)
		all := true
		for _, c := range children {
			all = eachString(c, f) && all
		}
		return all
	}
	return false
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
