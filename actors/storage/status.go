package storage

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/datasets"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/replicas"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/replica"
)

// Bounds of looking at all nodes.
const (
	statusTimeout = 10 * time.Second
	leftTimeout   = statusTimeout / 2 // in which a drained node asks the others
	lackingTold   = 100               // uploads with too few copies, one by one
	datasetsTold  = 100               // datasets of which not all is well, one by one
)

// status tells how the pond's copies stand, or this node's to another.
func (s *Server) status(_ http.ResponseWriter, r *http.Request) (any, error) {
	out := s.everywhere(r, func(ctx context.Context, p *api.Peer) (*api.Storage, error) { return p.Storage(ctx) })
	if r.Header.Get(api.HopHeader) != "" {
		return out, nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), statusTimeout)
	defer cancel()
	kept, unread := s.c.Datasets().Kept(ctx)
	survey, err := s.c.Copies.Survey(ctx)
	if err != nil {
		out.Error = err.Error()
		out.DatasetsError = errors.Join(unread, err).Error()
		return out, nil
	}
	lacks, count, err := survey.Lacks(lackingTold)
	if out.Lacks = count; err != nil {
		out.Error = err.Error()
	}
	for _, l := range lacks {
		out.Lacking = append(out.Lacking, api.LackingUpload{ID: l.ID.String(), Has: texts(l.Has), Lacks: texts(l.Lacks)})
	}
	if unread == nil {
		unread = s.c.Datasets().Health(ctx, kept, survey, func(h datasets.Health) { s.addHealth(out, h) })
	}
	if unread != nil {
		out.DatasetsError = unread.Error()
	}
	return out, nil
}

// addHealth adds how a dataset stands. Files of one that this node gives nobody are counted,
// and not named.
func (s *Server) addHealth(out *api.Storage, h datasets.Health) {
	one := api.DatasetHealth{Name: h.Name, FileHealth: api.FileHealth{Files: h.Files, Short: h.Short, Lost: h.Lost, Away: h.Away}}
	out.Files.Files, out.Files.Short, out.Files.Lost, out.Files.Away = out.Files.Files+h.Files, out.Files.Short+h.Short, out.Files.Lost+h.Lost, out.Files.Away+h.Away
	if h.Well() {
		return
	}
	if out.Unwell++; len(out.Datasets) == datasetsTold {
		return
	}
	if h.Err != nil {
		one.Error = h.Err.Error()
	}
	if s.mayRead(dataset.Ref{Name: h.Name}) == nil {
		for _, f := range h.Missing {
			one.Missing = append(one.Missing, api.MissingFile{Path: f.Path, Versions: f.Versions, Upload: f.Upload.String(), Holders: texts(f.Holders), Lost: f.Lost})
		}
	}
	out.Datasets = append(out.Datasets, one)
}

func texts(nodes []replica.Node) []string {
	out := make([]string, len(nodes))
	for i, n := range nodes {
		out[i] = string(n)
	}
	return out
}

// repair has this node, or all of them, compare what they hold.
func (s *Server) repair(_ http.ResponseWriter, r *http.Request) (any, error) {
	s.c.Copies.Repair()
	out := s.everywhere(r, func(ctx context.Context, p *api.Peer) (*api.Storage, error) { return p.Repair(ctx) })
	s.noteOrder(r, "repair")
	return out, nil
}

// scrub has this node, or all of them, read all copies.
func (s *Server) scrub(_ http.ResponseWriter, r *http.Request) (any, error) {
	s.c.Copies.ScrubNow()
	out := s.everywhere(r, func(ctx context.Context, p *api.Peer) (*api.Storage, error) { return p.Scrub(ctx) })
	s.noteOrder(r, "scrub")
	return out, nil
}

// noteOrder writes a client's order into the log.
func (s *Server) noteOrder(r *http.Request, what string) {
	if r.Header.Get(api.HopHeader) == "" {
		s.note(r, what, "all nodes", nil)
	}
}

// everywhere is how this node's copies stand, and, for a client, those of all others, which
// are asked by ask.
func (s *Server) everywhere(r *http.Request, ask func(context.Context, *api.Peer) (*api.Storage, error)) *api.Storage {
	if r.Header.Get(api.HopHeader) != "" {
		return &api.Storage{Nodes: []api.StorageNode{s.here(r.Context())}}
	}
	ctx, cancel := context.WithTimeout(r.Context(), statusTimeout)
	defer cancel()
	answers := peers.Ask(ctx, s.c.Peers, s.c.View().Members, "how its copies stand", func() *api.Storage { return &api.Storage{Nodes: []api.StorageNode{s.here(ctx)}} },
		func(ctx context.Context, p *api.Peer) (*api.Storage, error) { return ask(ctx, p.Hop()) })
	out := &api.Storage{}
	for _, a := range answers {
		one := api.StorageNode{Error: a.Why()}
		if a.Err == nil && a.Said != nil && len(a.Said.Nodes) == 1 {
			one = a.Said.Nodes[0]
		}
		one.Node, one.Zone = string(a.Node.ID), a.Node.Zone
		out.Nodes = append(out.Nodes, one)
	}
	return out
}

// here is how this node's copies stand.
func (s *Server) here(ctx context.Context) api.StorageNode {
	st, err := s.c.Copies.Status()
	if err != nil {
		return api.StorageNode{Error: err.Error()}
	}
	out := api.StorageNode{
		Copies: st.Held, Bytes: st.HeldBytes, Lacking: st.Short, Quarantined: st.Aside, Repaired: st.Repaired, RepairBytes: st.RepairedBytes, Dropped: st.Dropped, Rounds: st.Rounds,
		Version: st.Version, Members: st.Members, Want: st.Copies, Older: st.Older, Synced: st.Ack.Synced, Braked: st.Braked, Stale: st.Stale, Scrub: scrubOf(st.Pass), Drained: st.Drained,
	}
	for _, n := range st.Gone {
		out.Gone = append(out.Gone, string(n))
	}
	if st.Drained {
		ctx, cancel := context.WithTimeout(ctx, leftTimeout)
		defer cancel()
		left, err := s.c.Copies.Left(ctx)
		if out.Left, out.LeftBytes = left.Uploads, left.Bytes; err != nil {
			out.LeftError = err.Error()
		}
	}
	for _, d := range st.Disks {
		disk := api.StorageDisk{Dir: d.Dir, Free: d.Free, Total: d.Total, Bytes: d.Bytes, Count: d.Count, Aside: d.Aside}
		if d.Err != nil {
			disk.Failed = d.Err.Error()
		}
		out.Disks = append(out.Disks, disk)
	}
	return out
}

func scrubOf(p replicas.Pass) api.StorageScrub {
	return api.StorageScrub{Begun: p.Begun, Ended: p.Ended, Bytes: p.Bytes, Of: p.Of, Damaged: p.Damaged, Error: p.Err}
}
