//go:build duckdb_arrow

package pond_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
)

// Every limit that a statement can meet has its own kind of error, and words that say
// how much is allowed, and what to do or which setting of a node allows more.
func TestLimits(t *testing.T) {
	node := pondtest.New(t, 1, pond.WithSlots(2), pond.WithMemory(256<<20), pond.WithSpillMax(32<<20), pond.WithResultMax(1<<20), pond.WithOutputMax(2<<20))[0]
	dir := t.TempDir()
	for _, c := range []struct {
		name, sql string
		kind      error
		says      []string
	}{
		{"text", "SELECT '" + strings.Repeat("x", 4<<20) + "'", pond.ErrQuery, []string{"more than the 4194304 allowed", "into a file"}},
		{"tokens", "SELECT 1" + strings.Repeat(",1", 125_000), pond.ErrQuery, []string{"more than the 250000 allowed", "into a file"}},
		{"nesting", "SELECT " + strings.Repeat("(", 1001) + "1" + strings.Repeat(")", 1001), pond.ErrQuery, []string{"1001 deep", "1000 is the most", "nest fewer"}},
		{"nesting of a view", "CREATE VIEW deep AS SELECT " + strings.Repeat("[", 1001) + "1" + strings.Repeat("]", 1001), pond.ErrQuery, []string{"1000 is the most", "nest fewer"}},
		{"time", "SELECT sum(a.range * b.range) AS s FROM range(3000000) a, range(3000000) b", pond.ErrDeadline, []string{"2s", "deadline"}},
		{"spill", "SELECT max(h) AS m FROM (SELECT hash(range) AS h, repeat(range::VARCHAR, 20) AS s FROM range(6000000) ORDER BY s, h OFFSET 1)", pond.ErrResource, []string{"32 MiB", "--spill-max"}},
		{"result", "SELECT hash(range) AS h FROM range(3000000)", pond.ErrQuery, []string{"1.0 MiB", "--result-max", "COPY"}},
		{"output", "COPY (SELECT hash(range) AS h FROM range(3000000)) TO '" + dir + "/big.parquet'", pond.ErrQuery, []string{"2.0 MiB", "--output-max"}},
	} {
		var options []pond.JobOption
		if c.name == "time" {
			options = append(options, pond.Deadline(2*time.Second))
		}
		_, err := node.SQL(t.Context(), c.sql, options...)
		var pe *pond.Error
		if !errors.Is(err, c.kind) || !errors.As(err, &pe) {
			t.Errorf("%s: %.300v", c.name, err)
			continue
		}
		for _, word := range c.says {
			if !strings.Contains(pe.Text+" "+pe.Hint, word) {
				t.Errorf("%s lacks %q: %s; %s", c.name, word, pe.Text, pe.Hint)
			}
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// A job of which no task makes too much ends as soon as those that are done together
// have, whatever the others still do.
func TestTooLargeTogether(t *testing.T) {
	const most = 100 << 10
	var taken atomic.Bool
	waits := func(ctx context.Context, in arrow.RecordBatch, yield func(arrow.RecordBatch) error) error {
		if taken.CompareAndSwap(false, true) { // the first of three tasks
			<-ctx.Done()
			return ctx.Err()
		}
		return yield(in)
	}
	node := pondtest.New(t, 1, pond.WithSlots(3), pond.WithResultMax(most), pond.WithOutputMax(most), pond.WithBatchFunc("waits", "", nil, waits))[0]
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	df := node.Query("SELECT hash(range) AS h FROM range(30000)").Repartition(3, pond.ByRows()).MapBatches("waits", 0) // three times 80 KB
	_, err := df.Collect(ctx)
	if !errors.Is(err, pond.ErrQuery) || !strings.Contains(err.Error(), "larger than the 100 KiB") || !strings.Contains(err.Error(), "--result-max") {
		t.Errorf("a result: %v", err)
	}
	taken.Store(false)
	dir := t.TempDir()
	err = df.WriteParquet(ctx, dir+"/out")
	if !errors.Is(err, pond.ErrQuery) || !strings.Contains(err.Error(), "larger than the 100 KiB") || !strings.Contains(err.Error(), "--output-max") {
		t.Errorf("files: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
