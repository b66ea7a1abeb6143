package actors

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/wire"
)

// TestReportsAreHeard: whatever becomes of a report, its attempt ends.
func TestReportsAreHeard(t *testing.T) {
	h := &wire.Header{Job: strings.Repeat("0", 32)}
	task := &wire.Task{StageId: "s", Attempt: 3}
	for _, c := range []struct {
		name   string
		report *wire.Done
		answer error // of a coordinator that is given a valid message
		told   []string
	}{
		{"valid", &wire.Done{Task: task, Files: &wire.Files{Manifest: "a", Count: 1 << 40}}, nil, []string{"done"}},
		{"not valid", &wire.Done{Task: task, Files: &wire.Files{Manifest: "../a"}}, nil, []string{"failed"}},
		{"refused", &wire.Done{Task: task}, plan.ErrInternal, []string{"done", "failed"}},
		{"fenced", &wire.Done{Task: task}, plan.ErrFenced, []string{"done"}},
		{"unreachable", &wire.Done{Task: task}, plan.ErrUnavailable, []string{"done"}},
	} {
		var told []string
		deliver := func(m proto.Message) ([]*wire.Run, error) {
			if err := wire.Validate(m); err != nil {
				return nil, err
			}
			switch m := m.(type) {
			case *wire.Done:
				told = append(told, "done")
				return nil, c.answer
			case *wire.Failed:
				told = append(told, "failed")
				if te := wire.FromProto(m.Error); te.Kind != plan.KindInternal || !proto.Equal(m.Task, task) {
					t.Errorf("%s: %v of %v", c.name, te, m.Task)
				}
			}
			return nil, nil
		}
		_, err := (&attemptOutcome{report: c.report}).tell(deliver, h, 1, slog.New(slog.DiscardHandler))
		if !slices.Equal(told, c.told) {
			t.Errorf("%s: told %v, want %v", c.name, told, c.told)
		}
		if want := c.told[len(c.told)-1] == "done"; want && !errors.Is(err, c.answer) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
