package lexer

import (
	"errors"
	"fmt"
	"strings"
)

// Kind classes tokens.
type Kind uint8

// Kinds of tokens.
const (
	Space   Kind = iota // blanks, Unicode's among them
	Comment             // -- up to the end of the line, or /* */, which nest
	Word                // an identifier or keyword without quotes
	Quoted              // "identifier"
	String              // 'text', E'text', $tag$text$tag$; 'a' and 'b' on two lines are one
	Number              // 1, 1_000, 1.5, .5e-3, and the bit strings x'1f', b'01'
	Punct               // one byte of anything else, .., or a parameter: $1, ?1
)

// Token is a piece of a text: the bytes from Start up to End.
type Token struct {
	Kind       Kind
	Start, End int // 0 <= Start < End <= len(text)
}

// In returns the token's bytes in s, the text it was cut from.
func (t Token) In(s string) string { return s[t.Start:t.End] }

// Errors of a text that DuckDB does not read to its end.
var (
	ErrOpen = errors.New("is not closed")
	ErrZero = errors.New("the SQL has a zero byte in it")
)

// Lex cuts SQL text into tokens that together are the whole text. It fails with
// ErrOpen when a quote or comment is never closed and with ErrZero when the text
// holds a zero byte; the tokens are then those before it.
func Lex(s string) ([]Token, error) {
	text, _, zero := strings.Cut(s, "\x00")
	var out []Token
	for i := 0; i < len(text); {
		kind, end := next(text, i)
		if end < 0 && zero {
			return out, ErrZero
		}
		if end < 0 {
			return out, fmt.Errorf("%s that starts at %q %w", opens[kind], Clip(s[i:]), ErrOpen)
		}
		out = append(out, Token{kind, i, end})
		i = end
	}
	if zero {
		return out, ErrZero
	}
	return out, nil
}

// opens names the kinds of tokens that may never end.
var opens = map[Kind]string{Comment: "a comment", Quoted: "a quoted identifier", String: "a string", Number: "a bit string"}

// Solid returns the tokens without blanks and comments.
func Solid(toks []Token) []Token {
	out := make([]Token, 0, len(toks))
	for _, t := range toks {
		if t.Kind != Space && t.Kind != Comment {
			out = append(out, t)
		}
	}
	return out
}

// Bounds returns where the statement in s starts and ends, the blanks, comments
// and semicolons around it left out; from == to when there is none. What is
// never closed belongs to the statement, so that DuckDB complains of it.
func Bounds(s string) (from, to int) {
	toks, err := Lex(s)
	idle := func(t Token) bool { return t.Kind == Space || t.Kind == Comment || t.In(s) == ";" }
	for len(toks) > 0 && idle(toks[0]) {
		from, toks = toks[0].End, toks[1:]
	}
	if err != nil {
		return from, len(s)
	}
	for len(toks) > 0 && idle(toks[len(toks)-1]) {
		toks = toks[:len(toks)-1]
	}
	if len(toks) == 0 {
		return from, from
	}
	return from, toks[len(toks)-1].End
}

// next finds the token at i: its kind and end, -1 when it never ends.
func next(s string, i int) (Kind, int) {
	c := s[i]
	switch {
	case blankLen(s[i:]) > 0:
		return Space, endBlanks(s, i)
	case strings.HasPrefix(s[i:], "--"):
		return Comment, endLine(s, i)
	case strings.HasPrefix(s[i:], "/*"):
		return Comment, endComment(s, i)
	case c == '\'':
		return String, endText(s, i, false)
	case c == '"':
		return Quoted, endQuote(s, i, false)
	case c == '$':
		return dollar(s, i)
	case isLetter(c):
		return word(s, i)
	case isDigit(c), c == '.' && i+1 < len(s) && isDigit(s[i+1]):
		return Number, endNumber(s, i)
	case strings.HasPrefix(s[i:], ".."):
		return Punct, i + 2
	case c == '?':
		return Punct, endDigits(s, i+1)
	}
	return Punct, i + 1
}

// word is the token that begins with a letter. Some letters right before a quote
// belong to the string.
func word(s string, i int) (Kind, int) {
	switch prefix := strings.ToLower(s[i:min(i+3, len(s))]); {
	case strings.HasPrefix(prefix, "e'"):
		return String, endText(s, i+1, true)
	case strings.HasPrefix(prefix, "b'"), strings.HasPrefix(prefix, "x'"):
		return Number, endBits(s, i+1)
	case prefix == "u&'":
		return String, endText(s, i+2, false)
	case prefix == `u&"`:
		return Quoted, endQuote(s, i+2, false)
	}
	for i < len(s) && (isLetter(s[i]) || isDigit(s[i]) || s[i] == '$') && blankLen(s[i:]) == 0 {
		i++
	}
	return Word, i
}

