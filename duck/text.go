//go:build duckdb_arrow

package duck

import (
	"strings"

	"github.com/pondmesh/pond/duck/lexer"
)

// quoteList returns list as an SQL list of strings.
func quoteList(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = lexer.QuoteText(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// trimQuery cuts blanks, comments and semicolons off the end of a query, so that
// it can stand in parentheses. Its start stays, so that places in errors do too.
func trimQuery(sql string) string {
	_, to := lexer.Bounds(sql)
	return sql[:to]
}
