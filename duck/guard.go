//go:build duckdb_arrow

package duck

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// DuckDB confines a locked engine by comparing paths with the directories it
// may use. Its 1.4.1 takes "/job/./../secret" to be in /job, and enable_logging
// writes where it likes. So the SQL given to a locked engine must spell its
// paths out, without "." and ".." in them, and some functions are refused. This
// reads tokens, not grammar: where it is in doubt it refuses.

// opensFiles are the functions whose first argument is a path or a list of them.
var opensFiles = regexp.MustCompile(`^(read_.*|parquet_.*|sniff_.*|glob|scan_.*)$`)

// refused are functions that run SQL given as data, or open what their
// arguments do not name.
var refused = map[string]bool{
	"query": true, "query_table": true, "json_execute_serialized_sql": true, "from_substrait": true, "from_substrait_json": true,
	"enable_logging": true, "import_database": true, "copy_database": true, "sql_auto_complete": true,
	"arrow_scan": true, "arrow_scan_dumb": true, sinkName: true,
}

// pathOptions are options of COPY that become part of a path.
var pathOptions = map[string]bool{"filename_pattern": true, "file_extension": true}

// dotted matches text that, as a path, goes through "." or "..".
var dotted = regexp.MustCompile(`(^|/)\.\.?/|/\.\.?$`)

// lexeme is a token that matters, with its meaning: words in lower case, the
// text of strings and names without their quotes.
type lexeme struct {
	kind tokenKind
	text string
}

func (l lexeme) is(s string) bool { return l.kind != text && l.text == s }

// guard refuses SQL that might reach a path which DuckDB judges wrongly.
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
			if strings.Contains(raw, `\`) && strings.Contains(raw, "/") {
				return nil, "a path with escapes: " + raw
			}
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
	at := func(i int) lexeme {
		if i < 0 || i >= len(list) {
			return lexeme{}
		}
		return list[i]
	}
	first, depth, copying := lexeme{}, 0, false
	for i, l := range list {
		if i == 0 || at(i-1).is(";") {
			first, depth, copying = l, 0, false
		}
		next := at(i + 1)
		switch {
		case l.kind == text || l.kind == escaped || l.kind == name:
			if why := badText(list[i:]); why != "" {
				return why
			}
		case l.is("("):
			depth++
		case l.is(")"):
			depth--
		case l.is("copy") && (l == first || first.is("prepare") || first.is("explain")):
			copying, depth = true, 0
		case copying && depth == 0 && (l.is("to") || l.is("from")) && (next.is("(") || next.kind == other):
			return "COPY needs its path written out"
		case copying && pathOptions[l.text] && next.kind != text:
			return l.text + " needs its text written out"
		}
		if l.kind != word && l.kind != name {
			continue
		}
		if refused[l.text] && (next.is("(") || at(i-1).is("pragma")) {
			return "the function " + l.text + " cannot be used here"
		}
		if opensFiles.MatchString(l.text) && next.is("(") && !literalArgument(list[i+2:]) {
			return l.text + " needs its paths written out"
		}
	}
	return ""
}

// badText looks at the strings or names that stand side by side at the start of
// list: DuckDB joins them.
func badText(list []lexeme) string {
	joined := ""
	for i, l := range list {
		if l.kind != list[0].kind {
			if l.kind == text && list[0].kind == escaped {
				return "a string after one with escapes"
			}
			break
		}
		if i > 0 && l.kind == escaped {
			return "a string after one with escapes"
		}
		joined += l.text
	}
	if strings.Contains(joined, "/") && dotted.MatchString(joined) {
		return "a path with . or .. in it: " + joined
	}
	return ""
}

// literalArgument reports whether the first argument of a call, which list
// begins with, is a string or a list of strings.
func literalArgument(list []lexeme) bool {
	in := false
	for i, l := range list {
		switch {
		case l.kind == text:
		case l.is("[") && i == 0:
			in = true
		case l.is("]") && in:
			in = false
		case l.is(",") && in:
		case l.is(",") || l.is(")"):
			return !in
		default:
			return false
		}
	}
	return false
}
