package prepare_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/prepare"
)

// Planning over many files tells how far it is, and which of them is damaged where
// DuckDB does not say.
func TestManyFiles(t *testing.T) {
	b := newBench(t)
	b.parquet(t, "one.parquet", "SELECT 1 AS i, 'a' AS s")
	one, err := os.ReadFile(filepath.Join(b.dir, "one.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	const n = 150
	for i := range n {
		b.file(t, fmt.Sprintf("many/%03d.parquet", i), string(one))
	}
	p, err := b.PlanSQL(t.Context(), b.request("SELECT s, sum(i) FROM 'many/*.parquet' GROUP BY s"))
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	ctx := prepare.WithProgress(t.Context(), func(done, of int) { told = append(told, fmt.Sprintf("%d/%d", done, of)) })
	spec := &api.JobSpec{ID: "00000000000000000000000000000001", Plan: p, Options: api.JobOptions{Force: true}}
	if _, err := b.Compile(ctx, spec, api.Capacity{Slots: 3, TargetBytes: 4 << 10}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"0/150", "64/150", "128/150"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}

	foot := len(one) - 8 - int(one[len(one)-8])
	torn := slices.Concat(one[:foot], bytes.Repeat([]byte{255}, len(one)-8-foot), one[len(one)-8:])
	b.file(t, "many/101.parquet", string(torn))
	_, err = b.Compile(ctx, spec, api.Capacity{Slots: 3, TargetBytes: 4 << 10})
	if te := plan.AsError(err); te.Kind != plan.KindUser || !strings.Contains(te.Error(), "101.parquet") || !strings.Contains(te.Hint, "whole") {
		t.Errorf("%v; %s", err, plan.AsError(err).Hint)
	}
}
