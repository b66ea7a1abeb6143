package plan

import "github.com/pondmesh/pond/duck/lexer"

// Limits of SQL that users write: a statement, a view, a step's expression. DuckDB's
// parser takes 80 to 160 bytes of memory for each token, and its own limit of nesting
// is the same, but its error names a setting that nobody can set.
const (
	MaxSQLBytes   = 4 << 20
	MaxSQLTokens  = 250_000
	MaxSQLNesting = 1000 // of brackets
)

// CheckSQL refuses SQL beyond the limits, before DuckDB sees it.
func CheckSQL(sql string) error {
	if len(sql) > MaxSQLBytes {
		return Refuse("", "put its values into a file, and join that", "the SQL has %d bytes, more than the %d allowed", len(sql), MaxSQLBytes)
	}
	toks, _ := lexer.Lex(sql) // DuckDB tells best what is never closed
	toks = lexer.Solid(toks)
	if len(toks) > MaxSQLTokens {
		return Refuse("", "put its values into a file, and join that", "the SQL has %d words, numbers and signs, more than the %d allowed", len(toks), MaxSQLTokens)
	}
	if d := nesting(sql, toks); d > MaxSQLNesting {
		return Refuse("", "nest fewer parentheses, lists and subqueries; WITH can name parts", "brackets are nested %d deep in the SQL, and %d is the most", d, MaxSQLNesting)
	}
	return nil
}

// nesting is how deep brackets of all kinds are open at once.
func nesting(sql string, toks []lexer.Token) (most int) {
	depth := 0
	for _, t := range toks {
		if t.Kind != lexer.Punct {
			continue
		}
		switch sql[t.Start] {
		case '(', '[', '{':
			depth++
			most = max(most, depth)
		case ')', ']', '}':
			depth--
		}
	}
	return most
}
