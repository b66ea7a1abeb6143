//go:build duckdb_arrow

package prepare_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// TestTablesBoundByWith: the 22 queries of TPC-H over tables that WITH binds, as
// generated SQL does, have the plans that they have over views.
func TestTablesBoundByWith(t *testing.T) {
	dir, err := filepath.Abs("../../duck/logical/testdata/tpch")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(dir + "/*.parquet")
	if err != nil || len(files) != 8 {
		t.Fatal(files, err)
	}
	var views []plan.View
	var items []string
	for _, f := range files {
		v := plan.View{Name: strings.TrimSuffix(filepath.Base(f), ".parquet"), SQL: "SELECT * FROM '" + f + "'"}
		views, items = append(views, v), append(items, v.Name+" AS ("+v.SQL+")")
	}
	p := newBench(t)
	explain := func(sql string, views []plan.View) string {
		spec := &api.JobSpec{ID: "job", Plan: &plan.Plan{Nodes: []plan.Node{{ID: "sql", SQL: &plan.SQLOp{Query: sql, Views: views, Access: files}}}, Sink: plan.Sink{Input: "sql", Collect: &plan.CollectOp{}}}}
		spec.Options.Force, spec.Options.Partitions = true, 3
		job, err := p.Compile(t.Context(), spec, api.Capacity{Slots: 3, TargetBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		return job.Plan.Explain()
	}
	for q := 1; q <= 22; q++ {
		b, err := os.ReadFile(fmt.Sprintf("%s/q%02d.sql", dir, q))
		if err != nil {
			t.Fatal(err)
		}
		sql := strings.TrimSuffix(strings.TrimSpace(string(b)), ";")
		bound := "WITH " + strings.Join(items, ", ")
		if rest, own := strings.CutPrefix(sql, "WITH "); own {
			bound += ", " + rest
		} else {
			bound += " " + sql
		}
		want := explain(sql, views)
		if got := explain(bound, nil); got != want {
			t.Errorf("q%02d:\n%s\nover views:\n%s", q, got, want)
		}
		if !strings.Contains(want, "stage 1:") {
			t.Errorf("q%02d is not distributed:\n%s", q, want)
		}
	}
}
