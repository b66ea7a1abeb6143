//go:build duckdb_arrow

package logical_test

import (
	"strings"
	"testing"

	"github.com/pondmesh/pond/duck/ducktest"
	"github.com/pondmesh/pond/duck/logical"
)

// TestVolatile: every function that this DuckDB calls volatile is known to be: two pieces
// that each call it would have different values.
func TestVolatile(t *testing.T) {
	p := newPair(t, "")
	rows, err := ducktest.Fetch(t.Context(), p.runs, "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability = 'VOLATILE' AND function_type = 'scalar'")
	if err != nil || len(rows) < 10 {
		t.Fatal(rows, err)
	}
	for _, r := range rows {
		f := logical.FactsOf(&logical.Func{Name: r[0]})
		if !f.Volatile && !f.Errors && !strings.HasPrefix(r[0], "pond_") { // our own is called by no query
			t.Errorf("%s is not known to be volatile", r[0])
		}
	}
}

// TestFunctionNames: a call of any function that this DuckDB has, and of any of its
// keywords, is a call when it is read again.
func TestFunctionNames(t *testing.T) {
	p := newPair(t, "")
	rows, err := ducktest.Fetch(t.Context(), p.runs, "SELECT function_name FROM duckdb_functions() UNION SELECT keyword_name FROM duckdb_keywords()")
	if err != nil || len(rows) < 500 {
		t.Fatal(len(rows), err)
	}
	infix, called := 0, 0
	for _, r := range rows {
		if r[0] == "" || strings.HasPrefix(r[0], "__internal") {
			continue
		}
		x := &logical.Func{Name: r[0], Typed: logical.Typed{T: logical.Type{ID: "INTEGER"}}, Args: []logical.Expr{&logical.Ref{}, &logical.Ref{Index: 1}}}
		for range 2 { // of two arguments, and of three: operators are functions as well
			sql, err := logical.RenderExpr(x, logical.ColumnName)
			if err != nil {
				break // it must not leave this engine, or needs more than a name
			}
			rows, err := ducktest.Fetch(t.Context(), p.runs, "SELECT json_serialize_sql('SELECT "+strings.ReplaceAll(sql, "'", "''")+"')::VARCHAR")
			if err != nil {
				t.Fatal(sql, err)
			}
			switch tree := rows[0][0]; {
			case strings.Contains(tree, "Wrong number of arguments"): // it is known by its name
			case strings.Contains(tree, `"error":true`) || strings.Count(tree, `"column_names"`) != len(x.Args):
				t.Errorf("%s is read as %s", sql, tree)
			case strings.Contains(tree, `"class":"FUNCTION"`):
				called++
			default:
				infix++
			}
			x.Args = append(x.Args, &logical.Ref{Index: 2})
		}
	}
	if called < 1000 {
		t.Errorf("%d calls, %d others", called, infix)
	}
}
