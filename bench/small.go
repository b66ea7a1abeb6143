package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/pondmesh/pond"
)

const (
	smallFiles  = 40
	smallWarm   = 4
	smallRows   = 200_000
	smallTarget = 20 // ms longer than DuckDB
)

// smallQueries read one file each, whose name they are given.
var smallQueries = []string{
	"SELECT count(*), sum(v), max(s) FROM %[1]s",
	"SELECT k, count(*) AS n, avg(v) FROM %[1]s GROUP BY k ORDER BY n DESC, k LIMIT 10",
	"SELECT a.k, count(*) FROM %[1]s a JOIN %[1]s b ON a.i = b.i + 1 WHERE a.v > 5000 GROUP BY a.k ORDER BY a.k",
	"SELECT k, i, v FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY v, i) AS r FROM %[1]s) WHERE r = 1 ORDER BY k",
}

// measureSmall is how much longer small queries take than in DuckDB: over files
// that neither has seen, once more, and a third time, when a pond may give what it has.
func measureSmall(ctx context.Context, b *bench, checker *duckSystem) ([]figure, error) {
	duck, err := startDuck(ctx, b, "small-duckdb", b.memory)
	if err != nil {
		return nil, err
	}
	defer duck.stop()
	p, err := startPond(ctx, b, "small", idleNodes, max(b.memory, idleNodes*idleNodeMemory))
	if err != nil {
		return nil, err
	}
	defer p.stop()
	dir, err := os.MkdirTemp(b.dir, "small-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	turns := []string{"first", "again", "reused"}
	duckdb := racingDuck(duck)
	anew, reusing := racingPond(p, p.name()), racingPond(p, p.name(), pond.Reuse(true))
	racers := []*racer{anew, anew, reusing}
	theirs, ours := make([][]sample, len(turns)), make([][]sample, len(turns))
	for i := range smallFiles + smallWarm {
		file := filepath.Join(dir, fmt.Sprintf("%d.parquet", i))
		rows := fmt.Sprintf("SELECT i, (hash(i + %d) %% 1000)::INTEGER AS k, (hash(i * 7) %% 10000)::INTEGER AS v, md5(i::VARCHAR) AS s FROM range(%d) t(i)", i, smallRows)
		if err := checker.exec(ctx, fmt.Sprintf("COPY (%s) TO %s (FORMAT parquet)", rows, quote(file))); err != nil {
			return nil, err
		}
		sql := fmt.Sprintf(smallQueries[i%len(smallQueries)], quote(file))
		for turn := range turns {
			s, want, err := timed(ctx, duckdb, sql)
			if err != nil {
				return nil, err
			}
			s2, got, err := timed(ctx, racers[turn], sql)
			if err != nil {
				return nil, err
			}
			if err := sameAnswer(sql, got, want); err != nil {
				return nil, err
			}
			if i >= smallWarm {
				theirs[turn], ours[turn] = append(theirs[turn], s), append(ours[turn], s2)
			}
		}
	}
	var out []figure
	for turn, name := range turns {
		over := beyond(ours[turn], theirs[turn])
		note := fmt.Sprintf("longer than DuckDB, whose p50 is %s", msText(millis(middle(theirs[turn], wallOf))))
		out = append(out,
			figure{Name: "small query, " + name + ", p50", Value: millis(quantile(over, percent50)), Unit: "ms", Note: note}.atMost(smallTarget),
			figure{Name: "small query, " + name + ", p95", Value: millis(quantile(over, percent95)), Unit: "ms"})
	}
	return out, nil
}

// timed is race without looks at the processes, which would take a part of a short time.
func timed(ctx context.Context, r *racer, sql string) (sample, *answer, error) {
	start := time.Now()
	read, err := r.run(ctx, sql)
	s := sample{wall: time.Since(start)}
	if err != nil {
		return s, nil, err
	}
	a, err := read()
	return s, a, err
}
