package frame

import (
	"encoding/json"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/lexer"
)

// valuesSQL is literal rows as a SELECT.
func valuesSQL(r *plan.RowsOp) string {
	if len(r.Values) == 0 {
		list := make([]string, len(r.Columns))
		for i, c := range r.Columns {
			list[i] = literal(json.RawMessage("null"), c.Type) + " AS " + lexer.QuoteName(c.Name)
		}
		return "SELECT " + strings.Join(list, ", ") + " WHERE false"
	}
	rows := make([]string, len(r.Values))
	for i, row := range r.Values {
		vals := make([]string, len(row))
		for k, v := range row {
			vals[k] = literal(v, r.Columns[k].Type)
		}
		rows[i] = "(" + strings.Join(vals, ", ") + ")"
	}
	names := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		names[i] = lexer.QuoteName(c.Name)
	}
	return "SELECT * FROM (VALUES " + strings.Join(rows, ", ") + ") AS t(" + strings.Join(names, ", ") + ")"
}

// literal is a JSON value as an SQL value of a type ("": the value's own).
func literal(v json.RawMessage, typ string) string {
	s := strings.TrimSpace(string(v))
	var text string
	switch {
	case s == "null":
		s = "NULL"
	case s[0] == '"' && json.Unmarshal(v, &text) == nil:
		s = lexer.QuoteText(text)
	case s[0] == '[' || s[0] == '{':
		s = lexer.QuoteText(s) + "::JSON"
	}
	if typ == "" {
		return s
	}
	return "CAST(" + s + " AS " + typ + ")"
}
