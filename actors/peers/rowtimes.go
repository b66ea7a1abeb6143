package peers

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/mesh"
)

// rowTimesTimeout bounds the asking of those who hold a result.
const rowTimesTimeout = time.Second

// WithRowTimes adds to an ended job's status when its rows were read, as far as the
// nodes that hold them know; here is what this node knows.
func (p *Peers) WithRowTimes(ctx context.Context, s *api.JobStatus, here func(plan.JobID) api.RowTimes) *api.JobStatus {
	if s.Result == nil || len(s.Result.Parts) == 0 {
		return s
	}
	ctx, stop := context.WithTimeout(ctx, rowTimesTimeout)
	defer stop()
	holders := slices.DeleteFunc(slices.Clone(p.View().Members), func(m mesh.Member) bool {
		return !slices.ContainsFunc(s.Result.Parts, func(p api.ResultPart) bool { return slices.Contains(p.Holders(), m.APIAddr()) })
	})
	times := Ask(ctx, p, holders, "when rows were read", func() api.RowTimes { return here(s.ID) },
		func(ctx context.Context, p *api.Peer) (t api.RowTimes, err error) {
			told, err := p.RowTimes(ctx, s.ID)
			if err == nil {
				t = *told
			}
			return t, err
		})
	read := *s
	for _, a := range times {
		if first := a.Said.First; first != 0 {
			read.FirstRow = min(cmp.Or(read.FirstRow, first), first)
		}
		read.LastRow = max(read.LastRow, a.Said.Last)
	}
	return &read
}
