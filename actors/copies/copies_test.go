package copies

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/mesh"
)

type packets struct {
	exec.Packets
	want int
}

func (p packets) Get(context.Context, int, uint64) (*api.Packet, error) {
	return &api.Packet{Copies: p.want}, nil
}

// made is a Runner of one outcome, and a Sharing with some nodes.
type made struct {
	held   api.Held
	err    error
	others []mesh.NodeID
	share  error
	end    context.CancelFunc

	secured bool
	beside  bool
	counted int
	want    int
	facts   []byte
}

func (m *made) Secure(fs.UploadID) error {
	m.secured = true
	return nil
}

func (m *made) Run(context.Context, exec.Attempt, exec.Packets) (*exec.Outcome, error) {
	return &exec.Outcome{Segment: m.held}, m.err
}

func (m *made) Share(_ context.Context, _ fs.UploadID, want int, facts []byte, beside bool) ([]mesh.NodeID, error) {
	m.want, m.facts, m.beside = want, facts, beside
	m.end()
	return m.others, m.share
}

func (m *made) Facts(stage plan.StageID, segment string) (api.Held, bool) {
	return m.held, stage == m.held.Stage && segment == m.held.Segment
}

func (m *made) copier() *Copier {
	if m.end == nil {
		m.end = func() {}
	}
	return NewCopier(m, m, func(n int, _ int64) { m.counted += n }, slog.New(slog.DiscardHandler))
}

// TestCopy: what nobody waits for is told with the facts of its journal, and one at a time.
func TestCopy(t *testing.T) {
	held := api.Held{Segment: "00000000000000000000000000000007", Stage: "s", Owner: "ann", Rows: 5}
	m := &made{held: held, others: []mesh.NodeID{"b"}}
	c := m.copier()
	others, err := c.Copy(t.Context(), "s", held.Segment, 2)
	var facts api.Held
	if err != nil || !reflect.DeepEqual(others, []string{"b"}) || !m.beside || m.secured || m.counted != 1 {
		t.Errorf("held by %v too: %v; %+v", others, err, m)
	}
	if json.Unmarshal(m.facts, &facts) != nil || !facts.Copy || facts.Owner != "ann" {
		t.Errorf("the copy says %s", m.facts)
	}
	if _, err := c.Copy(t.Context(), "other", held.Segment, 2); !errors.Is(err, fs.ErrNotFound) {
		t.Errorf("what is not here: %v", err)
	}
	m.others = nil
	if _, err := c.Copy(t.Context(), "s", held.Segment, 2); err == nil {
		t.Error("nobody takes it, and nothing is said")
	}
	c.turn <- struct{}{}
	ctx, end := context.WithCancel(t.Context())
	end()
	if _, err := c.Copy(ctx, "s", held.Segment, 2); !errors.Is(err, context.Canceled) {
		t.Errorf("beside another: %v", err)
	}
}

// TestRun: an attempt is done when its segment has the copies that its job wants, or no
// more can be made; it has failed if it had, or was stopped meanwhile.
func TestRun(t *testing.T) {
	held := api.Held{Segment: "00000000000000000000000000000007", Stage: "s", Rows: 5, PartitionRows: []int64{2, 3}, Partitions: 2}
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		want   int
		made   made
		ends   bool
		asked  int
		copies []string
		err    error
	}{
		"none":               {0, made{held: held, others: []mesh.NodeID{"b"}}, false, 0, nil, nil},
		"one, which is here": {1, made{held: held, others: []mesh.NodeID{"b"}}, false, 0, nil, nil},
		"two":                {2, made{held: held, others: []mesh.NodeID{"b"}}, false, 2, []string{"b"}, nil},
		"three, one is had":  {3, made{held: held, others: []mesh.NodeID{"b"}}, false, 3, []string{"b"}, nil},
		"files":              {2, made{}, false, 0, nil, nil},
		"it failed":          {2, made{err: plan.ErrMemory}, false, 0, nil, plan.ErrMemory},
		"nobody takes it":    {2, made{held: held, share: broken}, false, 2, nil, nil},
		"it is stopped":      {2, made{held: held, others: []mesh.NodeID{"b"}}, true, 2, nil, context.Canceled},
	} {
		ctx, end := context.WithCancel(t.Context())
		if c.made.end = end; !c.ends {
			c.made.end = func() {}
		}
		m := &Machine{&c.made, c.made.copier()}
		out, err := m.Run(ctx, exec.Attempt{}, packets{want: c.want})
		end()
		if !errors.Is(err, c.err) || c.made.want != c.asked || c.made.secured != (c.asked > 0) || c.made.beside {
			t.Errorf("%s: %v, asked for %d copies", name, err, c.made.want)
		}
		if err == nil && !reflect.DeepEqual(out.Copies, c.copies) {
			t.Errorf("%s: held by %v too, want %v", name, out.Copies, c.copies)
		}
		var facts api.Held
		if c.asked > 0 && (json.Unmarshal(c.made.facts, &facts) != nil || !facts.Copy || facts.Rows != 5 || facts.PartitionRows[1] != 3) {
			t.Errorf("%s: the copy says %s", name, c.made.facts)
		}
	}
}
