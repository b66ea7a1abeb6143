package tables

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/pondmesh/pond/actors/datasets"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/distribute"
	"github.com/pondmesh/pond/actors/prepare"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/register"
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

// TestTold: an error has the kind that says what a user may do, on whichever node it was.
func TestTold(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		kind plan.Kind
		hint bool
	}{
		"no such version":    {fmt.Errorf("read: %w", dataset.ErrNotFound), plan.KindNotFound, false},
		"no such name":       {fmt.Errorf("read: %w", dataset.ErrName), plan.KindUser, false},
		"too few keepers":    {fmt.Errorf("get: %w", register.ErrMinority), plan.KindUnavailable, true},
		"nobody knows":       {fmt.Errorf("get: %w", register.ErrUnknown), plan.KindUnavailable, true},
		"too many at once":   {fmt.Errorf("begin: %w", datasets.ErrBusy), plan.KindBusy, true},
		"a defect":           {errors.New("x"), plan.KindInternal, false},
		"of a kind already":  {&plan.Error{Kind: plan.KindDenied, Hint: "h"}, plan.KindDenied, true},
		"the caller went":    {fmt.Errorf("get: %w", context.Canceled), plan.KindInternal, false},
		"the caller's limit": {fmt.Errorf("get: %w", context.DeadlineExceeded), plan.KindInternal, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := told("read", "pond://x", c.err)
			if got := plan.AsError(err); got.Kind != c.kind || (got.Hint != "") != c.hint {
				t.Errorf("%s, hint %q", got.Kind, got.Hint)
			}
			if cause := errors.Unwrap(c.err); cause == context.Canceled && !errors.Is(err, cause) {
				t.Errorf("%v is not the end of its context", err)
			}
		})
	}
	if told("read", "pond://x", nil) != nil {
		t.Error("nothing is an error")
	}
}
