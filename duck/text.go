//go:build duckdb_arrow

package duck

import "strings"

// quoteName is name as an SQL identifier.
func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// quoteText is s as an SQL string.
func quoteText(s string) string { return `'` + strings.ReplaceAll(s, `'`, `''`) + `'` }

// quoteList is list as an SQL list of strings.
func quoteList(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = quoteText(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// tokenKind is what a piece of SQL is to DuckDB's lexer.
type tokenKind uint8

const (
	blank   tokenKind = iota // white space
	comment                  // -- or /* */
	text                     // '…' or $tag$…$tag$
	escaped                  // E'…'
	name                     // "…"
	word                     // identifier, keyword or number
	other                    // one byte of anything else, or $1, $name
)

// token is the first token of s, which is not empty, and its length. What does
// not end takes the rest of s.
func token(s string) (kind tokenKind, n int) {
	switch c := s[0]; {
	case strings.IndexByte(" \t\n\r\f\v", c) >= 0:
		return blank, 1
	case strings.HasPrefix(s, "--"):
		if i := strings.IndexByte(s, '\n'); i >= 0 {
			return comment, i + 1
		}
		return comment, len(s)
	case strings.HasPrefix(s, "/*"):
		return comment, commentLen(s)
	case c == '\'':
		return text, quotedLen(s, false)
	case c == '"':
		return name, quotedLen(s, false)
	case (c == 'e' || c == 'E') && len(s) > 1 && s[1] == '\'':
		return escaped, 1 + quotedLen(s[1:], true)
	case c == '$':
		return dollar(s)
	case wordByte(c):
		n = 1
		for n < len(s) && (wordByte(s[n]) || s[n] == '$' && !digit(c)) {
			n++
		}
		return word, n
	}
	return other, 1
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func wordByte(c byte) bool {
	return c == '_' || c >= 0x80 || digit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// commentLen is the length of the comment at the start of s; they nest.
func commentLen(s string) int {
	depth := 0
	for i := 0; i+1 < len(s); i++ {
		switch s[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(s)
}

// quotedLen is the length of the string or name at the start of s. A doubled
// quote needs no care: it reads as two side by side.
func quotedLen(s string, escapes bool) int {
	for i := 1; i < len(s); i++ {
		switch {
		case escapes && s[i] == '\\':
			i++
		case s[i] == s[0]:
			return i + 1
		}
	}
	return len(s)
}

// dollar is the token that begins with a dollar sign.
func dollar(s string) (tokenKind, int) {
	n := 1
	for n < len(s) && wordByte(s[n]) && (!digit(s[1]) || digit(s[n])) {
		n++
	}
	if n >= len(s) || s[n] != '$' || digit(s[1]) {
		return other, n
	}
	tag := s[:n+1]
	if end := strings.Index(s[n+1:], tag); end >= 0 {
		return text, n + 1 + end + len(tag)
	}
	return text, len(s)
}

// trimQuery cuts white space, comments and semicolons off the end of sql, so
// that it can stand in parentheses. What it cannot read it leaves for DuckDB to
// complain of.
func trimQuery(sql string) string {
	end := 0
	for i := 0; i < len(sql); {
		kind, n := token(sql[i:])
		i += n
		if kind != blank && kind != comment && sql[i-n] != ';' {
			end = i
		}
	}
	return sql[:end]
}
