// Package lexer cuts SQL text into the tokens that DuckDB's own lexer would see.
//
// It is pure, and knows no grammar: it tells apart only what those need who find
// placeholders, words, file names and the ends of statements in a text. It
// refuses nothing but what never ends.
package lexer

import (
	"fmt"
	"strings"
)

// Kind classes tokens.
type Kind uint8

// Kinds of tokens.
const (
	Space   Kind = iota // blanks and comments
	Word                // identifier or keyword, unquoted
	Quoted              // "identifier"
	String              // 'text', E'text', $tag$text$tag$
	Number              // 1, 1.5, 1e5
	Punct               // one byte of anything else
	LineEnd             // a comment to the end of its line
)

// Token is a piece of a text, from byte Start up to End.
type Token struct {
	Kind       Kind
	Start, End int
}

// In is the token's text in s, which it was cut from.
func (t Token) In(s string) string { return s[t.Start:t.End] }

// Lex cuts SQL text into tokens that together are the whole text. It fails only
// on what never ends, a quote or comment that is not closed; the tokens are then
// those before it.
func Lex(s string) ([]Token, error) {
	var out []Token
	for i := 0; i < len(s); {
		kind, end := lexOne(s, i)
		if end < 0 {
			return out, fmt.Errorf("%s that starts at %q is not closed", unclosed[kind], Clip(s[i:]))
		}
		out = append(out, Token{kind, i, end})
		i = end
	}
	return out, nil
}

// Solid is the tokens without blanks and comments.
func Solid(toks []Token) []Token {
	out := make([]Token, 0, len(toks))
	for _, t := range toks {
		if t.Kind != Space && t.Kind != LineEnd {
			out = append(out, t)
		}
	}
	return out
}

var unclosed = map[Kind]string{Space: "a comment", Quoted: "a quoted identifier", String: "a string"}

// lexOne is the token at i: its kind and end, -1 when it is not closed.
func lexOne(s string, i int) (Kind, int) {
	c := s[i]
	switch {
	case isBlank(c):
		for i < len(s) && isBlank(s[i]) {
			i++
		}
		return Space, i
	case strings.HasPrefix(s[i:], "--"):
		if n := strings.IndexByte(s[i:], '\n'); n >= 0 {
			return Space, i + n + 1
		}
		return LineEnd, len(s)
	case strings.HasPrefix(s[i:], "/*"):
		return Space, endComment(s, i)
	case c == '\'':
		return String, endQuote(s, i, '\'', false)
	case c == '"':
		return Quoted, endQuote(s, i, '"', false)
	case (c == 'e' || c == 'E') && i+1 < len(s) && s[i+1] == '\'':
		return String, endQuote(s, i+1, '\'', true)
	case c == '$':
		if tag := dollarTag(s[i:]); tag != "" {
			if n := strings.Index(s[i+len(tag):], tag); n >= 0 {
				return String, i + n + 2*len(tag)
			}
			return String, -1
		}
		return Punct, i + 1
	case isLetter(c):
		for i < len(s) && (isLetter(s[i]) || isDigit(s[i]) || s[i] == '$') {
			i++
		}
		return Word, i
	case isDigit(c):
		for i < len(s) && (isDigit(s[i]) || isLetter(s[i]) || s[i] == '.') {
			i++
		}
		return Number, i
	}
	return Punct, i + 1
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

// Clip is the start of a text, for an error.
func Clip(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
