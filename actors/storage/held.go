package storage

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/datasets"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/repair"
	"github.com/pondmesh/pond/fs/replica"
	"github.com/pondmesh/pond/mesh"
)

// Bounds of finding what was sent.
const (
	sentTimeout = 20 * time.Second
	spreadsMax  = 4 // files of a put whose copies are made at once
)

func (s *Server) heldHere(name, lease string) ([]datasets.Sent, error) {
	return s.c.Datasets().Held(collect.Origin{Dataset: name, Lease: lease})
}

// held is what enough nodes have of a put: each upload once, with its holders. A copy of
// which the others were not made, for its sender or this node went away, is no file yet:
// what is here is spread to its end, and all else is sent again.
func (s *Server) held(ctx context.Context, name, lease string) ([]datasets.Sent, error) {
	all, err := s.everyCopy(ctx, name, lease)
	if err != nil {
		return nil, err
	}
	class := s.c.Copies.Published()
	short := func(f datasets.Sent) bool { return len(f.Holders) < class.Min }
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(spreadsMax)
	for i := range all {
		if f := &all[i]; short(*f) && slices.Contains(f.Holders, s.c.Peers.Self) {
			g.Go(func() error { return s.spread(ctx, class, f) })
		}
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, short), nil
}

// spread makes the copies of a file that were not made. That there are too few nodes is an
// error, for sent again the file would have no more; after any other it may be sent again.
func (s *Server) spread(ctx context.Context, class replica.Class, f *datasets.Sent) error {
	c, err := s.c.Copies.Spread(ctx, class, fs.UploadID(f.Upload))
	switch {
	case err == nil:
		f.Holders = c.Holders
	case errors.Is(err, replica.ErrTooFew) || ctx.Err() != nil:
		return err
	default:
		s.c.Log.Warn("a file that was put in part is to be sent again", "file", f.Path, "upload", f.Upload, "err", err)
	}
	return nil
}

// everyCopy is what nodes that answer have of a put, however few they are.
func (s *Server) everyCopy(ctx context.Context, name, lease string) ([]datasets.Sent, error) {
	here, err := s.heldHere(name, lease)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, sentTimeout)
	defer cancel()
	answers := peers.Ask(ctx, s.c.Peers, s.c.View().Members, "what was sent for a put", func() []api.HeldFile { return nil },
		func(ctx context.Context, p *api.Peer) ([]api.HeldFile, error) {
			return p.Hop().HeldFiles(ctx, name, lease)
		})
	all := map[repair.ID]*datasets.Sent{}
	add := func(f datasets.Sent, node mesh.NodeID) {
		if all[f.Upload] == nil {
			all[f.Upload] = &f
		}
		all[f.Upload].Holders = append(all[f.Upload].Holders, node)
	}
	for _, f := range here {
		add(f, s.c.Peers.Self)
	}
	for _, a := range answers {
		for _, f := range a.Said {
			if id, err := fs.ParseUploadID(f.Upload); err == nil {
				add(datasets.Sent{Path: f.Path, Sum: f.Sum, Size: f.Size, Upload: repair.ID(id)}, a.Node.ID)
			}
		}
	}
	out := make([]datasets.Sent, 0, len(all))
	for _, f := range all {
		out = append(out, *f)
	}
	return out, nil
}
