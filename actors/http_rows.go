package actors

import (
	"context"
	"net/http"

	"github.com/pondmesh/pond/actors/api"
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
	st, err := s.n.jobs.AwaitEnd(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := rows.None(st); err != nil {
		return nil, err
	}
	result, err := api.NewResultReader(&s.n.api.At(s.n.APIAddr()).Client, s.n.blocks).Open(ctx, st.Result, nil)
	if err == nil {
		err = rows.Write(w, format, result.Schema, result.All(ctx))
	}
	return nil, rows.Lost(id, err)
}