// dollar is the token that begins with a dollar sign: a string between two tags,
// a numbered parameter, or the sign alone before a parameter's name.
func dollar(s string, i int) (Kind, int) {
	if tag := dollarTag(s[i:]); tag != "" {
		if n := strings.Index(s[i+len(tag):], tag); n >= 0 {
			return String, i + n + 2*len(tag)
		}
		return String, -1
	}
	return Punct, endDigits(s, i+1)
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

// endText is where the string that opens with the quote at i ends. DuckDB joins
// strings with a line's end between them: what follows such a gap goes on as the
// first part began, with backslash escapes or without.
func endText(s string, i int, escapes bool) int {
	for {
		end := endQuote(s, i, escapes)
		if end < 0 {
			return end
		}
		if i = continued(s, end); i < 0 {
			return end
		}
	}
}

// endBits is where the bit string that opens with the quote at i ends. Unlike in
// texts a doubled quote is two.
func endBits(s string, i int) int {
	for {
		n := strings.IndexByte(s[i+1:], '\'')
		if n < 0 {
			return -1
		}
		end := i + 1 + n + 1
		if i = continued(s, end); i < 0 {
			return end
		}
	}
}

// continued is where the string that ended at i opens again: after blanks and
// line comments with the end of a line among them. It is -1 if it does not.
func continued(s string, i int) int {
	lines := false
	for i < len(s) {
		switch c := s[i]; {
		case blankLen(s[i:]) > 0:
			lines = lines || c == '\n' || c == '\r'
			i += blankLen(s[i:])
		case strings.HasPrefix(s[i:], "--"):
			i = endLine(s, i)
		case c == '\'' && lines:
			return i
		default:
			return -1
		}
	}
	return -1
}

// endQuote returns the end of the quote that opens at i. A doubled quote is text;
// with escapes, so is the character after a backslash.
func endQuote(s string, i int, escapes bool) int {
	quote := s[i]
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

// endLine is where the line comment at i ends, before the line's end.
func endLine(s string, i int) int {
	if n := strings.IndexAny(s[i:], "\n\r"); n >= 0 {
		return i + n
	}
	return len(s)
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

// endNumber is where the number at i ends: digits, a fraction unless it is the
// first dot of a range, an exponent.
func endNumber(s string, i int) int {
	i = endDigits(s, i)
	if i < len(s) && s[i] == '.' && !strings.HasPrefix(s[i:], "..") {
		i = endDigits(s, i+1)
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		k := i + 1
		if k < len(s) && (s[k] == '+' || s[k] == '-') {
			k++
		}
		if end := endDigits(s, k); end > k {
			return end
		}
	}
	return i
}

// endDigits is where the digits at i end; single underscores may part them.
func endDigits(s string, i int) int {
	for first := i; i < len(s); i++ {
		switch {
		case isDigit(s[i]):
		case s[i] == '_' && i > first && i+1 < len(s) && isDigit(s[i+1]):
		default:
			return i
		}
	}
	return i
}

// endBlanks is where the blanks at i end.
func endBlanks(s string, i int) int {
	for i < len(s) {
		n := blankLen(s[i:])
		if n == 0 {
			break
		}
		i += n
	}
	return i
}

// blankLen is the length of the blank at the start of s, or 0. DuckDB makes a
// blank of some of Unicode's before it reads a text.
func blankLen(s string) int {
	switch {
	case isBlank(s[0]):
		return 1
	case s[0] < 0x80:
		return 0
	case strings.HasPrefix(s, "\u00a0"):
		return 2
	case len(s) < 3:
		return 0
	}
	switch r := s[:3]; {
	case r >= "\u2000" && r <= "\u200b", r == "\u202f", r == "\u205f", r == "\u2060", r == "\u3000", r == "\ufeff":
		return 3
	}
	return 0
}

// Dubious reports whether DuckDB may read a text otherwise than as toks, its
// tokens. DuckDB looks for Unicode's blanks in a reading of its own, which knows
// no block comments and no escapes; where it finds none it takes them for letters.
func Dubious(s string, toks []Token) bool {
	for _, t := range toks {
		if t.Kind == Comment || t.Kind == Quoted || t.Kind == String && s[t.Start] != '$' {
			continue
		}
		for i := t.Start; i < t.End; i++ {
			if s[i] >= 0x80 && blankLen(s[i:]) > 0 {
				return true
			}
		}
	}
	return false
}

func isBlank(c byte) bool  { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c == '_' || c >= 0x80 || c|0x20 >= 'a' && c|0x20 <= 'z' }

// Clip returns the start of a text, for an error.
func Clip(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
