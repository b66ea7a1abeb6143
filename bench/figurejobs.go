package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/pondmesh/pond"
)

const (
	idleNodes      = 3
	latencyRuns    = 50
	latencyWarm    = 5
	latencyTarget  = 100 // ms
	manyTasks      = 1000
	taskTarget     = 5 // ms
	stormMaps      = 256
	stormParts     = 4096
	stormRows      = 64 // of a map task
	budgetFold     = 5
	budgetDataMin  = 1_400_000_000
	budgetTarget   = 1 // times DuckDB's time
	percent50      = 0.5
	percent95      = 0.95
	idleNodeMemory = 256 << 20
)

// collect runs a DataFrame and gives the number of its rows and the sum of its
// columns of integers.
func collect(ctx context.Context, df *pond.DataFrame) (rows, sum int64, err error) {
	r, err := df.Collect(ctx)
	if err != nil {
		return 0, 0, err
	}
	for rec, err := range r.All() {
		if err != nil {
			return 0, 0, err
		}
		rows += rec.NumRows()
		for _, c := range rec.Columns() {
			if v, ok := c.(*array.Int64); ok {
				for i := range v.Len() {
					sum += v.Value(i)
				}
			}
		}
	}
	return rows, sum, nil
}

// numbered is n rows 0 to n-1 as x, in n partitions.
func numbered(s *pond.Session, n int) *pond.DataFrame {
	rows := make([][]any, n)
	for i := range rows {
		rows[i] = []any{i}
	}
	return s.FromRows([]string{"x", "BIGINT"}, rows...).Repartition(n, pond.ByRows())
}

// measureLatency is from submitting to having read the last row.
func measureLatency(ctx context.Context, b *bench, _ *duckSystem) ([]figure, error) {
	p, err := startPond(ctx, b, "latency", idleNodes, idleNodes*idleNodeMemory)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	one := p.session.FromRows([]string{"x", "BIGINT"}, []any{41})
	var out []figure
	for _, m := range []struct {
		name string
		df   *pond.DataFrame
		sum  int64
	}{
		{"trivial job", one.SQL("SELECT x + 1 AS y FROM {0}"), 42},
		{"trivial shuffled job", numbered(p.session, idleNodes).Repartition(idleNodes, pond.ByHash("x")).SQL("SELECT sum(x)::BIGINT AS y FROM {0}"), 3},
	} {
		var took []time.Duration
		for i := range latencyRuns + latencyWarm {
			start := time.Now()
			_, sum, err := collect(ctx, m.df)
			if err != nil {
				return out, err
			}
			if sum != m.sum {
				return out, fmt.Errorf("%w: %d, want %d", errWrong, sum, m.sum)
			}
			if i >= latencyWarm {
				took = append(took, time.Since(start))
			}
		}
		p50 := figure{Name: m.name + ", p50", Value: millis(quantile(took, percent50)), Unit: "ms"}
		p95 := figure{Name: m.name + ", p95", Value: millis(quantile(took, percent95)), Unit: "ms"}
		if len(out) == 0 {
			p50, p95 = p50.atMost(latencyTarget), p95.atMost(latencyTarget)
		}
		out = append(out, p50, p95)
	}
	return out, nil
}

