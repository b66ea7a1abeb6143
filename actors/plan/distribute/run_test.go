//go:build duckdb_arrow

package distribute_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/distribute"
)

// noteFit counts what was done to partitions.
func (p *pond) noteFit(s *plan.Stage) {
	for _, x := range s.Tasks.Specs {
		if x.Hi-x.Lo > 1 {
			p.adapts["put together"]++
		}
		if x.To > 0 {
			p.adapts["split"]++
		}
	}
}

// noteChange counts joins that were planned again.
func (p *pond) noteChange(why string) {
	if strings.HasPrefix(why, "of a join both sides are shuffled") {
		p.adapts["shuffled after all"]++
	} else {
		p.adapts["sent after all"]++
	}
}

// run is the rows of a job's last stage, and the job as it was in the end: fitted
// to sizes, and planned again after every stage.
func (p *pond) run(ctx context.Context, planned *distribute.Compiled) (*plan.Job, *answer, error) {
	up := map[int][]plan.SegmentInfo{}
	defer func() {
		for i, segs := range up {
			for t := range segs {
				p.tasks.Exec(context.WithoutCancel(ctx), "DROP TABLE IF EXISTS "+segment(i, t))
			}
		}
	}()
	for {
		job := &plan.Job{Stages: slices.Clone(planned.Stages), Result: planned.Result}
		i := next(job, up)
		s, err := plan.Fitted(job, i, up)
		if err != nil {
			return job, nil, err
		}
		p.noteFit(s)
		job.Stages[i] = s
		segs, out, err := p.stage(ctx, job, i, up)
		if err != nil || i == len(job.Stages)-1 {
			return job, out, err
		}
		up[i] = segs
		again, err := planned.Replan(p.sizes(job, i, up))
		if err != nil {
			return job, nil, err
		}
		if again != nil {
			p.noteChange(again.Stages[len(again.Stages)-1].Replanned)
			planned = again
		}
	}
}

// next is a stage that is wanted and can run: the last one, as the scheduler does.
func next(job *plan.Job, up map[int][]plan.SegmentInfo) int {
	i := len(job.Stages) - 1
	for missing := -2; missing != -1; {
		missing = -1
		for _, u := range job.Stages[i].Upstream() {
			if up[u] == nil {
				missing = max(missing, u)
			}
		}
		if missing >= 0 {
			i = missing
		}
	}
	return i
}

// sizes are those of the stages that have run. Another one is as if it was half
// done, now and then.
func (p *pond) sizes(job *plan.Job, last int, up map[int][]plan.SegmentInfo) map[int]distribute.Size {
	sizes := map[int]distribute.Size{}
	for u, segs := range up {
		size := distribute.Size{Tasks: len(segs)}
		for _, seg := range segs {
			for k := range seg.Rows {
				size.Rows += seg.Rows[k]
				size.Bytes += seg.Bytes[k]
			}
		}
		sizes[u] = size
	}
	if i := next(job, up); i%3 == 1 && i > last && i < len(job.Stages)-1 && job.Stages[i].Tasks.N > 0 {
		sizes[i] = distribute.Size{Tasks: job.Stages[i].Tasks.N, Part: true}
	}
	return sizes
}

// stage runs the tasks of one stage.
func (p *pond) stage(ctx context.Context, job *plan.Job, i int, up map[int][]plan.SegmentInfo) (segs []plan.SegmentInfo, out *answer, err error) {
	n := plan.TaskCount(job, i, up)
	for t := range n {
		info, a, err := p.task(ctx, job, i, t, n, up)
		if err != nil {
			return nil, nil, fmt.Errorf("stage %d (%s) task %d: %w", i, job.Stages[i].Name, t, err)
		}
		segs = append(segs, info)
		switch {
		case a == nil:
		case out == nil:
			out = a
		default:
			out.rows = append(out.rows, a.rows...)
		}
	}
	return segs, out, nil
}
