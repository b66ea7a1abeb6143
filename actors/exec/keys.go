package exec

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/lexer"
	"github.com/pondmesh/pond/duck/vec"
)

// keyed is a stage's query with the keys that its rows are cut by.
type keyed struct {
	query  string // its rows, and before them the keys that are none of its columns
	before int    // how many those are
	schema *vec.Schema
	at     []int // the column of each key
}

// keysOf are the expressions that an exchange cuts by. Only those of a hash may lie
// anywhere among the rows.
func keysOf(x *plan.Exchange) (keys []string, anywhere bool) {
	switch x.Kind {
	case plan.Hash:
		return x.Keys, true
	case plan.ByColumn, plan.User:
		return x.Keys, false
	case plan.Range:
		return []string{x.SortKey()}, false
	}
	return nil, false
}

// keyed binds the task's query with the keys of its exchange. Those that are columns of it are not handed
// over a second time: DuckDB would copy what they hold, texts too, for each row.
func (t *task) keyed(ctx context.Context, x *plan.Exchange) (keyed, error) {
	keys, anywhere := keysOf(x)
	names := make([]string, len(keys)) // of columns; "": an expression
	if anywhere {
		for i, key := range keys {
			names[i] = columnOf(key)
		}
	}
	k, err := t.bind(ctx, keys, names)
	if err == nil && slices.Contains(k.at, -1) { // DuckDB knows what it means, or says what is wrong
		clear(names)
		k, err = t.bind(ctx, keys, names)
	}
	return k, err
}

// bind is keyed, of keys that are columns by these names, or stand before the rows. What
// is no column, or more than one, is at -1.
func (t *task) bind(ctx context.Context, keys, names []string) (keyed, error) {
	k := keyed{query: t.query, at: make([]int, len(keys))}
	var list []string
	for i, key := range keys {
		if names[i] == "" {
			k.at[i] = len(list)
			list = append(list, key)
		}
	}
	k.before = len(list)
	if len(keys) > 0 {
		k.query = fmt.Sprintf("SELECT %s FROM (%s) AS q", strings.Join(append(list, "q.*"), ", "), t.query)
	}
	var err error
	if k.schema, err = t.engine.Schema(ctx, k.query); err != nil {
		return keyed{}, engines.Error("run", err)
	}
	for i, name := range names {
		if name != "" {
			k.at[i] = only(k.schema.Fields, k.before, name)
		}
	}
	return k, nil
}

// only is the one field of that name from the first on; -1: there are none, or several.
func only(fields []vec.Field, first int, name string) int {
	at := -1
	for i := first; i < len(fields); i++ {
		if strings.EqualFold(fields[i].Name, name) {
			if at >= 0 {
				return -1
			}
			at = i
		}
	}
	return at
}

// columnOf is the name of the column that an expression consists of; "": it may be
// something else.
func columnOf(key string) string {
	toks, err := lexer.Lex(key)
	if toks = lexer.Solid(toks); err != nil || len(toks) != 1 {
		return ""
	}
	name := toks[0].Value(key)
	switch {
	case toks[0].Kind == lexer.Quoted:
		return name
	case toks[0].Kind != lexer.Word, slices.Contains([]string{"true", "false", "null", "default"}, strings.ToLower(name)):
		return ""
	}
	return name
}
