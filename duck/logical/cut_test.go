//go:build duckdb_arrow

package logical_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/ducktest"
	"github.com/pondmesh/pond/duck/logical"
)

// cutter runs a plan operator by operator, each over tables of what its inputs made.
type cutter struct {
	runs   *duck.Engine
	tables int
}

// cut is op with tables in place of its inputs, as far as they may stand alone.
func (c *cutter) cut(ctx context.Context, op logical.Operator) (logical.Operator, error) {
	inputs := make([]logical.Operator, len(op.Head().Inputs))
	for i, in := range op.Head().Inputs {
		piece, err := c.cut(ctx, in)
		if err != nil {
			return nil, err
		}
		inputs[i] = piece
		if !standsAlone(in) {
			continue
		}
		sql, err := logical.RenderTree(piece)
		if err != nil {
			return nil, err
		}
		c.tables++
		name := fmt.Sprintf("piece_%d", c.tables)
		if _, err := c.runs.Exec(ctx, "CREATE TEMP TABLE "+name+" AS "+sql); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", in.Head().Kind, err, sql)
		}
		inputs[i] = &logical.View{Node: logical.Node{Kind: "VIEW", Columns: in.Head().Columns}, Name: name}
	}
	return logical.WithInputs(op, inputs), nil
}

// standsAlone says whether a table can hold what an operator makes: it has columns, of
// types that tables have, in no order that counts, and reads nothing of what is around it.
func standsAlone(op logical.Operator) bool {
	if ducktest.Sorted(op) || op.Head().Width() == 0 {
		return false
	}
	for _, c := range op.Head().Columns {
		if c.Type.ID == "NULL" || !c.Type.Nameable() {
			return false
		}
	}
	alone := true
	logical.Walk(op, func(op logical.Operator) bool {
		switch op.(type) {
		case *logical.CTERef, *logical.DelimGet, *logical.DummyScan:
			alone = false
		}
		return alone
	})
	return alone
}

// TestCut runs every statement that can be rendered in pieces, an operator each, and
// compares the rows with DuckDB's own: no operator relies on the text of another.
func TestCut(t *testing.T) {
	setup, err := os.ReadFile("testdata/setup.sql")
	if err != nil {
		t.Fatal(err)
	}
	p := newPair(t, string(setup))
	c := &cutter{runs: p.runs}
	files, err := filepath.Glob("testdata/sql/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	whole := 0
	for _, f := range files {
		for _, s := range ducktest.Script(t, f) {
			if s.Note != "" {
				continue // it is not rendered
			}
			plan, err := p.plan(t.Context(), s.SQL)
			if err != nil {
				t.Fatal(s.SQL, err)
			}
			before := c.tables
			root, err := c.cut(t.Context(), plan.Root)
			if err != nil { // as the statement's own, if it has one
				if _, own := table(t.Context(), p.runs, s.SQL); own == nil || !strings.Contains(err.Error(), strings.TrimPrefix(firstLine(own), "duck: fetch: ")) {
					t.Errorf("%s\n%v, want %v", s.SQL, err, own)
				}
				continue
			}
			text, err := logical.RenderPlan(&logical.Plan{Root: root, Names: plan.Names})
			if err == nil {
				err = p.same(t.Context(), s.SQL, text, ducktest.Sorted(plan.Root))
			}
			if err != nil {
				t.Errorf("%s\n%s\n%v", s.SQL, text, err)
			}
			if before == c.tables {
				whole++
			}
			for n := before + 1; n <= c.tables; n++ {
				if _, err := p.runs.Exec(t.Context(), fmt.Sprintf("DROP TABLE IF EXISTS piece_%d", n)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if t.Logf("%d pieces; %d statements whole", c.tables, whole); c.tables < 500 {
		t.Errorf("%d pieces", c.tables)
	}
}
