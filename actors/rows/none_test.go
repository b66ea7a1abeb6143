package rows

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// TestNone: a job that has ended without rows says why, and what to do about it.
func TestNone(t *testing.T) {
	parts := &api.ResultInfo{Parts: []api.ResultPart{{Addr: "a:1"}}}
	for name, c := range map[string]struct {
		status api.JobStatus
		kind   plan.Kind // 0: it has rows
		says   string
	}{
		"rows":             {api.JobStatus{State: api.Succeeded, Result: parts}, 0, ""},
		"failed":           {api.JobStatus{State: api.Failed, Error: api.FromError(&plan.Error{Kind: plan.KindMemory, Text: "too large"})}, plan.KindMemory, "too large"},
		"cancelled":        {api.JobStatus{State: api.Cancelled}, plan.KindCancelled, "cancelled"},
		"files":            {api.JobStatus{State: api.Succeeded, Output: "/out", Result: new(api.ResultInfo)}, plan.KindUser, "/out"},
		"of an old record": {api.JobStatus{State: api.Succeeded}, plan.KindUnavailable, "submit"},
	} {
		err := None(&c.status)
		if (err == nil) != (c.kind == 0) || err != nil && (plan.KindOf(err) != c.kind || !strings.Contains(err.Error()+plan.AsError(err).Hint, c.says)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLost: rows that nobody holds can be made again; other errors stay as they are.
func TestLost(t *testing.T) {
	if err := Lost("j", &plan.Error{Kind: plan.KindFetch, Text: "gone"}); !errors.Is(err, plan.ErrUnavailable) || !strings.Contains(plan.AsError(err).Hint, "again") {
		t.Errorf("%v", err)
	}
	for _, err := range []error{nil, context.Canceled, plan.ErrDenied} {
		if got := Lost("j", err); got != err {
			t.Errorf("%v becomes %v", err, got)
		}
	}
}
