// Package copies has the segments that a node's attempts make held by other nodes too,
// where their job says so: the loss of a node then costs no rerun. [Machine] does before an
// attempt is done, [Copier] also later, beside other work, when the job's driver asks.
//
// It refuses to choose the nodes and to send bytes (package replicas does both), and to
// know which attempt of a task wins, and which segments need copies (package sched does). A
// job is not held up by copies that cannot be made: what has fewer is made again when it is
// lost, as if the job wanted none.
package copies

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/plan"
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
	Share(ctx context.Context, id fs.UploadID, want int, facts []byte, beside bool) (others []mesh.NodeID, err error)
}

// Segments are those of this node: see journal.Segments.
type Segments interface {
	Facts(stage plan.StageID, segment string) (h api.Held, ok bool)
}

// Copier copies segments of this node. It is safe for concurrent use.
type Copier struct {
	sharing  Sharing
	segments Segments
	made     func(copies int, bytes int64)
	log      *slog.Logger
	turn     chan struct{} // a place for the one that nobody waits for
}

// NewCopier returns a Copier. made hears how many copies of how many bytes others took.
func NewCopier(sharing Sharing, segments Segments, made func(copies int, bytes int64), log *slog.Logger) *Copier {
	return &Copier{sharing: sharing, segments: segments, made: made, log: log, turn: make(chan struct{}, 1)}
}

// Copy has a segment of this node held by as many nodes as are wanted, this one among them,
// and returns the others, which have it durably. Nobody waits for it: it is one of all jobs
// at a time.
func (c *Copier) Copy(ctx context.Context, stage plan.StageID, segment string, want int) (others []string, err error) {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	h, ok := c.segments.Facts(stage, segment)
	if !ok {
		return nil, fmt.Errorf("copies: segment %s: %w", segment, fs.ErrNotFound)
	}
	return c.copy(ctx, h, want, true)
}

// secure makes a segment durable here, and has it held by as many nodes as are wanted.
func (c *Copier) secure(ctx context.Context, h api.Held, want int) (others []string, err error) {
	id, err := fs.ParseUploadID(h.Segment)
	if err != nil {
		return nil, err
	}
	if err := c.sharing.Secure(id); err != nil {
		return nil, err
	}
	return c.copy(ctx, h, want, false)
}

func (c *Copier) copy(ctx context.Context, h api.Held, want int, beside bool) (others []string, err error) {
	id, err := fs.ParseUploadID(h.Segment)
	if err != nil {
		return nil, err
	}
	h.Copy = true
	facts, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("copies: encode the facts of segment %s: %w", h.Segment, err)
	}
	nodes, err := c.sharing.Share(ctx, id, want, facts, beside)
	for _, n := range nodes {
		others = append(others, string(n))
	}
	c.made(len(others), h.Bytes)
	if err == nil && 1+len(others) < want {
		err = fmt.Errorf("copies: no other node takes segment %s", h.Segment)
	}
	return others, err
}

// Machine runs attempts, and copies what they make.
type Machine struct {
	Runner
	*Copier
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
	out.Copies, err = m.secure(ctx, out.Segment, packet.Copies)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		m.log.Warn("a segment has fewer copies than its job wants", "job", a.Job, "attempt", a.ID, "copies", 1+len(out.Copies), "want", packet.Copies, "err", err)
	}
	return out, nil
}
