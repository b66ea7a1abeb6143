//go:build duckdb_arrow

package duck

import (
	"errors"
	"strings"

	"github.com/pondmesh/pond/duck/lexer"
)

// DuckDB confines a locked engine to the paths it may use: it resolves links,
// "." and ".." before it compares, wherever a path comes from. Some functions
// stand outside that wall, and the SQL given to a locked engine may not call
// them. This reads tokens, not grammar: where it is in doubt it refuses.

// refused are functions that write where they like, that run SQL given as data,
// that tell the names of files, or that take pointers.
var refused = map[string]bool{
	"enable_logging": true, "enable_profiling": true,
	"query": true, "query_table": true, "json_execute_serialized_sql": true, "from_substrait": true, "from_substrait_json": true,
	"import_database": true, "copy_database": true, "sql_auto_complete": true,
	"arrow_scan": true, "arrow_scan_dumb": true, sinkName: true,
}

// guard refuses SQL that calls a refused function, or may: where DuckDB might
// read the text otherwise than the lexer does.
func guard(sql string) error {
	toks, err := lexer.Lex(sql)
	switch {
	case errors.Is(err, lexer.ErrOpen):
		return newError("Parser Error: "+err.Error(), sql)
	case err != nil:
		return newError("Permission Error: "+err.Error(), sql)
	case lexer.Dubious(sql, toks):
		return newError("Permission Error: the SQL has blanks of Unicode's outside of quotes: write plain ones", sql)
	}
	list := lexer.Solid(toks)
	for i, t := range list {
		name := strings.ToLower(t.Value(sql))
		if t.Kind != lexer.Word && t.Kind != lexer.Quoted || !refused[name] {
			continue
		}
		called := i+1 < len(list) && list[i+1].In(sql) == "("
		pragma := i > 0 && strings.EqualFold(list[i-1].In(sql), "pragma")
		if called || pragma {
			return newError("Permission Error: the function "+name+" cannot be used here", sql)
		}
	}
	return nil
}

// single refuses a text of several statements where one is expected: what follows a
// semicolon would run as well.
func single(sql string) error {
	toks, err := lexer.Lex(sql)
	if err != nil {
		return newError("Parser Error: "+err.Error(), sql)
	}
	for _, t := range toks {
		if t.Kind == lexer.Punct && t.In(sql) == ";" {
			return newError("Parser Error: one statement is expected, and this text has several", sql)
		}
	}
	return nil
}
