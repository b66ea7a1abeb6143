//go:build duckdb_arrow

package logical_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/ducktest"
	"github.com/pondmesh/pond/duck/logical"
)

// pair is two engines over the same tables: one plans, with the optimizers off
// that it must not use, the other runs what the user wrote and what was rendered.
type pair struct{ plans, runs *duck.Engine }

func newPair(t testing.TB, setup string) pair {
	t.Helper()
	var p pair
	for _, e := range []**duck.Engine{&p.plans, &p.runs} {
		var err error
		if *e, err = duck.Open(t.Context(), duck.Config{Threads: 2, Memory: 1 << 30}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { (*e).Close() })
		if _, err := (*e).Exec(t.Context(), setup); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// table is a query's rows, every value as text.
func table(ctx context.Context, e *duck.Engine, query string) ([][]string, error) {
	return ducktest.Fetch(ctx, e, "SELECT COLUMNS(*)::VARCHAR FROM ("+query+")")
}

// describe is a query's column names and types.
func describe(ctx context.Context, e *duck.Engine, query string) (names, types []string, err error) {
	rows, err := ducktest.Fetch(ctx, e, "SELECT column_name, column_type FROM (DESCRIBE "+query+")")
	for _, r := range rows {
		names, types = append(names, r[0]), append(types, r[1])
	}
	return names, types, err
}

func (p pair) plan(ctx context.Context, sql string) (*logical.Plan, error) {
	names, _, err := describe(ctx, p.plans, sql)
	if err != nil {
		return nil, err
	}
	quoted := "'" + strings.ReplaceAll(sql, "'", "''") + "'"
	var plan *logical.Plan
	tries := logical.OptimizerTries()
	for i, off := range tries {
		if _, err := p.plans.Exec(ctx, "SET disabled_optimizers = '"+off+"'"); err != nil {
			return nil, err
		}
		rows, err := ducktest.Fetch(ctx, p.plans, "SELECT json_serialize_plan("+quoted+", optimize := true)::VARCHAR")
		if err != nil {
			return nil, err
		}
		plan, err = logical.Decode([]byte(rows[0][0]), names)
		var refused *logical.PlanError
		if !errors.As(err, &refused) || !refused.Again() {
			return plan, err
		}
		if i == len(tries)-1 {
			return nil, err
		}
	}
	return plan, nil
}

// check plans sql, renders the plan, runs both and compares. The error is
// ErrUnrendered or a *PlanError where there is no plan to compare.
func (p pair) check(ctx context.Context, sql string) (rendered string, err error) {
	plan, err := p.plan(ctx, sql)
	if err != nil {
		return "", err
	}
	rendered, err = logical.RenderPlan(plan)
	if err != nil {
		return "", err
	}
	return rendered, p.same(ctx, sql, rendered, ducktest.Sorted(plan.Root))
}

func (p pair) same(ctx context.Context, sql, rendered string, ordered bool) error {
	names1, types1, err := describe(ctx, p.runs, sql)
	if err != nil {
		return err
	}
	names2, types2, err := describe(ctx, p.runs, rendered)
	if err != nil {
		return fmt.Errorf("rendered: %w", err)
	}
	if !slices.Equal(names1, names2) || !slices.Equal(types1, types2) {
		return fmt.Errorf("columns %q %q, want %q %q", names2, types2, names1, types1)
	}
	want, err1 := table(ctx, p.runs, sql)
	got, err2 := table(ctx, p.runs, rendered)
	if err1 != nil || err2 != nil {
		if err1 != nil && err2 != nil && firstLine(err1) == firstLine(err2) {
			return nil
		}
		return fmt.Errorf("errors: %v, want %v", err2, err1)
	}
	return sameRows(got, want, types1, ordered)
}

// firstLine is what an error says, but for the columns' names.
func firstLine(err error) string {
	s, _, _ := strings.Cut(err.Error(), "\n")
	s, _, _ = strings.Cut(s, " when casting from source column ")
	return s
}

// sameRows compares as multisets, and in order when there is one. Where an order
// leaves ties the queries order by all there is.
func sameRows(got, want [][]string, types []string, ordered bool) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d rows, want %d: %.1000v, want %.1000v", len(got), len(want), got, want)
	}
	if !ordered {
		slices.SortFunc(got, slices.Compare)
		slices.SortFunc(want, slices.Compare)
	}
	for i := range want {
		for j := range want[i] {
			if !sameValue(got[i][j], want[i][j], types[j]) {
				return fmt.Errorf("row %d column %d: %.500q, want %.500q", i, j, got[i], want[i])
			}
		}
	}
	return nil
}

func sameValue(got, want, typ string) bool {
	if got == want {
		return true
	}
	if typ != "DOUBLE" && typ != "FLOAT" {
		return false
	}
	a, err1 := strconv.ParseFloat(got, 64)
	b, err2 := strconv.ParseFloat(want, 64)
	return err1 == nil && err2 == nil && math.Abs(a-b) <= 1e-9*max(math.Abs(a), math.Abs(b))
}

// TestStatements renders every statement and compares what it returns with what
// the original does. A statement noted "falls back: …" must not be rendered, for
// a reason that says so; one noted "no plan" DuckDB cannot serialise.
func TestStatements(t *testing.T) {
	setup, err := os.ReadFile("testdata/setup.sql")
	if err != nil {
		t.Fatal(err)
	}
	p := newPair(t, string(setup))
	files, err := filepath.Glob("testdata/sql/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var rendered, fell, total int
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".sql"), func(t *testing.T) {
			for _, s := range ducktest.Script(t, f) {
				total++
				text, err := p.check(t.Context(), s.SQL)
				var refused *logical.PlanError
				why, falls := strings.CutPrefix(s.Note, "falls back: ")
				switch {
				case falls && errors.Is(err, logical.ErrUnrendered) && strings.Contains(err.Error(), why):
					fell++
				case s.Note == "no plan" && errors.As(err, &refused):
					fell++
				case falls || s.Note == "no plan":
					t.Errorf("%s\n%s\nis noted %q, but: %v", s.SQL, text, s.Note, err)
				case err != nil:
					t.Errorf("%s\nrendered\n%s\n%v", s.SQL, text, err)
				default:
					rendered++
				}
			}
		})
	}
	t.Logf("%d statements: %d rendered and equal, %d fall back as noted", total, rendered, fell)
}
