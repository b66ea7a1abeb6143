package actors

import (
	"context"
	"net/http"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/jobs"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/rows"
)

// getRows waits for a job's end and writes its rows.
func (s *server) getRows(w http.ResponseWriter, r *http.Request, id plan.JobID) (any, error) {
	format, err := rows.Format(r)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(r.Context())
	defer stop()
	st, err := s.awaitEnd(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := noRows(st); err != nil {
		return nil, err
	}
	result, err := api.NewResultReader(&s.n.api.At(s.n.APIAddr()).Client, s.n.blocks).Open(ctx, st.Result, nil)
	if err == nil {
		err = rows.Write(w, format, result.Schema, result.All(ctx))
	}
	return nil, lostRows(id, err)
}

// lostRows says what to do about rows that nobody holds any more.
func lostRows(id plan.JobID, err error) error {
	if plan.KindOf(err) != plan.KindFetch {
		return err
	}
	return &plan.Error{Kind: plan.KindUnavailable, Op: "rows", Subject: string(id), Text: err.Error(), Hint: "pondnode job result makes them anew; or submit the job again"}
}

// awaitEnd is a job's status once it has ended.
func (s *server) awaitEnd(ctx context.Context, id plan.JobID) (*api.JobStatus, error) {
	for {
		st, changed := s.n.jobs.Watch(id)
		if st == nil {
			return nil, jobs.Moved(id)
		}
		if st.State.Ended() {
			return st, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-s.n.stopped:
			return nil, &plan.Error{Kind: plan.KindUnavailable, Op: "rows", Subject: string(id), Text: "the node is stopping", Hint: "ask another node"}
		}
	}
}

// noRows is why an ended job has none.
func noRows(st *api.JobStatus) error {
	switch {
	case st.Error != nil:
		return st.Error.Err()
	case st.State != api.Succeeded:
		return &plan.Error{Kind: plan.KindCancelled, Op: "rows", Subject: string(st.ID), Text: "the job was cancelled"}
	case st.Output != "":
		return &plan.Error{Kind: plan.KindUser, Op: "rows", Subject: string(st.ID), Text: "the job wrote files, and has no rows to be read", Hint: "read them: " + st.Output}
	case st.Result == nil || len(st.Result.Parts) == 0:
		return &plan.Error{Kind: plan.KindUnavailable, Op: "rows", Subject: string(st.ID), Text: "where its rows are was not recorded", Hint: "submit the job again: what is still held is reused"}
	}
	return nil
}
