//go:build duckdb_arrow

package distribute_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/distribute"
)

var (
	queries = flag.Int("queries", 150, "random queries to run")
	first   = flag.Uint64("seed", 1, "seed of the first")
)

// perTables is how many queries are run over the same random tables.
const perTables = 50

// differMost is how many differences end a run.
const differMost = 5

// ways are the options that queries are run with, in turn.
var ways = []distribute.Options{
	{Partitions: 3, BroadcastBytes: -1}, {Partitions: 4, BroadcastBytes: 600}, {Partitions: 7, BroadcastBytes: -1}, {Partitions: 2}, {Parallelism: 3, BroadcastBytes: -1},
}

// TestRandom compares random queries over random tables with DuckDB. A query
// that differs is shrunk. -seed and -queries run others, or one of them again.
func TestRandom(t *testing.T) {
	t.Logf("seeds %d to %d", *first, *first+uint64(*queries)-1)
	var p *pond
	var made uint64
	var tries [4]int
	broken, breaks, equal, differ := false, 0, 0, 0
	whole, gathers, stages := 0, map[string]int{}, 0
	for seed := *first; seed < *first+uint64(*queries); seed++ {
		if of := seed / perTables; p == nil || of != made || broken {
			if p != nil {
				for i := range tries {
					tries[i] += p.tries[i]
				}
				p.plans.Close()
				p.tasks.Close()
			}
			broken = false
			p, made = newTables(t, tablesSQL(rand.New(rand.NewPCG(of, 7)))), of
		}
		g := &gen{draw: rand.New(rand.NewPCG(seed, 0))}
		sql, _ := g.query(2)
		o := ways[seed%uint64(len(ways))]
		job, err := p.check(t.Context(), sql, o)
		if why, ok := excuse(job, err); ok {
			if broken = errors.Is(err, errBroken); broken {
				breaks++
			} else if errors.Is(err, errSingleTask) {
				whole++
			}
			gathers[why]++
			continue
		}
		if err != nil {
			t.Logf("seed %d: %v\n%s", seed, err, sql)
			small, err := p.shrink(t.Context(), g.choices, o, err)
			job, _ := p.check(t.Context(), small, o)
			text := ""
			if job != nil {
				text = job.Explain()
			}
			t.Errorf("seed %d differs: %v\n%s\n%s", seed, err, small, text)
			if differ++; differ == differMost {
				t.FailNow()
			}
			continue
		}
		if seed%1000 == 999 {
			t.Logf("%d queries up to seed %d are equal", equal, seed)
		}
		if job == nil {
			continue
		}
		equal++
		stages += len(job.Stages)
		for _, s := range job.Stages {
			if why, _, _ := strings.Cut(s.Gathered, " of "); why != "" {
				gathers[why]++
			}
		}
	}
	t.Logf("%d of %d queries are equal, in %d stages; %d ran whole; over %d DuckDB broke; lists of optimizers tried: %v", equal, *queries, stages, whole, breaks, tries)
	if equal < *queries*9/10 {
		t.Error("too few queries were compared")
	}
	for _, why := range slices.Sorted(keysOf(gathers)) {
		t.Logf("%5d × %s", gathers[why], why)
	}
}

func keysOf(m map[string]int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// excuse is why a query is not compared.
func excuse(job *plan.Job, err error) (why string, ok bool) {
	if w := (errWrong{}); errors.As(err, &w) {
		line, _, _ := strings.Cut(w.Error(), "\n")
		return "DuckDB refuses: " + line[:min(len(line), 120)], true
	}
	if errors.Is(err, errSingleTask) && job != nil {
		return job.Stages[0].Gathered, true
	}
	return fmt.Sprint(err), errors.Is(err, errBroken) || errors.Is(err, errHuge)
}

// differs is true of errors that are no excuse.
func differs(job *plan.Job, err error) bool {
	_, excused := excuse(job, err)
	return err != nil && !excused
}

// shrink makes a failing query smaller as long as it fails.
func (p *pond) shrink(ctx context.Context, choices []uint32, o distribute.Options, failed error) (string, error) {
	write := func(c []uint32) string {
		sql, _ := (&gen{choices: c}).query(2)
		return sql
	}
	const most = 600 // attempts
	best, tries := slices.Clone(choices), 0
	try := func(c []uint32) bool {
		tries++
		if tries > most || write(c) == write(best) && len(c) >= len(best) {
			return false
		}
		if job, err := p.check(ctx, write(c), o); differs(job, err) && (len(write(c)) <= len(write(best))) {
			best, failed = slices.Clone(c), err
			return true
		}
		return false
	}
	for again := true; again && tries < most; {
		again = false
		for size := len(best) / 2; size > 0; size /= 2 {
			for at := 0; at+size <= len(best); {
				cut := append(slices.Clone(best[:at]), best[at+size:]...)
				if try(cut) {
					again = true
				} else {
					at += size
				}
			}
		}
		for i := range best {
			if best[i] != 0 {
				c := slices.Clone(best)
				c[i] = 0
				again = try(c) || again
			}
		}
	}
	return write(best), fmt.Errorf("%w (after %d attempts to shrink it)", failed, tries)
}
