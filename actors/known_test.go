package actors

import (
	"reflect"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/distribute"
	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/fs/dataset"
)

// TestKnownOf: a manifest stands for the footer of a file that it knows all of. Ranges have
// the type that the file has.
func TestKnownOf(t *testing.T) {
	low, high := "1", "9"
	m := &dataset.Manifest{Columns: []dataset.Column{{Name: "A", Type: "BIGINT"}, {Name: "h", Type: "HUGEINT"}, {Name: "k", Type: "VARCHAR", Folder: true}},
		Files: []dataset.File{
			{Path: "k=1/x", Rows: 3, Bounds: map[string]dataset.Bounds{"a": {Min: &low, Max: &high, Nulls: 1, Distinct: 2, Bytes: 10}, "h": {Nulls: -1, Bytes: 5}}},
			{Path: "k=2/x", Rows: -1, Bounds: map[string]dataset.Bounds{"a": {}}},
			{Path: "k=3/x", Rows: 3},
		}}
	want := &prepare.Known{Group: plan.RowGroup{Rows: 3, Bytes: 15}, Stats: map[string]distribute.Range{
		"a": {Type: "BIGINT", Known: true, Min: "1", Max: "9", Nulls: 1, Distinct: 2, Bytes: 10}, "h": {Type: "VARCHAR", Nulls: -1, Bytes: 5}}}
	if got := knownOf(m, "k=1/x"); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	for _, path := range []string{"k=2/x", "k=3/x", "k=4/x"} {
		if got := knownOf(m, path); got != nil {
			t.Errorf("%s: %+v", path, got)
		}
	}
}
