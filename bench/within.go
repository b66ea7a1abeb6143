package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/pondmesh/pond"
)

// What measureWithin runs: the queries of TPC-H with the largest joins and sorts, on ponds
// of so many nodes, each of which has little memory.
var (
	withinQueries = []int{9, 18, 21}
	withinNodes   = []int{2, 3}
)

const (
	withinMemory = 256 << 20 // bytes of a node
	withinMost   = 100       // percent of them that a node has at any look
	withinBy     = "l_extendedprice, l_orderkey, l_linenumber"
)

// measureWithin runs TPC-H's largest queries, and sorts its largest table into files, and
// tells the most memory that any node had, its engine processes included, at any look.
func measureWithin(ctx context.Context, b *bench, checker *duckSystem) (out []figure, err error) {
	if b.tpch == "" {
		b.say("within: left out, for it needs --tpch")
		return nil, nil
	}
	if err := b.tpchViews(ctx, checker); err != nil {
		return nil, err
	}
	var errs []error
	want := map[int]*answer{}
	for _, q := range withinQueries {
		if want[q], err = b.withinAnswer(ctx, q, checker); err != nil {
			return nil, err
		}
	}
	for _, n := range withinNodes {
		f, err := b.within(ctx, n, checker, want)
		out, errs = append(out, f...), append(errs, err)
	}
	return out, errors.Join(errs...)
}

// withinAnswer is the published answer of a query, if there is one, or else DuckDB's.
func (b *bench) withinAnswer(ctx context.Context, q int, checker *duckSystem) (*answer, error) {
	if b.answers != "" {
		return readAnswer(filepath.Join(b.answers, fmt.Sprintf("q%02d.csv", q)))
	}
	sql, err := b.tpchQuery(q)
	if err != nil {
		return nil, err
	}
	b.say("within: query %d on DuckDB", q)
	_, a, err := race(ctx, racingDuck(checker), sql)
	return a, err
}

// within measures one pond.
func (b *bench) within(ctx context.Context, n int, checker *duckSystem, want map[int]*answer) (out []figure, err error) {
	p, err := startPond(ctx, b, "within", n, withinMemory*int64(n))
	if err != nil {
		return nil, err
	}
	defer p.stop()
	if err := b.tpchViews(ctx, pondViews{p.session}); err != nil {
		return nil, err
	}
	racer := racingPond(p, p.name())
	for _, q := range withinQueries {
		sql, err := b.tpchQuery(q)
		if err != nil {
			return out, err
		}
		b.say("within: query %d on %d nodes", q, n)
		s, got, err := race(ctx, racer, sql)
		if err == nil {
			err = sameAnswer(sql, got, want[q])
		}
		if err != nil {
			return out, fmt.Errorf("query %d on %s: %w", q, p.name(), err)
		}
		out = append(out, withinFigure(fmt.Sprintf("q%02d on %s", q, p.name()), s))
	}
	b.say("within: the sort on %d nodes", n)
	s, err := b.sortWithin(ctx, p, checker)
	if err != nil {
		return out, fmt.Errorf("the sort on %s: %w", p.name(), err)
	}
	return append(out, withinFigure("sort of lineitem on "+p.name(), s)), nil
}

func withinFigure(name string, s sample) figure {
	f := figure{Name: "within: " + name, Value: 100 * float64(s.peakMost) / withinMemory, Unit: "% of a node's memory",
		Note: fmt.Sprintf("%s at most of %s, in %.0f s, %s spilled", bytesText(s.peakMost), bytesText(withinMemory), s.wall.Seconds(), bytesText(s.spill))}
	return f.atMost(withinMost)
}

// sortWithin sorts the largest table into files, and compares them with the table.
func (b *bench) sortWithin(ctx context.Context, p *pondSystem, checker *duckSystem) (sample, error) {
	dir, err := os.MkdirTemp(b.dir, "sorted-")
	if err != nil {
		return sample{}, err
	}
	defer os.RemoveAll(dir)
	to := filepath.Join(dir, "out") + string(filepath.Separator) // a folder of files
	s, err := measure(ctx, p, false, func(ctx context.Context) error {
		_, err := p.session.SQL(ctx, "COPY (SELECT * FROM lineitem ORDER BY "+withinBy+") TO "+quote(to)+" (FORMAT parquet)")
		return err
	})
	if err != nil {
		return s, err
	}
	sums := "SELECT count(*), sum(hash(t)) FROM %s t"
	want, err := checker.query(ctx, fmt.Sprintf(sums, "lineitem"))
	if err != nil {
		return s, err
	}
	files := "(SELECT * FROM " + scan(filepath.Join(to, "*.parquet")) + ")"
	got, err := checker.query(ctx, fmt.Sprintf(sums, files))
	if err != nil {
		return s, err
	}
	if strings.Join(got[0], " ") != strings.Join(want[0], " ") {
		return s, fmt.Errorf("%w: rows and sum of hashes are %v, DuckDB's %v", errWrong, got, want)
	}
	falls, err := checker.query(ctx, "SELECT count(*) FROM (SELECT ROW("+withinBy+") AS k, lag(k) OVER () AS before FROM "+scan(filepath.Join(to, "*.parquet"))+") WHERE k < before")
	if err == nil && falls[0][0] != "0" {
		err = fmt.Errorf("%w: %s rows stand behind larger ones", errWrong, falls[0][0])
	}
	return s, err
}

// executor runs statements.
type executor interface {
	exec(ctx context.Context, sql ...string) error
}

// pondViews is a session as an executor.
type pondViews struct{ session *pond.Session }

func (p pondViews) exec(ctx context.Context, sql ...string) error {
	for _, s := range sql {
		if _, err := p.session.SQL(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// tpchViews names TPC-H's tables.
func (b *bench) tpchViews(ctx context.Context, in ...executor) error {
	for _, table := range tpchTables {
		file, err := filepath.Abs(filepath.Join(b.tpch, table+".parquet"))
		if err != nil {
			return err
		}
		for _, e := range in {
			if err := e.exec(ctx, "CREATE OR REPLACE VIEW "+table+" AS SELECT * FROM "+quote(file)); err != nil {
				return err
			}
		}
	}
	return nil
}

// tpchQuery is the text of a query.
func (b *bench) tpchQuery(q int) (string, error) {
	text, err := os.ReadFile(filepath.Join(b.queries, fmt.Sprintf("q%02d.sql", q)))
	return strings.TrimSuffix(strings.TrimSpace(string(text)), ";"), err
}
