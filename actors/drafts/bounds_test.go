package drafts

import (
	"reflect"
	"strings"
	"testing"

	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/fs/dataset"
)

// TestBoundsOf: what a manifest says of a file is what its footer says, or nothing.
func TestBoundsOf(t *testing.T) {
	group := duck.RowGroup{Rows: 3, Bytes: 30, Stats: []duck.ColumnStats{
		{Name: "A", HasStats: true, Min: "1", Max: "9", Nulls: 1, Distinct: 2, Bytes: 10}, {Name: "l", Nulls: -1, Bytes: 15},
		{Name: "long", HasStats: true, Min: "'a'", Max: "'" + strings.Repeat("z", 2000) + "'", Bytes: 5}}}
	low, high := "1", "9"
	want := map[string]dataset.Bounds{"a": {Min: &low, Max: &high, Nulls: 1, Distinct: 2, Bytes: 10}, "l": {Nulls: -1, Bytes: 15}, "long": {Bytes: 5}}
	if got := boundsOf(&duck.Footer{Rows: 3, Groups: []duck.RowGroup{group}}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	for _, groups := range [][]duck.RowGroup{nil, {group, group}} {
		if got := boundsOf(&duck.Footer{Groups: groups}); got != nil {
			t.Errorf("of %d row groups: %+v", len(groups), got)
		}
	}
}
