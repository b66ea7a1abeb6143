package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// errWrong is a result that is not DuckDB's.
var errWrong = errors.New("wrong result")

// unordered lets DuckDB write rows without an ORDER BY as they come, as a pond
// does: it is faster so.
const unordered = "SET preserve_insertion_order = false"

// runWorkload measures a workload on DuckDB and on ponds of those sizes, in
// turns, and checks every result.
func (b *bench) runWorkload(ctx context.Context, w workload, checker *duckSystem, size, memory int64, nodes []int) (out []result, err error) {
	t := &turns{b: b, w: w, checker: checker}
	var first dataset
	for i, name := range w.inputs {
		set, err := b.data.get(ctx, name, size)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			first = set
		}
		t.in = append(t.in, set.glob)
	}
	b.say("%s: %s", w.name, w.what)
	defer t.stop()
	if t.duck, err = startDuck(ctx, b, w.name+"-duckdb", memory); err != nil {
		return nil, err
	}
	if err := t.duck.exec(ctx, unordered); err != nil {
		return nil, err
	}
	for _, n := range nodes {
		p, err := startPond(ctx, b, w.name, n, memory)
		if err != nil {
			return nil, err
		}
		t.ponds = append(t.ponds, p)
	}
	t.samples = make([][]sample, len(t.ponds)+1)
	for i := range b.runs + 1 {
		if err := t.turn(ctx, i > 0); err != nil {
			return nil, err
		}
	}
	for i, s := range t.samples {
		r := result{Workload: w.name, System: "duckdb", Rows: first.rows, Bytes: first.raw, Threads: b.threads, Memory: memory}
		if i > 0 {
			p := t.ponds[i-1]
			r.System, r.Nodes, r.Threads = p.name(), len(p.nodes), p.slots*len(p.nodes)
		}
		r.fill(s, t.samples[0])
		out = append(out, r)
	}
	return out, nil
}

// turns are the runs of one workload.
type turns struct {
	b       *bench
	w       workload
	in      []string
	checker *duckSystem
	duck    *duckSystem
	ponds   []*pondSystem
	samples [][]sample // of DuckDB, then of each pond
}

func (t *turns) stop() {
	if t.duck != nil {
		t.duck.stop()
	}
	for _, p := range t.ponds {
		p.stop()
	}
}

// turn runs every system once.
func (t *turns) turn(ctx context.Context, counts bool) error {
	dir, err := os.MkdirTemp(t.b.dir, "out-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	run := &work{in: t.in, out: filepath.Join(dir, "duckdb")}
	if err := os.Mkdir(run.out, 0o755); err != nil {
		return err
	}
	s, err := measure(ctx, t.duck, false, func(ctx context.Context) error { return t.duck.exec(ctx, t.w.duck(run)...) })
	if err != nil {
		return fmt.Errorf("duckdb: %w", err)
	}
	t.keep(0, s, counts)
	want, err := t.sum(ctx, run.out)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(run.out); err != nil {
		return err
	}
	for i, p := range t.ponds {
		if err := t.pondTurn(ctx, i, p, filepath.Join(dir, p.name()), want, counts); err != nil {
			return fmt.Errorf("%s: %w", p.name(), err)
		}
	}
	return nil
}

func (t *turns) pondTurn(ctx context.Context, i int, p *pondSystem, out, want string, counts bool) error {
	run := &work{in: t.in, out: out}
	s, err := measure(ctx, p, false, func(ctx context.Context) error { return t.w.pond(ctx, p.session, run) })
	if err != nil {
		return err
	}
	if s.shuffled, err = p.shuffled(ctx); err != nil {
		return err
	}
	t.keep(i+1, s, counts)
	got, err := t.sum(ctx, out)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%w: rows and sum of hashes are %s, DuckDB's %s", errWrong, got, want)
	}
	for _, q := range t.w.pure {
		rows, err := t.checker.query(ctx, strings.ReplaceAll(q, "{files}", scanNamed(filepath.Join(out, "*.parquet"))))
		if err != nil {
			return err
		}
		if len(rows) != 1 || rows[0][0] != "0" {
			return fmt.Errorf("%w: %v by %s", errWrong, rows, q)
		}
	}
	return os.RemoveAll(out)
}

func (t *turns) keep(system int, s sample, counts bool) {
	if counts {
		t.samples[system] = append(t.samples[system], s)
	}
}

// sum is how many rows there are in a folder, and the sum of their hashes.
func (t *turns) sum(ctx context.Context, dir string) (string, error) {
	rows, err := t.checker.query(ctx, fmt.Sprintf("SELECT count(*), sum(hash(%s)) FROM %s", t.w.columns, scan(filepath.Join(dir, "**", "*.parquet"))))
	if err != nil {
		return "", err
	}
	return strings.Join(rows[0], ", "), nil
}

// fill computes the figures of samples, compared with DuckDB's of the same turns.
func (r *result) fill(s, duck []sample) {
	r.WallMS = millis(middle(s, wallOf))
	r.CPUMS = millis(middle(s, cpuOf))
	r.Ratio = ratio(s, duck, wallOf)
	r.CPURatio = ratio(s, duck, cpuOf)
	r.PeakMost = most(s, func(s sample) int64 { return s.peakMost })
	r.PeakSum = most(s, func(s sample) int64 { return s.peakSum })
	r.Spill = most(s, func(s sample) int64 { return s.spill })
	r.Shuffled = middle(s, func(s sample) int64 { return s.shuffled })
	for _, one := range s {
		r.WallsMS = append(r.WallsMS, millis(one.wall))
	}
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }
