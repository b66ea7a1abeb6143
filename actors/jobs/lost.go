package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/terms"
)

// lostTimeout bounds asking the registers for a job that nobody knows.
const lostTimeout = 2 * time.Second

// Lost is how a job has ended of which no living node has a record: the registers know
// if it wrote files, failed or was cancelled. The error is plan.ErrNotFound, and says
// what else they know of it.
func (j *Jobs) Lost(ctx context.Context, id plan.JobID) (*api.JobStatus, error) {
	ctx, stop := context.WithTimeout(ctx, lostTimeout)
	defer stop()
	s, err := terms.Stands(ctx, j.Registers, id)
	if err != nil || s.Term == 0 {
		return nil, peers.NoJob(id)
	}
	if s.Decision.Ended() {
		end := endOf(&api.JobSpec{ID: id}, s)
		end.Ended = 0 // nobody knows when
		return end, nil
	}
	fate := "its end is not decided"
	if s.Decision == terms.Publish {
		fate = "its files are being published, or are already"
	}
	return nil, &plan.Error{Kind: plan.KindNotFound, Op: "job", Subject: string(id),
		Text: fmt.Sprintf("no living node has the job's record: node %s drove it last, in term %d, and %s", s.Driver.Node, s.Term, fate),
		Hint: "start the nodes that are gone: they go on with it"}
}
