//go:build duckdb_arrow

package duck

import (
	"context"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory/mallocator"

	"github.com/pondmesh/pond/duck/vec"
)

func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		e, err := Open(context.Background(), Config{Threads: 2, Memory: 1 << 30})
		if err != nil {
			b.Fatal(err)
		}
		if err := e.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOverhead is what a query of one row costs, each way.
func BenchmarkOverhead(b *testing.B) {
	e := start(b, Config{Threads: 2})
	for how, run := range runners(e) {
		b.Run(how, func(b *testing.B) {
			for b.Loop() {
				if err := run(context.Background(), "SELECT 1 AS a, 'x' AS b"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("reset", func(b *testing.B) {
		for b.Loop() {
			if err := e.Reset(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// benchRows are two million rows of a ten-byte key and a ninety-byte value.
const benchRows = 2_000_000

func benchFile(b *testing.B, e *Engine) string {
	file := filepath.Join(b.TempDir(), "in.parquet")
	exec(b, e, "COPY (SELECT substr(md5(range::VARCHAR), 1, 10) AS k, repeat(md5((range + 1)::VARCHAR), 2) || md5(range::VARCHAR)[:26] AS v FROM range("+strconv.Itoa(benchRows)+")) TO '"+file+"' (COMPRESSION lz4)")
	return file
}

// BenchmarkOut takes two million rows out of DuckDB.
func BenchmarkOut(b *testing.B) {
	e := start(b, Config{Threads: 2})
	file := benchFile(b, e)
	ctx := context.Background()
	query := "SELECT hash(k) % 16 AS p, k, v FROM '" + file + "'"
	drop := func(*vec.Chunk) error { return nil }
	for name, f := range map[string]func() error{
		"scan": func() error {
			_, err := e.Exec(ctx, "SELECT sum(hash(k) % 16), sum(length(k) + length(v)) FROM '"+file+"'")
			return err
		},
		"drain": func() error { _, err := e.Drain(ctx, query, drop); return err },
		"fetch": func() error { _, err := e.Fetch(ctx, query, drop); return err },
		"partition_by": func() error {
			_, err := e.Copy(ctx, query, filepath.Join(b.TempDir(), "out"), "parquet", map[string]string{"partition_by": "(p)", "compression": "lz4", "overwrite_or_ignore": ""})
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(benchRows*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
		})
	}
}

// BenchmarkIn sums two million rows that come in as one and as four streams.
func BenchmarkIn(b *testing.B) {
	e := start(b, Config{Threads: 2})
	mem := mallocator.NewMallocator()
	batch := numbers(b, mem, 0, 65536)
	for _, n := range []int{1, 4} {
		var c counted
		var list []arrow.RecordBatch
		for range benchRows / 65536 / n {
			list = append(list, batch)
		}
		openers := make([]Opener, n)
		for i := range openers {
			openers[i] = c.opener(nil, list...)
		}
		if err := e.Register(context.Background(), "v", batch.Schema(), openers, UnknownRows); err != nil {
			b.Fatal(err)
		}
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				exec(b, e, "SELECT sum(i), max(s) FROM v")
			}
			b.ReportMetric(float64(65536*len(list)*n*b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
		})
	}
}
