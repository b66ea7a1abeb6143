package plan

import (
	"strings"

	"github.com/pondmesh/pond/duck/lexer"
)

// Calls are the Go functions that a stage calls for sure, and the names of all functions
// that its SQL seems to call, DuckDB's own among them.
func (s *Stage) Calls() (functions, inSQL []string) {
	texts := append([]string{s.Query}, s.Exchange.Keys...)
	for _, st := range s.Steps {
		texts = append(texts, st.SQL)
		if st.Func != nil {
			functions = append(functions, st.Func.Name)
		}
	}
	if s.Exchange.Func != "" {
		functions = append(functions, s.Exchange.Func)
	}
	seen := map[string]bool{}
	for _, sql := range texts {
		toks, err := lexer.Lex(sql)
		if err != nil {
			continue // DuckDB will say so
		}
		words := lexer.Solid(toks)
		for i, tok := range words {
			if tok.Kind != lexer.Word && tok.Kind != lexer.Quoted || i+1 == len(words) || words[i+1].In(sql) != "(" {
				continue
			}
			if w := strings.ToLower(tok.Value(sql)); !seen[w] {
				seen[w] = true
				inSQL = append(inSQL, w)
			}
		}
	}
	return functions, inSQL
}
