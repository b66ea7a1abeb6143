//go:build duckdb_arrow

package chaos_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos"
)

// poison is a statement, or a file, that DuckDB does not survive, that takes all
// memory, or that has no end.
type poison struct {
	name  string
	sql   string // over files of the test's folder
	plain bool   // run as it is too, not only distributed
	slow  bool   // runs while others do
	job   []pond.JobOption
	kinds []error  // the error is one of them
	says  []string // the error
}

// deep nests JSON deeper than DuckDB's stack.
const deep = "json_structure(repeat('[', 200000 + %[1]s) || repeat(']', 200000 + %[1]s))"

// nested is a query that DuckDB plans for ever, deaf to interrupts.
func nested() string {
	q := "SELECT 1 AS a"
	for i := range 60 {
		q = fmt.Sprintf("WITH RECURSIVE t%d(a) AS ((%s) UNION ALL SELECT a + 1 FROM t%[1]d WHERE a < 3) SELECT max(a) AS a FROM t%[1]d", i, q)
	}
	return q
}

// deaf are tasks that hear no interrupt.
const deaf = "SELECT max(levenshtein(repeat('a', 1000000) || i, repeat('b', 1000000))) FROM 'DIR/few/1.parquet'"

// poisons are the corpus. Deadlines end what has no end.
func poisons() []poison {
	soon := []pond.JobOption{pond.Deadline(3 * time.Second)}
	crash, memory, late := []error{pond.ErrCrash}, []error{pond.ErrMemory}, []error{pond.ErrDeadline}
	return []poison{
		{"deaf plan", nested(), false, true, nil, []error{pond.ErrDeadline, pond.ErrMemory}, []string{"plan"}},
		// A heap that overflows ends by a signal, or with a read that the system refuses.
		{"page", "SELECT sum(i) FROM 'DIR/page/*.parquet'", true, false, nil, crash, []string{"DuckDB ", "page/2.parquet", "sum("}},
		{"footer", "SELECT sum(i) FROM 'DIR/footer/*.parquet'", true, false, nil, []error{pond.ErrQuery}, []string{"footer/5.parquet"}},
		{"crash in a plan", "SELECT " + fmt.Sprintf(deep, "0"), true, false, nil, crash, []string{"signal 11", "json_structure"}},
		{"crash in a task", "SELECT " + fmt.Sprintf(deep, "i") + " FROM 'DIR/few/1.parquet'", true, false, nil, crash, []string{"signal 11", "json_structure", "few/1.parquet"}},
		{"memory of a plan", "SELECT len(range(1000000000))", true, false, nil, memory, []string{"range"}},
		{"memory of one value", "SELECT len(range(1000000000 + i)) FROM 'DIR/few/1.parquet'", false, false, nil, memory, nil},
		{"memory of a list", "SELECT len(list(i || repeat('x', 1000))) FROM 'DIR/good/*.parquet', range(2000)", false, false, nil, memory, nil},
		{"memory of unnest", "SELECT count(*) FROM (SELECT unnest(range(200000000 + i)) FROM 'DIR/few/1.parquet')", false, false, nil, memory, nil},
		{"memory of a text", "SELECT length(string_agg(repeat('x', 10000), ',')) FROM 'DIR/good/*.parquet', range(2000)", false, false, nil, memory, nil},
		{"endless", "SELECT count(*) FROM range(1000000000000000) WHERE hash(range) = 7", true, false, soon, late, nil},
		{"endless recursion", "WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT 1 FROM t) SELECT count(*) FROM t", false, false, soon, late, nil},
		{"deaf", deaf, true, false, soon, late, nil},
	}
}

// poisonMax bounds a poisoned job, on a machine that is very busy.
const poisonMax = 3 * time.Minute

// Whatever a statement or a file does to DuckDB, its job ends with an error that
// names the cause, no node dies, and every node answers the next statement.
func TestPoison(t *testing.T) {
	long(t)
	ctx, c := newCluster(t, 3)
	dir := poisonFiles(t)
	var slow sync.WaitGroup
	defer slow.Wait()
	for i, p := range poisons() {
		p.sql = strings.ReplaceAll(p.sql, "DIR", dir)
		s := c.Nodes()[i%3].Session()
		switch {
		case p.slow:
			slow.Go(func() { p.take(t, ctx, s, true) })
			continue
		case p.plain:
			p.take(t, ctx, s, false)
			alive(t, ctx, c)
		}
		p.take(t, ctx, s, true)
		alive(t, ctx, c)
	}
	slow.Wait()
	alive(t, ctx, c)
	cancelDeaf(t, ctx, c, dir)
	alive(t, ctx, c)
	noneRunning(t, ctx, c)
	good := "SELECT i FROM '" + dir + "/good/*.parquet'"
	rows, err := c.Nodes()[1].Session().SQL(ctx, good, pond.Force(true))
	must(t, err)
	must(t, newOracle(t).Compare(ctx, rows, good))
}

// cancelDeaf cancels a job whose tasks hear nothing.
func cancelDeaf(t *testing.T, ctx context.Context, c *chaos.Cluster, dir string) {
	t.Helper()
	job, err := c.Nodes()[0].Session().Submit(ctx, strings.ReplaceAll(deaf, "DIR", dir), pond.Force(true))
	must(t, err)
	var at time.Time
	r, err := chaos.Run(ctx, job, &chaos.Fault{Name: "cancel", When: chaos.Started(0), Do: func(ctx context.Context, _ *pond.Status) error {
		at = time.Now()
		return job.Cancel(ctx)
	}})
	must(t, err)
	t.Logf("cancelled: ended %v later", time.Since(at).Round(time.Millisecond))
	if r.Status.State != "cancelled" {
		t.Errorf("a job that was cancelled: %v", r)
	}
}

