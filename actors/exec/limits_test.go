//go:build duckdb_arrow

package exec_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/funcs"
	"github.com/pondmesh/pond/actors/plan"
)

// A task stops at its limits, and says which.
func TestLimits(t *testing.T) {
	f := new(funcs.Registry)
	err := f.AddBatch(funcs.Batch{Name: "same", Call: func(_ context.Context, in arrow.RecordBatch, yield func(arrow.RecordBatch) error) error {
		return yield(in)
	}})
	if err != nil {
		t.Fatal(err)
	}
	r := newRunner(t, f)
	calls := r.compile(t, r.program(t, `{"nodes": [{"id": "a", "sql": {"query": "SELECT hash(range) AS a FROM range(100000)"}}, {"id": "x", "inputs": ["a"], "map_batches": {"func": "same"}}], "sink": {"input": "x", "collect": {}}}`), api.JobOptions{})
	r.Limits = exec.Limits{Spill: 100 << 10}
	if err := r.fails(t, calls); !errors.Is(err, plan.ErrResource) || !strings.Contains(err.Error(), "--spill-max") {
		t.Errorf("what a Go function spools: %v", err)
	}
	r.Limits = exec.Limits{Result: 100 << 10}
	result := oneStage("SELECT hash(range) AS h FROM range(100000)")
	if err := r.fails(t, result); !errors.Is(err, plan.ErrQuery) || !strings.Contains(err.Error(), "--result-max") {
		t.Errorf("a result: %v", err)
	}
	// What other stages read is not the result.
	result.Plan.Stages = append(result.Plan.Stages, &plan.Stage{ID: "last", Name: "last", Inputs: []plan.Input{{View: "v", Read: &plan.Read{Stages: []int{0}, How: plan.ReadAll}}},
		Query: "SELECT count(*) AS n FROM v", Exchange: plan.Exchange{Kind: plan.Single, Partitions: 1}, Tasks: plan.Tasks{N: 1}})
	same(t, r.collect(t, result)[0], []string{`{"n":100000}`}, true)
}
