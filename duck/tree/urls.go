package tree

import (
	"maps"
	"strings"
)

// plainURL is the URL that a place of the tree reads as Parquet without a word of how, as a
// table's name or by read_parquet. Tables of hidden names, in lower case, are none.
func plainURL(n Node, hidden map[string]bool) (url string, ok bool) {
	switch Text(n, "type") {
	case "BASE_TABLE":
		url = Text(n, "table_name")
		if Text(n, "schema_name") != "" || Text(n, "catalog_name") != "" || n["at_clause"] != nil || hidden[strings.ToLower(url)] || IsFile(url) && suffixOf(url) != "parquet" {
			return "", false
		}
	case "TABLE_FUNCTION":
		fn, _ := n["function"].(Node)
		args, _ := fn["children"].([]any)
		if f := strings.ToLower(Text(fn, "function_name")); f != "read_parquet" && f != "parquet_scan" || len(args) != 1 || Text(n, "with_ordinality") == "WITH_ORDINALITY" {
			return "", false
		}
		var list []string
		if arg, _ := args[0].(Node); Text(arg, "type") == "VALUE_CONSTANT" && constantStrings(arg, &list) {
			url = list[0]
		}
	}
	return url, strings.Contains(url, "://")
}

// readView has a place that reads a URL read a view, by the name that DuckDB gives it.
func readView(n Node, url, view string) {
	old := maps.Clone(n)
	alias := Text(old, "alias")
	fn, called := old["function"].(Node)
	switch {
	case alias != "":
	case called:
		alias = Text(fn, "function_name")
	case !IsFile(url):
		alias = url
	case strings.ContainsAny(url, "*?["):
		alias = "read_parquet"
	default:
		alias, _, _ = strings.Cut(url[strings.LastIndex(url, "/")+1:], ".")
	}
	clear(n)
	maps.Copy(n, Node{"type": "BASE_TABLE", "alias": alias, "sample": old["sample"], "query_location": unplaced,
		"catalog_name": "", "schema_name": "", "table_name": view, "column_name_alias": old["column_name_alias"], "at_clause": nil})
}
