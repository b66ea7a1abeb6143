package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/pondmesh/pond"
)

// tpchTables are TPC-H's, each a Parquet file of that name in --tpch.
var tpchTables = []string{"customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"}

// tpchQueries is how many queries TPC-H has.
const tpchQueries = 22

// racer is a system that runs a query. What it returns reads the answer, which
// takes no time of the query's.
type racer struct {
	system
	label string
	run   func(ctx context.Context, sql string) (read func() (*answer, error), err error)
}

// measureTPCH runs TPC-H's queries on one DuckDB, on the largest pond as it is,
// and on that pond with every query distributed, in turns, and checks the answers.
func (b *bench) measureTPCH(ctx context.Context) ([]tpchResult, error) {
	b.say("tpch: the %d queries over %s", tpchQueries, b.tpch)
	duck, err := startDuck(ctx, b, "tpch-duckdb", b.memory)
	if err != nil {
		return nil, err
	}
	defer duck.stop()
	p, err := startPond(ctx, b, "tpch", slices.Max(b.nodes), b.memory)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	if err := b.tpchViews(ctx, duck, pondViews{p.session}); err != nil {
		return nil, err
	}
	racers := []*racer{racingDuck(duck), racingPond(p, p.name()), racingPond(p, p.name()+" forced", pond.Force(true))}
	var out []tpchResult
	for q := 1; q <= tpchQueries && ctx.Err() == nil; q++ {
		r, err := b.raceTPCH(ctx, q, racers)
		if err != nil {
			return out, fmt.Errorf("query %d: %w", q, err)
		}
		out = append(out, r...)
	}
	return out, context.Cause(ctx)
}

// raceTPCH is one query on every racer, warmed up once.
func (b *bench) raceTPCH(ctx context.Context, q int, racers []*racer) ([]tpchResult, error) {
	sql, err := b.tpchQuery(q)
	if err != nil {
		return nil, err
	}
	samples := make([][]sample, len(racers))
	last := make([]*answer, len(racers))
	for i := range b.runs + 1 {
		for k, r := range racers {
			s, a, err := race(ctx, r, sql)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", r.label, err)
			}
			if err := sameAnswer(sql, a, or(last[0], a)); err != nil {
				return nil, fmt.Errorf("%s, beside DuckDB: %w", r.label, err)
			}
			if last[k] = a; i > 0 {
				samples[k] = append(samples[k], s)
			}
		}
	}
	if b.answers != "" {
		want, err := readAnswer(filepath.Join(b.answers, fmt.Sprintf("q%02d.csv", q)))
		if err != nil {
			return nil, err
		}
		for k, r := range racers {
			if err := sameAnswer(sql, last[k], want); err != nil {
				return nil, fmt.Errorf("%s, beside the published answer: %w", r.label, err)
			}
		}
	}
	var out []tpchResult
	for k, r := range racers {
		t := tpchResult{Query: q, System: r.label, Rows: len(last[k].rows), Stages: last[k].stages, Tasks: last[k].tasks, Shuffled: last[k].shuffled}
		t.fill(samples[k], samples[0])
		out = append(out, t)
	}
	return out, nil
}

func or(a, b *answer) *answer {
	if a == nil {
		return b
	}
	return a
}

// race measures one run and reads its answer.
func race(ctx context.Context, r *racer, sql string) (sample, *answer, error) {
	var read func() (*answer, error)
	s, err := measure(ctx, r, false, func(ctx context.Context) (err error) {
		read, err = r.run(ctx, sql)
		return err
	})
	if err != nil {
		return s, nil, err
	}
	a, err := read()
	return s, a, err
}

// racingDuck keeps an answer in a table, so that the time is that of the query
// and not of its rows' way here.
func racingDuck(d *duckSystem) *racer {
	return &racer{system: d, label: d.name(), run: func(ctx context.Context, sql string) (func() (*answer, error), error) {
		err := d.exec(ctx, "CREATE OR REPLACE TEMP TABLE answer AS "+sql)
		return func() (*answer, error) {
			names, err := d.query(ctx, "SELECT column_name FROM (DESCRIBE answer)")
			if err != nil {
				return nil, err
			}
			a := &answer{}
			for _, n := range names {
				a.columns = append(a.columns, n[0])
			}
			a.rows, err = d.query(ctx, "SELECT coalesce(COLUMNS(*)::VARCHAR, '') FROM answer")
			return a, err
		}, err
	}}
}

// racingPond has all rows come here.
func racingPond(p *pondSystem, label string, options ...pond.JobOption) *racer {
	return &racer{system: p, label: label, run: func(ctx context.Context, sql string) (func() (*answer, error), error) {
		rows, err := p.session.SQL(ctx, sql, options...)
		if err != nil {
			return nil, err
		}
		var batches []arrow.RecordBatch
		for rec, err := range rows.All() {
			if err != nil {
				return nil, err
			}
			rec.Retain()
			batches = append(batches, rec)
		}
		return func() (*answer, error) { return pondAnswer(rows, batches) }, nil
	}}
}

func pondAnswer(rows *pond.Rows, batches []arrow.RecordBatch) (*answer, error) {
	if rows.Status == nil {
		return nil, errors.New("the query was no job")
	}
	a := &answer{stages: len(rows.Status.Stages)}
	for i, s := range rows.Status.Stages {
		a.tasks += s.Tasks
		if i < a.stages-1 { // the last one's rows are the answer
			a.shuffled += s.Bytes
		}
	}
	for _, f := range rows.Schema.Fields() {
		a.columns = append(a.columns, f.Name)
	}
	for _, rec := range batches {
		for i := range int(rec.NumRows()) {
			row := make([]string, rec.NumCols())
			for k := range row {
				row[k] = valueText(rec.Column(k), i)
			}
			a.rows = append(a.rows, row)
		}
		rec.Release()
	}
	return a, nil
}

// valueText is a value as DuckDB writes it, of the types that answers have; NULL
// is nothing, as in published answers.
func valueText(a arrow.Array, i int) string {
	if a.IsNull(i) {
		return ""
	}
	if d, ok := a.(*array.Decimal128); ok { // all its digits
		return d.Value(i).ToString(d.DataType().(*arrow.Decimal128Type).Scale)
	}
	return a.ValueStr(i)
}
