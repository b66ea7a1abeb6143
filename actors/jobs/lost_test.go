package jobs

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/terms"
	"github.com/pondmesh/pond/fs/register"
	"github.com/pondmesh/pond/fs/register/registertest"
)

// Of a job whose records are gone with their nodes is told what the registers know.
func TestLost(t *testing.T) {
	const id plan.JobID = "0a"
	broken := &plan.Error{Kind: plan.KindUser, Text: "no such column"}
	for _, test := range []struct {
		name   string
		decide func(context.Context, *terms.Term) error // nil: nobody asked the registers
		state  api.State
		text   string // of the error, if there is no state
	}{
		{"nobody voted", nil, "", "no node of the pond knows this job"},
		{"it was driven", func(ctx context.Context, t *terms.Term) error { return t.Claim(ctx) }, "", "node a drove it last, in term 1, and its end is not decided"},
		{"its files are on their way", func(ctx context.Context, t *terms.Term) error { return t.Decide(ctx, terms.Publish, 7, nil) }, "", "its files are being published"},
		{"its files are there", func(ctx context.Context, t *terms.Term) error { return t.Decide(ctx, terms.Succeeded, 7, nil) }, api.Succeeded, ""},
		{"it failed", func(ctx context.Context, t *terms.Term) error { return t.Decide(ctx, terms.Failed, 0, broken) }, api.Failed, ""},
		{"it was cancelled", func(ctx context.Context, t *terms.Term) error { return t.Decide(ctx, terms.Cancelled, 0, nil) }, api.Cancelled, ""},
	} {
		registers := new(registertest.Memory)
		if test.decide != nil {
			if err := test.decide(t.Context(), terms.First(registers, id, api.Driver{Node: "a", Boot: "1"})); err != nil {
				t.Fatal(err)
			}
		}
		end, err := New(Host{Registers: registers}).Lost(t.Context(), id)
		switch {
		case test.state == "" && (!errors.Is(err, plan.ErrNotFound) || !strings.Contains(err.Error(), test.text)):
			t.Errorf("%s: %+v, %v", test.name, end, err)
		case test.state != "" && (err != nil || end.State != test.state || end.Coordinator != "a" || end.Term != 1):
			t.Errorf("%s: %+v, %v", test.name, end, err)
		case test.state == api.Succeeded && end.Rows != 7:
			t.Errorf("%s: %d rows", test.name, end.Rows)
		case test.state == api.Failed && !strings.Contains(end.Error.Text, "no such column"):
			t.Errorf("%s: %+v", test.name, end.Error)
		}
	}
	registers := new(registertest.Memory)
	registers.Before(func() error { return register.ErrMinority })
	if _, err := New(Host{Registers: registers}).Lost(t.Context(), id); !errors.Is(err, plan.ErrNotFound) {
		t.Errorf("without a quorum: %v", err)
	}
}
