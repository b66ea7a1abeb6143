package plan

import (
	"fmt"
	"strings"
)

// tokenKind classes what DuckDB's lexer would see. Only as much is told apart
// as placeholders and the word scan need.
type tokenKind uint8

const (
	tokSpace   tokenKind = iota // blanks and comments
	tokWord                     // identifier or keyword, unquoted
	tokQuoted                   // "identifier"
	tokString                   // 'text', E'text', $tag$text$tag$
	tokNumber                   // 1, 1.5, 1e5
	tokPunct                    // one byte of anything else
	tokLineEnd                  // a comment to the end of its line
)

type token struct {
	kind       tokenKind
	start, end int
}

func (t token) in(s string) string { return s[t.start:t.end] }

// lex cuts SQL text into tokens that together are the whole text. It fails only
// on what never ends: a quote or comment that is not closed.
func lex(s string) ([]token, error) {
	var out []token
	for i := 0; i < len(s); {
		kind, end := lexOne(s, i)
		if end < 0 {
			return nil, fmt.Errorf("%s that starts at %q is not closed", unclosed[kind], clip(s[i:]))
		}
		out = append(out, token{kind, i, end})
		i = end
	}
	return out, nil
}

var unclosed = map[tokenKind]string{tokSpace: "a comment", tokQuoted: "a quoted identifier", tokString: "a string"}

// lexOne is the token at i: its kind and end, -1 when it is not closed.
func lexOne(s string, i int) (tokenKind, int) {
	c := s[i]
	switch {
	case isBlank(c):
		for i < len(s) && isBlank(s[i]) {
			i++
		}
		return tokSpace, i
	case strings.HasPrefix(s[i:], "--"):
		if n := strings.IndexByte(s[i:], '\n'); n >= 0 {
			return tokSpace, i + n + 1
		}
		return tokLineEnd, len(s)
	case strings.HasPrefix(s[i:], "/*"):
		return tokSpace, endComment(s, i)
	case c == '\'':
		return tokString, endQuote(s, i, '\'', false)
	case c == '"':
		return tokQuoted, endQuote(s, i, '"', false)
	case (c == 'e' || c == 'E') && i+1 < len(s) && s[i+1] == '\'':
		return tokString, endQuote(s, i+1, '\'', true)
	case c == '$':
		if tag := dollarTag(s[i:]); tag != "" {
			if n := strings.Index(s[i+len(tag):], tag); n >= 0 {
				return tokString, i + n + 2*len(tag)
			}
			return tokString, -1
		}
		return tokPunct, i + 1
	case isLetter(c):
		for i < len(s) && (isLetter(s[i]) || isDigit(s[i]) || s[i] == '$') {
			i++
		}
		return tokWord, i
	case isDigit(c):
		for i < len(s) && (isDigit(s[i]) || isLetter(s[i]) || s[i] == '.') {
			i++
		}
		return tokNumber, i
	}
	return tokPunct, i + 1
}

// endQuote is where the quote that opens at i ends. A doubled quote is text; so
// is what follows a backslash when escapes holds.
func endQuote(s string, i int, quote byte, escapes bool) int {
	for i++; i < len(s); i++ {
		switch {
		case escapes && s[i] == '\\':
			i++
		case s[i] != quote:
		case i+1 < len(s) && s[i+1] == quote:
			i++
		default:
			return i + 1
		}
	}
	return -1
}

// endComment is where the block comment at i ends; comments nest.
func endComment(s string, i int) int {
	depth := 0
	for ; i+1 < len(s); i++ {
		switch s[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// dollarTag is the opening $$ or $tag$ of s, or "".
func dollarTag(s string) string {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '$':
			return s[:i+1]
		case !isLetter(s[i]) && (i == 1 || !isDigit(s[i])):
			return ""
		}
	}
	return ""
}

func isBlank(c byte) bool  { return c == ' ' || c >= '\t' && c <= '\r' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c == '_' || c >= 0x80 || c|0x20 >= 'a' && c|0x20 <= 'z' }

// clip is the start of a text, for an error.
func clip(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
