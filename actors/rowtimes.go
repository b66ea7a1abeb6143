package actors

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/peers"
)

// rowTimesTimeout bounds the asking of those who hold a result.
const rowTimesTimeout = time.Second

// withRowTimes adds to an ended job's status when its rows were read, as far as the
// nodes that hold them know.
func (n *Node) withRowTimes(ctx context.Context, s *api.JobStatus) *api.JobStatus {
	if s.Result == nil || len(s.Result.Parts) == 0 {
		return s
	}
	ctx, stop := context.WithTimeout(ctx, rowTimesTimeout)
	defer stop()
	var holders []string
	for _, p := range s.Result.Parts {
		if p.Addr != "" && !slices.Contains(holders, p.Addr) {
			holders = append(holders, p.Addr)
		}
	}
	times := make([]api.RowTimes, len(holders))
	_ = peers.Each(ctx, len(holders), func(ctx context.Context, i int) error {
		if holders[i] == n.APIAddr() {
			times[i] = n.segments.Read(s.ID)
			return nil
		}
		t, err := n.api.At(holders[i]).RowTimes(ctx, s.ID)
		if err != nil {
			n.log.Debug("asking when rows were read", "job", s.ID, "node", holders[i], "err", err)
			return nil
		}
		times[i] = *t
		return nil
	})
	read := *s
	for _, t := range times {
		if t.First != 0 {
			read.FirstRow = min(cmp.Or(read.FirstRow, t.First), t.First)
		}
		read.LastRow = max(read.LastRow, t.Last)
	}
	return &read
}