// measureTasks runs many tasks that read one row each.
func measureTasks(ctx context.Context, b *bench, _ *duckSystem) ([]figure, error) {
	p, err := startPond(ctx, b, "tasks", idleNodes, idleNodes*idleNodeMemory)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	df := numbered(p.session, manyTasks).SQL("SELECT x FROM {0}")
	var all []sample
	for i := range b.runs + 1 {
		s, err := measure(ctx, p, false, func(ctx context.Context) error {
			rows, sum, err := collect(ctx, df)
			if err == nil && (rows != manyTasks || sum != manyTasks*(manyTasks-1)/2) {
				err = fmt.Errorf("%w: %d rows, sum %d", errWrong, rows, sum)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if i > 0 {
			all = append(all, s)
		}
	}
	wall := middle(all, wallOf)
	cpu := middle(all, cpuOf)
	busy := min(p.slots*idleNodes, b.threads) // slots that have a core
	return []figure{
		figure{Name: "task, time on a core", Value: millis(wall) * float64(busy) / manyTasks, Unit: "ms",
			Note: fmt.Sprintf("%d tasks in %s on %d cores", manyTasks, secondsText(millis(wall)), busy)}.atMost(taskTarget),
		{Name: "task, processor time", Value: millis(cpu) / manyTasks, Unit: "ms"},
	}, nil
}

// measureStorm shuffles few rows between very many tasks, once.
func measureStorm(ctx context.Context, b *bench, _ *duckSystem) ([]figure, error) {
	n := b.nodes[len(b.nodes)-1]
	p, err := startPond(ctx, b, "storm", n, b.memory)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	df := numbered(p.session, stormMaps).SQL(fmt.Sprintf("SELECT x * %d + unnest(range(%d)) AS i FROM {0}", stormRows, stormRows)).
		Repartition(stormParts, pond.ByHash("i")).SQL("SELECT count(*) AS n FROM {0}")
	s, err := measure(ctx, p, true, func(ctx context.Context) error {
		rows, sum, err := collect(ctx, df)
		if err == nil && (rows != stormParts || sum != stormMaps*stormRows) {
			err = fmt.Errorf("%w: %d rows, sum %d", errWrong, rows, sum)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	note := fmt.Sprintf("%d map tasks, %d partitions, %s", stormMaps, stormParts, p.name())
	return []figure{
		{Name: "storm, wall", Value: s.wall.Seconds(), Unit: "s", Note: note},
		{Name: "storm, processor time", Value: s.cpu.Seconds(), Unit: "s"},
		{Name: "storm, peak memory of a node", Value: float64(s.peakMost) / 1e6, Unit: "MB", Note: "of " + bytesText(b.memory/int64(n)) + " allowed"},
		{Name: "storm, open files of a node", Value: float64(s.files), Unit: ""},
		{Name: "storm, sockets of a node", Value: float64(s.sockets), Unit: ""},
	}, nil
}

// measureBudget sorts five times the memory that DuckDB, and the smallest and the
// largest pond that can, are allowed.
func measureBudget(ctx context.Context, b *bench, checker *duckSystem) ([]figure, error) {
	size := max(b.size, budgetDataMin)
	memory := size / budgetFold
	var nodes []int
	for _, n := range slices.Sorted(slices.Values(b.nodes)) {
		if memory/int64(n) >= nodeMemoryMin {
			nodes = append(nodes, n)
		}
	}
	if len(nodes) == 0 {
		return nil, fmt.Errorf("no pond of %v nodes runs in %s", b.nodes, bytesText(memory))
	}
	if len(nodes) > 2 {
		nodes = []int{nodes[0], nodes[len(nodes)-1]}
	}
	once := *b
	once.runs = 1 // it takes as long as many of the others, and only memory is measured
	var out []figure
	var errs []error
	for _, n := range nodes {
		results, err := once.runWorkload(ctx, graySort(), checker, size, memory, []int{n})
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, r := range results {
			f := figure{Name: "sort of 5× memory, " + r.System, Value: r.Ratio, Unit: "× duckdb",
				Note: fmt.Sprintf("%s, %s of cpu, %s spilled, %s shuffled", secondsText(r.WallMS), secondsText(r.CPUMS), bytesText(r.Spill), bytesText(r.Shuffled))}
			if r.Nodes > 0 {
				f = f.atMost(budgetTarget)
			}
			out = append(out, f, figure{Name: "… its peak memory", Value: float64(r.PeakSum) / float64(memory), Unit: "× budget",
				Note: fmt.Sprintf("%s resident of %s allowed, all processes", bytesText(r.PeakSum), bytesText(memory))})
		}
	}
	return out, errors.Join(errs...)
}
