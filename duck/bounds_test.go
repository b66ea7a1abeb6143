//go:build duckdb_arrow

package duck

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond/duck/vec"
)

// endless is a query that runs for as long as nobody stops it.
const endless = "SELECT sum(a.range * b.range) AS s FROM range(10_000_000) a, range(10_000_000) b"

func TestCancel(t *testing.T) {
	e := start(t, Config{Threads: 2})
	gone := errors.New("the client has gone")
	for how, run := range runners(e) {
		ctx, cancel := context.WithCancelCause(context.Background())
		returned := make(chan error, 1)
		go func() { returned <- run(ctx, endless) }()
		for e.current.Load() == nil {
			runtime.Gosched()
		}
		cancel(gone)
		err := <-returned
		if !errors.Is(err, gone) || !errors.Is(err, ErrInterrupted) {
			t.Errorf("%s: %v", how, err)
		}
		if err := run(ctx, "SELECT 1"); !errors.Is(err, gone) || !errors.Is(err, ErrInterrupted) {
			t.Errorf("%s with a context that has ended: %v", how, err)
		}
		if got := value(t, e, "SELECT 1"); got != "1" {
			t.Error("the engine is not usable afterwards")
		}
	}
}

func TestDeadlineWhileStreamBlocks(t *testing.T) {
	e := start(t, Config{Threads: 2})
	schema := numbers(t, memory.DefaultAllocator, 0, 1).Schema()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := e.Register(ctx, "v", schema, []Opener{func(ctx context.Context, _ []int) (Stream, error) { return blocked{ctx}, nil }}, UnknownRows); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Drain(ctx, "FROM v", func(*vec.Chunk) error { return nil }); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrInterrupted) {
		t.Error(err)
	}
}

// blocked is a stream that has nothing until its query ends.
type blocked struct{ ctx context.Context }

func (b blocked) Next() (arrow.RecordBatch, error) { <-b.ctx.Done(); return nil, b.ctx.Err() }
func (b blocked) Close() error                     { return nil }

