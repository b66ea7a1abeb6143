package engines

import (
	"context"
	"fmt"
	"time"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/stmt"
)

// How long DuckDB may plan. Nobody's statement needs so long, but folders of many files
// may, and PIVOT runs a query to find its columns.
const (
	requestTime = 15 * time.Second
	fileTime    = 50 * time.Millisecond // more for each file
	pivotTime   = 10 * time.Minute      // more for PIVOT
)

// PlanTime is how long DuckDB may plan a statement, or look at files, of which it is about
// so many.
func PlanTime(sql string, files int) time.Duration {
	d := requestTime + time.Duration(files)*fileTime
	if stmt.MayPivot(sql) {
		d += pivotTime
	}
	return d
}

// Late is the user's error when a PlanTime is over.
func Late(d time.Duration) error {
	return &plan.Error{Kind: plan.KindDeadline, Op: "plan",
		Text: fmt.Sprintf("DuckDB has worked on the statement for %v, which is all the time that planning may take, and is not done", d),
		Hint: "give it fewer terms in one expression, fewer joins, or fewer nested queries"}
}

// WithTime bounds a request by its PlanTime. The cause of the context's end is then Late.
func WithTime(ctx context.Context, sql string, files int) (context.Context, context.CancelFunc) {
	d := PlanTime(sql, files)
	return context.WithTimeoutCause(ctx, d, Late(d))
}
