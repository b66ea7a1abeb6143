package rows

import (
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// Lost says what to do about rows that nobody holds any more.
func Lost(id plan.JobID, err error) error {
	if plan.KindOf(err) != plan.KindFetch {
		return err
	}
	return &plan.Error{Kind: plan.KindUnavailable, Op: "rows", Subject: string(id), Text: err.Error(), Hint: "pondnode job result makes them anew; or submit the job again"}
}

// None is why an ended job has no rows; nil: it has.
func None(st *api.JobStatus) error {
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
