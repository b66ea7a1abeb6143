package prepare

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/plan/distribute"
	"github.com/pondmesh/pond/duck/lexer"
	"github.com/pondmesh/pond/duck/logical"
	"github.com/pondmesh/pond/duck/vec"
)

// How much of a query is run to see how many folders its rows go to.
const (
	sampleRows = 64 * vec.MaxRows
	sampleTime = 5 * time.Second // where few rows are left of many
)

// folders looks at the first rows of a query that writes folders, if they come soon: it
// reads little altogether, or row by row. What is not seen so is not known; whatever is
// wrong with the query is told by whoever runs it.
func (p *Planner) folders(ctx context.Context, q *distribute.Query, small bool) (int64, error) {
	if q.Write == nil || len(q.Write.PartitionBy) == 0 || !small && (q.Tree == nil || !streams(q.Tree.Root)) {
		return 0, nil
	}
	n, err := p.duckdb.Folders(ctx, FoldersRequest{SQL: q.SQL, Views: q.Views, Access: q.Access, Columns: q.Write.PartitionBy})
	if err != nil {
		p.log.Debug("the folders of a COPY are not counted before", "err", err)
		return 0, ctx.Err()
	}
	return n, nil
}

// streams reports whether an operator gives its first rows without looking at all.
func streams(root logical.Operator) bool {
	ok := true
	logical.Walk(root, func(op logical.Operator) bool {
		switch op.(type) {
		case *logical.Get, *logical.Filter, *logical.Projection, *logical.Unnest:
		default:
			ok = false
		}
		return ok
	})
	return ok
}

// Folders implements DuckDB.
func (l Local) Folders(ctx context.Context, r FoldersRequest) (n int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, sampleTime)
	defer cancel()
	e, err := l.Engines.Get(ctx, engines.ForPlanning(r.Access, ""))
	if err != nil {
		return 0, engines.Error("open DuckDB", err)
	}
	defer l.Engines.Put(e)
	for _, v := range r.Views {
		if err := e.View(ctx, v.Name, v.SQL); err != nil {
			return 0, engines.InView(v.Name, err)
		}
	}
	names := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		names[i] = lexer.QuoteName(c)
	}
	sql := fmt.Sprintf("SELECT count(*) FROM (SELECT DISTINCT %s FROM (FROM (%s\n) LIMIT %d))", strings.Join(names, ", "), r.SQL, sampleRows)
	_, err = e.Fetch(ctx, sql, func(c *vec.Chunk) error {
		n = *(*int64)(c.Columns[0].Data)
		return nil
	})
	return n, engines.Error("look at", err)
}
