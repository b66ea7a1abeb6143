// Package copies has the segments that a node's attempts make held by other nodes too,
// where their job says so: the loss of a node then costs no rerun.
//
// It refuses to choose the nodes and to send bytes (package replicas does both), and to
// know which attempt of a task wins. A job is not held up by copies that cannot be made:
// what has fewer is made again when it is lost, as if the job wanted none.
package copies

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/mesh"
)

// Runner runs attempts: see exec.Machine.
type Runner interface {
	Run(ctx context.Context, a exec.Attempt, packets exec.Packets) (*exec.Outcome, error)
}

// Sharing makes segments durable, and sends them to other nodes: see replicas.Replicas.
type Sharing interface {
	Secure(id fs.UploadID) error
	Share(ctx context.Context, id fs.UploadID, want int, facts []byte) (others []mesh.NodeID, err error)
}

// Machine runs attempts, and copies what they make.
type Machine struct {
	Runner
	Sharing Sharing
	Log     *slog.Logger
}

// Run is the Runner's. Of a job that wants copies before an attempt is done the outcome
// names the nodes that hold its segment too.
func (m *Machine) Run(ctx context.Context, a exec.Attempt, packets exec.Packets) (*exec.Outcome, error) {
	packet, err := packets.Get(ctx, a.Stage, a.Version)
	if err != nil {
		return nil, err
	}
	out, err := m.Runner.Run(ctx, a, packets)
	if err != nil || packet.Copies < 2 || out.Segment.Segment == "" {
		return out, err
	}
	if err = m.secure(out.Segment); err == nil {
		out.Copies, err = m.Make(ctx, out.Segment, packet.Copies)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		m.Log.Warn("a segment has fewer copies than its job wants", "job", a.Job, "attempt", a.ID, "copies", 1+len(out.Copies), "want", packet.Copies, "err", err)
	}
	return out, nil
}

func (m *Machine) secure(h api.Held) error {
	id, err := fs.ParseUploadID(h.Segment)
	if err != nil {
		return err
	}
	return m.Sharing.Secure(id)
}

// Make has a segment of this node held by as many nodes as are wanted, this one among them,
// and returns the others, which have it durably.
func (m *Machine) Make(ctx context.Context, h api.Held, want int) (others []string, err error) {
	id, err := fs.ParseUploadID(h.Segment)
	if err != nil {
		return nil, err
	}
	h.Copy = true
	facts, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("copies: encode the facts of segment %s: %w", h.Segment, err)
	}
	nodes, err := m.Sharing.Share(ctx, id, want, facts)
	for _, n := range nodes {
		others = append(others, string(n))
	}
	if err == nil && 1+len(others) < want {
		err = fmt.Errorf("copies: no other node takes segment %s", h.Segment)
	}
	return others, err
}
