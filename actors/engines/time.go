package engines

import (
	"context"
	"fmt"
	"time"

	"github.com/pondmesh/pond/actors/plan"
)

// How long DuckDB may plan. Nobody's statement needs so long, but folders of many files may.
const (
	requestTime = 15 * time.Second
	fileTime    = 50 * time.Millisecond // more for each file
)

// PlanTime is how long DuckDB may plan a statement, or look at files, of which it is about
// so many.
func PlanTime(files int) time.Duration { return requestTime + time.Duration(files)*fileTime }

// Late is the user's error when a PlanTime is over.
func Late(d time.Duration) error {
	return &plan.Error{Kind: plan.KindDeadline, Op: "plan",
		Text: fmt.Sprintf("DuckDB has worked on the statement for %v, which is all the time that planning may take, and is not done", d),
		Hint: "give it fewer terms in one expression, fewer joins, or fewer nested queries"}
}

// WithTime bounds a request by such a time. The cause of the context's end is then Late.
func WithTime(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, Late(d))
}