func TestCloseEndsTheQuery(t *testing.T) {
	e := start(t, Config{Threads: 2})
	returned := make(chan error, 1)
	go func() { _, err := e.Exec(context.Background(), endless); returned <- err }()
	for e.current.Load() == nil {
		runtime.Gosched()
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-returned; !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestEmitErrors(t *testing.T) {
	e := start(t, Config{Threads: 2})
	ctx := context.Background()
	full := errors.New("no room")
	for how, run := range map[string]func(context.Context, string, func(*vec.Chunk) error) (int64, error){"drain": e.Drain, "fetch": e.Fetch} {
		if _, err := run(ctx, "FROM range(1_000_000)", func(*vec.Chunk) error { return full }); err != full {
			t.Errorf("%s: %v", how, err)
		}
		if _, err := run(ctx, "FROM range(1_000_000)", func(*vec.Chunk) error { panic("in the reader") }); err == nil || !strings.Contains(err.Error(), "in the reader") {
			t.Errorf("%s: a panic came back as %v", how, err)
		}
		if got := value(t, e, "SELECT 1"); got != "1" {
			t.Error("the engine is not usable afterwards")
		}
	}
}

// TestResultsLargerThanMemory passes ten times the budget through.
func TestResultsLargerThanMemory(t *testing.T) {
	const budget, rows = 24 << 20, 250_000 // of a kilobyte
	e := start(t, Config{Memory: budget, Threads: 2, SpillDir: filepath.Join(t.TempDir(), "spill"), SpillMax: 2 << 30})
	ctx := context.Background()
	if err := e.Lock(ctx, Access{}); err != nil {
		t.Fatal(err)
	}
	query := "SELECT range AS i, repeat(chr(65 + (range % 26)::INT), 1000) AS v FROM range(250_000)"
	for how, run := range map[string]func(context.Context, string, func(*vec.Chunk) error) (int64, error){"drain": e.Drain, "fetch": e.Fetch} {
		var most atomic.Int64
		n, err := run(ctx, query, func(c *vec.Chunk) error {
			u, err := e.Usage(ctx)
			most.Store(max(most.Load(), u.Memory))
			return err
		})
		if n != rows || err != nil {
			t.Errorf("%s: %d rows, %v", how, n, err)
		}
		if most.Load() > budget {
			t.Errorf("%s: held %d bytes of %d", how, most.Load(), budget)
		}
	}
}

// TestSortSpills sorts more than the budget. Rows are of 100 bytes: with those of
// a kilobyte DuckDB 1.5 wants 150 MB however few they are, since 2,048 rows in order
// lie in as many blocks.
func TestSortSpills(t *testing.T) {
	const rows = 1_500_000
	e := start(t, Config{Memory: 64 << 20, Threads: 1, SpillDir: filepath.Join(t.TempDir(), "spill"), SpillMax: 2 << 30})
	ctx := context.Background()
	if err := e.Lock(ctx, Access{}); err != nil {
		t.Fatal(err)
	}
	last, rising, spilled := int64(-1), true, int64(0)
	n, err := e.Fetch(ctx, "SELECT (range * 7919) % 1_500_000 AS i, repeat(chr(65 + (range % 26)::INT), 90) AS v FROM range(1_500_000) ORDER BY i", func(c *vec.Chunk) error {
		for i := range c.Rows {
			v := at[int64](&c.Columns[0], i)
			rising, last = rising && v == last+1, v
		}
		u, err := e.Usage(ctx)
		spilled = max(spilled, u.Spill)
		return err
	})
	if n != rows || err != nil || !rising || spilled == 0 {
		t.Errorf("%d rows, rising %v, %d bytes spilled, %v", n, rising, spilled, err)
	}
}

func TestOrder(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a.parquet")
	e := start(t, Config{})
	exec(t, e, "COPY (SELECT range AS i FROM range(500_000)) TO '"+file+"' (ROW_GROUP_SIZE 10_000)")
	for _, ordered := range []bool{true, false} {
		e := start(t, Config{Threads: 4})
		ctx := context.Background()
		if err := e.Lock(ctx, Access{Dirs: []string{dir}, Ordered: ordered}); err != nil {
			t.Fatal(err)
		}
		batch := numbers(t, memory.DefaultAllocator, 0, 10_000)
		var c counted
		var list []arrow.RecordBatch
		for i := range 10 {
			s := batch.NewSlice(int64(i*1000), int64(i+1)*1000)
			defer s.Release()
			list = append(list, s)
		}
		if err := e.Register(ctx, "v", batch.Schema(), []Opener{c.opener(nil, list...)}, 10_000); err != nil {
			t.Fatal(err)
		}
		halves := []Opener{c.opener(nil, list[:3]...), c.opener(nil, list[3:9]...), c.opener(nil, list[9:]...)}
		if err := e.Register(ctx, "w", batch.Schema(), halves, UnknownRows); err != nil {
			t.Fatal(err)
		}
		queries := []string{"SELECT i FROM '" + file + "' ORDER BY i", "SELECT i FROM v ORDER BY i"}
		if ordered {
			queries = append(queries, "SELECT i FROM '"+file+"' WHERE i % 3 > 0", "SELECT i FROM v", "SELECT i FROM w", "SELECT i FROM v LIMIT 7000", "SELECT i FROM '"+file+"' LIMIT 100_000")
		}
		for _, query := range queries {
			last, rising := int64(-1), true
			if _, err := e.Fetch(ctx, query, func(c *vec.Chunk) error {
				for i := range c.Rows {
					v := at[int64](&c.Columns[0], i)
					rising, last = rising && v > last, v
				}
				return nil
			}); err != nil || !rising {
				t.Errorf("ordered %v, %s: rising %v, %v", ordered, query, rising, err)
			}
		}
		// COPY keeps ORDER BY, too.
		out := filepath.Join(dir, "out.parquet")
		if _, err := e.Copy(ctx, "SELECT i FROM '"+file+"' ORDER BY i DESC", out, "parquet", map[string]string{"ROW_GROUP_SIZE": "10_000", "compression": "zstd"}); err != nil {
			t.Fatal(err)
		}
		if got := value(t, e, "SELECT count(*) FROM (SELECT i, file_row_number AS n FROM read_parquet('"+out+"', file_row_number = true)) WHERE i + n <> 499_999"); got != "0" {
			t.Errorf("ordered %v: COPY wrote %s rows out of place", ordered, got)
		}
	}
}

// TestErrors checks the class of what goes wrong, and that DuckDB's words are kept.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	good, cut := filepath.Join(dir, "good.parquet"), filepath.Join(dir, "cut.parquet")
	setup := start(t, Config{})
	exec(t, setup, "COPY (SELECT range AS i, hash(range)::VARCHAR AS s FROM range(200_000)) TO '"+good+"' (ROW_GROUP_SIZE 20_000)")
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	flipped := append([]byte(nil), data...)
	for i := len(data) / 4; i < len(data)/2; i++ {
		flipped[i] ^= 0xA5
	}
	for name, b := range map[string][]byte{cut: data[:len(data)/2], filepath.Join(dir, "flipped.parquet"): flipped, filepath.Join(dir, "empty.parquet"): nil, filepath.Join(dir, "bad.csv"): []byte("a,b\n1,2\nx\n")} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := start(t, Config{Memory: 64 << 20, Threads: 1, SpillDir: filepath.Join(t.TempDir(), "spill"), SpillMax: 8 << 20})
	small := start(t, Config{Memory: 32 << 20})
	ctx := context.Background()
	for _, e := range []*Engine{e, small} {
		if err := e.Lock(ctx, Access{Dirs: []string{dir}}); err != nil {
			t.Fatal(err)
		}
	}
	const big = "SELECT range AS i, md5(range::VARCHAR) || md5(hash(range)::VARCHAR) || sha256(range::VARCHAR) AS v FROM range(800_000) ORDER BY hash(range)"
	for _, c := range []struct {
		engine      *Engine
		query, text string
		kind        string
		is          error
	}{
		{e, "SELEC 1", "syntax error", "Parser", ErrQuery},
		{e, "SELECT nope FROM range(3)", `Referenced column "nope" not found`, "Binder", ErrQuery},
		{e, "FROM nowhere", "Table with name nowhere does not exist", "Catalog", ErrQuery},
		{e, "SELECT 'x'::INT", "Could not convert string 'x' to INT32", "Conversion", ErrQuery},
		{e, "SELECT 9223372036854775807 + range FROM range(3)", "Overflow", "Out of Range", ErrQuery},
		{e, "SELECT error('own words')", "own words", "Invalid Input", ErrQuery},
		{e, "FROM '" + dir + "/missing.parquet'", "No files found", "IO", ErrMissing},
		{e, "FROM '" + cut + "'", "cut.parquet", "Invalid Input", ErrData},
		{e, "FROM '" + dir + "/empty.parquet'", "empty.parquet", "Invalid Input", ErrData},
		{e, "FROM '" + dir + "/flipped.parquet'", "", "", ErrData},
		{e, "FROM read_csv('" + dir + "/bad.csv', columns = {'a': 'INT', 'b': 'INT'}, auto_detect = false)", "bad.csv", "", ErrQuery},
		{e, "FROM '/etc/hostname.csv'", "", "Permission", ErrDenied},
		{e, big, "max_temp_directory_size", "Out of Memory", ErrDiskFull},
		{small, big, "", "Out of Memory", ErrMemory},
		{e, "SELECT pond_sink(1, 2)", "pond_sink", "Permission", ErrDenied},
	} {
		for how, run := range runners(c.engine) {
			err := run(ctx, c.query)
			var de *Error
			if !errors.As(err, &de) {
				t.Errorf("%s %s: %v", how, c.query, err)
				continue
			}
			if !strings.Contains(de.Message, c.text) || c.kind != "" && de.Type != c.kind || c.is != nil && !errors.Is(err, c.is) || errors.Is(err, ErrBroken) {
				t.Errorf("%s %s: type %q, %v", how, c.query, de.Type, err)
			}
		}
	}
	if got := value(t, e, "SELECT 1"); got != "1" {
		t.Error("the engine is not usable afterwards")
	}
}
