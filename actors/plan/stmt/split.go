package stmt

import (
	"strings"

	"github.com/pondmesh/pond/duck/lexer"
)

// Split cuts a script into statements, without their semicolons and the blanks
// and comments around them; empty statements are left out. rest is the text after
// the last semicolon: an unfinished statement, blanks, or nothing. A semicolon in
// a string, a quoted name, a comment or open parentheses ends no statement.
func Split(script string) (statements []string, rest string) {
	from, depth := 0, 0
	toks, _ := lexer.Lex(script) // an unclosed string or comment is in no token, and so in rest
	for _, t := range toks {
		if t.Kind != lexer.Punct {
			continue
		}
		switch script[t.Start] {
		case '(':
			depth++
		case ')':
			depth = max(depth-1, 0)
		case ';':
			if depth > 0 {
				continue
			}
			if s := Trim(script[from:t.Start]); s != "" {
				statements = append(statements, s)
			}
			from = t.End
		}
	}
	return statements, script[from:]
}

// Trim cuts blanks, comments and semicolons off both ends of a statement. What
// is never closed stays.
func Trim(s string) string {
	from, to := lexer.Bounds(s)
	return s[from:to]
}

// FirstWord is the word that a statement begins with, in lower case; "" when it
// begins with none.
func FirstWord(sql string) string { return newCursor(sql).word() }

// OneLine is a statement in one line, without comments; "" when a line ends within
// one of its strings.
func OneLine(sql string) string {
	sql = Trim(sql)
	toks, _ := lexer.Lex(sql)
	var b strings.Builder
	for _, t := range toks {
		s := t.In(sql)
		switch {
		case t.Kind != lexer.Space && t.Kind != lexer.Comment:
			if strings.Contains(s, "\n") {
				return ""
			}
			b.WriteString(s)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), " "):
			b.WriteByte(' ')
		}
	}
	return b.String()
}
