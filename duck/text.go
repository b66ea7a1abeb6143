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

// trimQuery cuts white space, comments and semicolons off the end of sql, so
// that it can stand in parentheses. What it cannot read it leaves for DuckDB to
// complain of.
func trimQuery(sql string) string {
	end := 0
	for i := 0; i < len(sql); {
		n, blank := token(sql[i:])
		i += n
		if !blank {
			end = i
		}
	}
	return sql[:end]
}

// token is the length of the first token of s, and whether a query may end
// without it.
func token(s string) (n int, blank bool) {
	switch {
	case strings.IndexByte(" \t\n\r\f\v;", s[0]) >= 0:
		return 1, true
	case strings.HasPrefix(s, "--"):
		if i := strings.IndexByte(s, '\n'); i >= 0 {
			return i + 1, true
		}
		return len(s), true
	case strings.HasPrefix(s, "/*"):
		return comment(s), true
	case s[0] == '\'':
		return quoted(s, '\'', false), false
	case s[0] == '"':
		return quoted(s, '"', false), false
	case s[0] == '$':
		return dollar(s), false
	case wordByte(s[0]):
		return word(s), false
	}
	return 1, false
}

// word is the length of the identifier or number at the start of s, or of the
// escape string E'…' that it begins.
func word(s string) int {
	if (s[0] == 'e' || s[0] == 'E') && len(s) > 1 && s[1] == '\'' {
		return 1 + quoted(s[1:], '\'', true)
	}
	n := 1
	for n < len(s) && (wordByte(s[n]) || s[n] == '$') {
		n++
	}
	return n
}

func wordByte(c byte) bool {
	return c == '_' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// comment is the length of the comment at the start of s; they nest.
func comment(s string) int {
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

// quoted is the length of the string at the start of s. A doubled quote needs
// no care: it reads as two strings side by side.
func quoted(s string, quote byte, escapes bool) int {
	for i := 1; i < len(s); i++ {
		switch {
		case escapes && s[i] == '\\':
			i++
		case s[i] == quote:
			return i + 1
		}
	}
	return len(s)
}

// dollar is the length of the $tag$…$tag$ string at the start of s, or 1.
func dollar(s string) int {
	i := 1
	for i < len(s) && wordByte(s[i]) {
		i++
	}
	if i >= len(s) || s[i] != '$' {
		return 1
	}
	tag := s[:i+1]
	if end := strings.Index(s[i+1:], tag); end >= 0 {
		return i + 1 + end + len(tag)
	}
	return len(s)
}
