package lexer

import (
	"strconv"
	"strings"
)

// Value returns the value of the token in s, the text it was cut from: the content
// of a string or quoted name, as DuckDB reads it; other tokens as written.
func (t Token) Value(s string) string {
	raw := t.In(s)
	switch {
	case t.Kind != String && t.Kind != Quoted:
		return raw
	case raw[0] == '$':
		tag := strings.IndexByte(raw[1:], '$') + 2
		return raw[tag : len(raw)-tag]
	}
	var b strings.Builder
	escapes := raw[0]|0x20 == 'e'
	for i := strings.IndexAny(raw, `'"`); i >= 0; {
		end := endQuote(raw, i, escapes)
		part := raw[i+1 : end-1]
		if escapes {
			unescape(&b, part)
		} else {
			b.WriteString(strings.ReplaceAll(part, raw[i:i+1]+raw[i:i+1], raw[i:i+1]))
		}
		i = continued(raw, end)
	}
	return b.String()
}

// unescape writes a text in which a backslash and a doubled quote mean something.
func unescape(b *strings.Builder, s string) {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\'':
			b.WriteByte(c)
			i++ // its double
		case c != '\\' || i+1 == len(s):
			b.WriteByte(c)
		default:
			i++
			i += escape(b, s[i:])
		}
	}
}

// single are the escapes of one letter.
var single = map[byte]byte{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escape writes what follows a backslash, and returns how many bytes it took
// beyond the first.
func escape(b *strings.Builder, s string) int {
	code := func(from, most, base int) (end int) {
		end = from
		for end < len(s) && end < from+most && digitValue(s[end]) < base {
			end++
		}
		if end > from {
			n, _ := strconv.ParseUint(s[from:end], base, 16)
			b.WriteByte(byte(n))
		}
		return end
	}
	if c, ok := single[s[0]]; ok {
		b.WriteByte(c)
		return 0
	}
	if s[0] == 'x' {
		if end := code(1, 2, 16); end > 1 {
			return end - 1
		}
	}
	if end := code(0, 3, 8); end > 0 {
		return end - 1
	}
	b.WriteByte(s[0])
	return 0
}

// digitValue is the value of a hexadecimal digit, or more than any has.
func digitValue(c byte) int {
	switch {
	case isDigit(c):
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return 16
}

// QuoteName returns name as an SQL identifier.
func QuoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// QuoteText returns s as an SQL string. DuckDB stops reading SQL at a zero byte,
// so a text that has one is put together of strings, in parentheses.
func QuoteText(s string) string {
	if !strings.Contains(s, "\x00") {
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	parts := strings.Split(s, "\x00")
	for i, p := range parts {
		parts[i] = QuoteText(p)
	}
	return "(" + strings.Join(parts, " || chr(0) || ") + ")"
}
