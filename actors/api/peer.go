package api

import (
	"context"
	"crypto/tls"
	"encoding/gob"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond/actors/auth"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/token"
)

// HopHeader marks a request that a node makes for a client: the receiver answers
// from its own knowledge, and does not pass the request on.
const HopHeader = "Pond-Hop"

// CallerHeader says for whom a node passes a request on: pond://ROLE/USER. It is heard
// from nodes alone; without it the node asks for itself.
const CallerHeader = "Pond-Caller"

// Peer calls other nodes for a node: all that a Client asks, and what only nodes
// ask of one another.
type Peer struct{ Client }

// NewPeer returns a Peer without an address: At gives it one. dial, unless nil, makes
// its connections. secret makes its token where there is no TLS; nil: the user's own.
func NewPeer(tlsc *tls.Config, secret token.Secret, dial func(ctx context.Context, network, addr string) (net.Conn, error)) *Peer {
	c := newClient("", tlsc)
	if tlsc == nil {
		c.by = &bearer{secret: secret, role: auth.Node}
	}
	if dial != nil {
		c.http.Transport.(*http.Transport).DialContext = dial
	}
	return &Peer{*c}
}

// At is the same Peer for the node whose API is at addr. They share connections.
func (p *Peer) At(addr string) *Peer { return &Peer{*p.at(addr)} }

// Hop is the same Peer, whose requests are not passed on.
func (p *Peer) Hop() *Peer { return &Peer{Client{base: p.base, http: p.http, by: p.by, hop: true}} }

// Transport carries the Peer's requests.
func (p *Peer) Transport() http.RoundTripper { return p.http.Transport }

// PutRecord stores a job's record on the node. It returns once it is durable.
func (p *Peer) PutRecord(ctx context.Context, r *Record) error {
	_, err := call[struct{}](ctx, &p.Client, http.MethodPut, "/v1/specs/"+string(r.Spec.ID), r)
	return err
}

// Records lists the jobs recorded on the node itself.
func (p *Peer) Records(ctx context.Context) ([]JobStatus, error) {
	rs, err := call[[]JobStatus](ctx, &p.Client, http.MethodGet, "/v1/specs", nil)
	if err != nil {
		return nil, err
	}
	return *rs, nil
}

// Start makes the node coordinate a job that is recorded on it.
func (p *Peer) Start(ctx context.Context, id plan.JobID) (*JobStatus, error) {
	return call[JobStatus](ctx, &p.Client, http.MethodPost, jobPath(id, "/start"), struct{}{})
}

// Registers carries requests to the node's keeper.
func (p *Peer) Registers(ctx context.Context, c *RegisterCall) (*RegisterReply, error) {
	return call[RegisterReply](ctx, &p.Client, http.MethodPost, "/v1/registers", c)
}

// Abandon cancels a job whose submission has broken off, unless somebody has asked for
// it since (see UnclaimedQuery).
func (p *Peer) Abandon(ctx context.Context, spec *JobSpec) error {
	_, err := call[JobStatus](ctx, &p.Client, http.MethodPost, jobPath(spec.ID, "/cancel?"+UnclaimedQuery+"="+spec.Digest), struct{}{})
	return err
}

// UnclaimedQuery makes a cancellation spare a job that its client has renewed or handed
// in again, for it has gone on by another node, and one of another digest than the
// query's value, which only has the same id.
const UnclaimedQuery = "unclaimed"

// Packet fetches a stage for a worker, from the coordinator of a term.
func (p *Peer) Packet(ctx context.Context, id plan.JobID, term uint64, stage int, version uint64) (*Packet, error) {
	out := new(Packet)
	path := jobPath(id, fmt.Sprintf("/packet?term=%d&stage=%d&version=%d", term, stage, version))
	return out, p.large(ctx, path, func(in io.Reader) error {
		b, err := io.ReadAll(in)
		if err != nil {
			return err
		}
		return out.UnmarshalBinary(b)
	})
}

// Schema fetches the columns of a segment.
func (p *Peer) Schema(ctx context.Context, segment string) (*arrow.Schema, error) {
	return p.schema(ctx, segment, false)
}

// DropSegment has the node delete a segment of a stage, for the driver of a job's term.
// One of a term that the node knows a later one of is refused: plan.ErrFenced.
func (p *Peer) DropSegment(ctx context.Context, job plan.JobID, term uint64, stage plan.StageID, segment string) error {
	path := fmt.Sprintf("/v1/segments/%s?job=%s&term=%d&stage=%s", segment, job, term, stage)
	_, err := call[struct{}](ctx, &p.Client, http.MethodDelete, path, nil)
	return err
}

// RowTimes asks when the rows of a job's result were read from the node.
func (p *Peer) RowTimes(ctx context.Context, id plan.JobID) (*RowTimes, error) {
	return call[RowTimes](ctx, &p.Client, http.MethodGet, jobPath(id, "/read"), nil)
}

// Metrics are what the node counts, in Prometheus's text format.
func (p *Peer) Metrics(ctx context.Context) (string, error) {
	return p.text(ctx, http.MethodGet, "/metrics", nil)
}

// Healthy is nil unless the node says that only a restart or a repair mends it.
func (p *Peer) Healthy(ctx context.Context) error {
	_, err := call[Health](ctx, &p.Client, http.MethodGet, "/healthz", nil)
	return err
}

// BriefQuery asks for a job's status as its coordinator has it, without asking the
// nodes that hold its rows.
const BriefQuery = "brief"

// Held asks which segments of some stages the node holds.
func (p *Peer) Held(ctx context.Context, stages []plan.StageID) ([]Held, error) {
	hs, err := call[[]Held](ctx, &p.Client, http.MethodPost, "/v1/held", &HeldRequest{Stages: stages})
	if err != nil {
		return nil, err
	}
	return *hs, nil
}

// Parts fetches the rows and bytes of each partition of a segment.
func (p *Peer) Parts(ctx context.Context, segment string) (*plan.SegmentInfo, error) {
	out := new(plan.SegmentInfo)
	return out, p.large(ctx, "/v1/segments/"+segment+"/parts", func(in io.Reader) error { return gob.NewDecoder(in).Decode(out) })
}

// large gives read a reply that is large and never leaves Pond.
func (p *Peer) large(ctx context.Context, path string, read func(io.Reader) error) error {
	return p.exchange(ctx, http.MethodGet, path, nil, func(r *reply) error {
		if err := read(io.LimitReader(r.Body, PacketBytesMax)); err != nil {
			return r.broken(fmt.Errorf("reading the reply to GET %s: %w", path, err), false)
		}
		return nil
	})
}
