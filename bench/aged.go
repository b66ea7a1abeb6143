package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

const (
	agedJobs   = 10_000 // between the two looks
	agedLook   = 500    // jobs, whose p50 counts
	agedTarget = 1.3    // × what a job took on the new pond
)

// measureAged is how much longer a trivial job takes on a pond of one node that has done
// many others, no two alike, and holds what they gave.
func measureAged(ctx context.Context, b *bench, _ *duckSystem) ([]figure, error) {
	p, err := startPond(ctx, b, "aged", 1, max(b.memory, idleNodeMemory))
	if err != nil {
		return nil, err
	}
	defer p.stop()
	n, racer := 0, racingPond(p, p.name())
	jobs := func(count int) ([]time.Duration, error) {
		took := make([]time.Duration, count)
		for i := range took {
			n++
			s, got, err := timed(ctx, racer, fmt.Sprintf("SELECT %d AS n", n))
			if err != nil {
				return nil, err
			}
			took[i] = s.wall
			if len(got.rows) != 1 || got.rows[0][0] != strconv.Itoa(n) {
				return nil, fmt.Errorf("%w: %v, want %d", errWrong, got.rows, n)
			}
		}
		return took, nil
	}
	if _, err := jobs(agedLook); err != nil { // warms up
		return nil, err
	}
	young, err := jobs(agedLook)
	if err != nil {
		return nil, err
	}
	if _, err := jobs(agedJobs); err != nil {
		return nil, err
	}
	old, err := jobs(agedLook)
	if err != nil {
		return nil, err
	}
	was, is := quantile(young, percent50), quantile(old, percent50)
	return []figure{figure{Name: fmt.Sprintf("trivial job after %d others, p50", agedJobs), Value: float64(is) / float64(was), Unit: "× before",
		Note: fmt.Sprintf("%s, at first %s", msText(millis(is)), msText(millis(was)))}.atMost(agedTarget)}, nil
}