// take runs the poison, and looks at its error.
func (p *poison) take(t *testing.T, ctx context.Context, s *pond.Session, force bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, poisonMax)
	defer cancel()
	began := time.Now()
	rows, err := s.SQL(ctx, p.sql, append([]pond.JobOption{pond.Force(force), pond.Partitions(6)}, p.job...)...)
	if err == nil {
		for _, err = range rows.All() {
			if err != nil {
				break
			}
		}
	}
	if err == nil {
		t.Errorf("%s, forced %t: no error", p.name, force)
		return
	}
	t.Logf("%s, forced %t: after %v: %v", p.name, force, time.Since(began).Round(time.Millisecond), err)
	if !slices.ContainsFunc(p.kinds, func(k error) bool { return errors.Is(err, k) }) {
		t.Errorf("%s, forced %t: want one of %v: %v", p.name, force, p.kinds, err)
	}
	for _, s := range p.says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%s, forced %t: the error lacks %q: %v", p.name, force, s, err)
		}
	}
}

// alive wants each node to be the process that it was, and to answer. Its boot may be
// another: a machine that is too busy for it looks to a node like a pause.
func alive(t *testing.T, ctx context.Context, c *chaos.Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, poisonMax)
	defer cancel()
	var all sync.WaitGroup
	for _, n := range c.Nodes() {
		all.Go(func() {
			if !n.Running() {
				t.Errorf("node %s has ended", n.ID())
				return
			}
			rows, err := n.Session().SQL(ctx, "SELECT 1 AS one")
			if err != nil {
				t.Errorf("node %s answers no statement: %v", n.ID(), err)
				return
			}
			got := int64(0)
			for rec, err := range rows.All() {
				if err != nil {
					t.Errorf("node %s: %v", n.ID(), err)
					return
				}
				got += rec.NumRows()
			}
			if got != 1 {
				t.Errorf("node %s answers with %d rows", n.ID(), got)
			}
		})
	}
	all.Wait()
}

// poisonFiles makes folders of a few files: good ones, one with a page and one with
// a footer that are not what they say.
func poisonFiles(t *testing.T) string {
	t.Helper()
	dir, o := t.TempDir(), newOracle(t)
	for _, name := range []string{"few/1", "good/1", "good/2", "good/3", "page/1", "page/3", "footer/1", "footer/2", "footer/3", "footer/4", "footer/5"} {
		path := filepath.Join(dir, name+".parquet")
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		rows := 1000
		if filepath.Dir(name) == "few" {
			rows = 10
		}
		must(t, o.Exec(testContext(t), fmt.Sprintf("COPY (SELECT range AS i FROM range(%d)) TO '%s' (FORMAT parquet)", rows, path)))
	}
	badPage(t, filepath.Join(dir, "page/2.parquet"))
	footer := filepath.Join(dir, "footer/5.parquet")
	whole, err := os.ReadFile(footer)
	must(t, err)
	column := bytes.LastIndex(whole, []byte("\x18\x01i")) // the name in the column's description
	kind := bytes.LastIndex(whole[:max(column, 0)], []byte("\x15\x04"))
	if column < 0 || kind < column-16 {
		t.Fatal("the footer's column is not found")
	}
	whole[kind+1] = 0x7e // no physical type
	must(t, os.WriteFile(footer, whole, 0o644))
	return dir
}

// badPage writes a Parquet file of one page, which says that it is 8 bytes long and
// not compressed, while 64 MB follow: DuckDB reads them into a buffer of 8.
func badPage(t *testing.T, path string) {
	t.Helper()
	b := array.NewInt64Builder(memory.DefaultAllocator)
	random := rand.New(rand.NewPCG(1, 2)) // which nothing compresses
	for range 8 << 20 {
		b.Append(random.Int64())
	}
	schema := arrow.NewSchema([]arrow.Field{{Name: "i", Type: arrow.PrimitiveTypes.Int64}}, nil)
	var out bytes.Buffer
	w, err := pqarrow.NewFileWriter(schema, &out, parquet.NewWriterProperties(
		parquet.WithDataPageVersion(parquet.DataPageV2), parquet.WithDictionaryDefault(false), parquet.WithStats(false),
		parquet.WithDataPageSize(1<<30), parquet.WithMaxRowGroupLength(1<<30), parquet.WithCompression(compress.Codecs.Snappy),
	), pqarrow.DefaultWriterProps())
	must(t, err)
	must(t, w.WriteBuffered(array.NewRecordBatch(schema, []arrow.Array{b.NewArray()}, 8<<20)))
	must(t, w.Close())
	whole := out.Bytes()
	for old, now := range map[string]string{
		"\x15\x80\x80\x80\x40": "\x15\x90\x80\x80\x00", // uncompressed_page_size: 64 MB, 8 in as many digits
		"\x2c\x00\x00\x00":     "\x12\x00\x00\x00",     // no statistics, is_compressed: false
	} {
		at := bytes.Index(whole[:64], []byte(old))
		if at < 0 {
			t.Fatalf("the page's header has no %x", old)
		}
		copy(whole[at:], now)
	}
	must(t, os.WriteFile(path, whole, 0o644))
}
