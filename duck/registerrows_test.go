//go:build duckdb_arrow

package duck

import (
	"context"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/pondmesh/pond/duck/vec"
)

// explain is DuckDB's own plan of a query, drawn.
func explain(t *testing.T, e *Engine, query string) string {
	t.Helper()
	var r mapping.Result
	defer mapping.DestroyResult(&r)
	if mapping.Query(e.conn, "EXPLAIN "+query, &r) == mapping.StateError {
		t.Fatal(mapping.ResultError(&r))
	}
	chunk := mapping.ResultGetChunk(r, 0)
	defer mapping.DestroyDataChunk(&chunk)
	return string((*vec.Str)(mapping.VectorGetData(mapping.DataChunkGetVector(chunk, 1))).Bytes())
}

// A join holds the side of fewer rows, whichever is written first, though its rows
// are wider. DuckDB draws what it holds on the right.
func TestRegisterRows(t *testing.T) {
	e := start(t, Config{})
	ctx := context.Background()
	exec(t, e, "SET disabled_optimizers = 'join_order'") // as for stages that are planned
	number := arrow.Field{Name: "a", Type: arrow.PrimitiveTypes.Int64}
	wide := arrow.NewSchema([]arrow.Field{number, {Name: "b", Type: arrow.BinaryTypes.String}, {Name: "c", Type: arrow.ListOf(arrow.PrimitiveTypes.Date32)}}, nil)
	for view, v := range map[string]struct {
		schema *arrow.Schema
		rows   int64
	}{"few": {wide, 1000}, "many": {arrow.NewSchema([]arrow.Field{number}, nil), 1_000_000}} {
		if err := e.RegisterRows(ctx, view, v.schema, nil, v.rows); err != nil {
			t.Fatal(err)
		}
	}
	for _, query := range []string{"SELECT * FROM few JOIN many USING (a)", "SELECT * FROM many JOIN few USING (a)"} {
		p := explain(t, e, query)
		many, few := strings.Index(p, "~1,000,000 rows"), strings.Index(p, "~1,000 rows")
		if many < 0 || few < many {
			t.Errorf("%s\n%s", query, p)
		}
		if got := value(t, e, "SELECT count(*) FROM ("+query+")"); got != "0" {
			t.Errorf("%s: %s rows", query, got)
		}
	}
	s, err := e.Schema(ctx, "FROM few")
	if err != nil || s.Fields[1].Type.SQL != "VARCHAR" || s.Fields[2].Type.SQL != "DATE[]" {
		t.Errorf("%v, %v", s, err)
	}
}
