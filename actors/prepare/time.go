package prepare

import (
	"context"
	"fmt"
	"time"

	"github.com/pondmesh/pond/actors/plan"
)

// How long DuckDB may work on one request of a Planner. Nobody's statement needs so
// long, but folders of many files may, and PIVOT runs a query to find its columns.
const (
	requestTime = 15 * time.Second
	fileTime    = 50 * time.Millisecond // more for each file
	pivotTime   = 10 * time.Minute      // more for PIVOT
)

// WithTime bounds the time of a request about a statement, and files. The cause of the
// context's end is then the user's error.
func WithTime(ctx context.Context, sql string, files int) (context.Context, context.CancelFunc) {
	d := requestTime + time.Duration(files)*fileTime
	if pivots(sql) {
		d += pivotTime
	}
	return context.WithTimeoutCause(ctx, d, &plan.Error{Kind: plan.KindDeadline, Op: "plan",
		Text: fmt.Sprintf("DuckDB has worked on the statement for %v, which is all the time that planning may take, and is not done", d),
		Hint: "give it fewer terms in one expression, fewer joins, or fewer nested queries"})
}
