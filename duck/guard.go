//go:build duckdb_arrow

package duck

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// DuckDB confines a locked engine to the paths it may use: it resolves links,
// "." and ".." before it compares, wherever a path comes from. Some functions
// stand outside that wall, and the SQL given to a locked engine may not call
// them. This reads tokens, not grammar: where it is in doubt it refuses.

// refused are functions that write where they like, that run SQL given as data,
// that tell the names of files, or that take pointers.
var refused = map[string]bool{
	"enable_logging": true, "enable_profiling": true,
	"query": true, "query_table": true, "json_execute_serialized_sql": true, "from_substrait": true, "from_substrait_json": true,
	"import_database": true, "copy_database": true, "sql_auto_complete": true,
	"arrow_scan": true, "arrow_scan_dumb": true, sinkName: true,
}

// lexeme is a token that matters, with its meaning: words in lower case, the
// text of strings and names without their quotes.
type lexeme struct {
	kind tokenKind
	text string
}

func (l lexeme) is(s string) bool { return l.kind != text && l.text == s }

// guard refuses SQL that calls a refused function, or may.
func guard(sql string) error {
	list, why := lexemes(sql)
	if why == "" {
		why = inspect(list)
	}
	if why != "" {
		return newError("Permission Error: "+why, sql)
	}
	return nil
}

// lexemes splits sql, or says why it cannot be read with certainty.
func lexemes(sql string) (list []lexeme, why string) {
	for i := 0; i < len(sql); {
		kind, n := token(sql[i:])
		raw := sql[i : i+n]
		i += n
		l := lexeme{kind: kind}
		switch kind {
		case blank:
			continue
		case comment:
			if strings.Contains(strings.ReplaceAll(raw, "\r\n", "\n"), "\r") {
				return nil, "a carriage return in a comment"
			}
			continue
		case text:
			l.text = inner(raw)
		case name:
			l.text = strings.ToLower(inner(raw))
		case escaped:
			l.text = inner(raw[1:])
		case word:
			if odd(raw) {
				return nil, "an ambiguous word: " + raw
			}
			if i < len(sql) && sql[i] == '$' {
				return nil, "a $ right after " + raw
			}
			l.text = strings.ToLower(raw)
		case other:
			if raw[0] == 0 {
				return nil, "a NUL"
			}
			if n > 1 && i < len(sql) && (wordByte(sql[i]) || sql[i] == '$') {
				return nil, "an ambiguous parameter: " + raw
			}
			l.text = raw
		}
		list = append(list, l)
	}
	return list, ""
}

// inner is a string or name without its quotes.
func inner(raw string) string {
	open := 1
	if raw[0] == '$' {
		open = strings.IndexByte(raw[1:], '$') + 2
	}
	if len(raw) < 2*open {
		return raw
	}
	return raw[open : len(raw)-open]
}

// odd reports whether DuckDB may see a space, or an end, within a word.
func odd(s string) bool {
	for _, r := range s {
		if r == '$' || r == utf8.RuneError || r > unicode.MaxASCII && (unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Z, r)) {
			return true
		}
	}
	return false
}

// inspect says what is wrong with a list of tokens, if anything.
func inspect(list []lexeme) string {
	for i, l := range list {
		if (l.kind == word || l.kind == name) && refused[l.text] && (next(list, i).is("(") || i > 0 && list[i-1].is("pragma")) {
			return "the function " + l.text + " cannot be used here"
		}
	}
	return ""
}

// next is the token after the i-th, or none.
func next(list []lexeme, i int) lexeme {
	if i+1 < len(list) {
		return list[i+1]
	}
	return lexeme{}
}
