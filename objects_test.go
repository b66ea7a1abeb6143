//go:build duckdb_arrow

package pond_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
	"github.com/pondmesh/pond/fs/object"
	"github.com/pondmesh/pond/fs/object/s3"
	"github.com/pondmesh/pond/fs/object/s3/s3test"
)

// bucket is a server of S3 in this process, which counts what it gives.
type bucket struct {
	http.Handler
	store *s3.Store
	given atomic.Int64 // bytes of answers to GET
	mu    sync.Mutex
	asked map[string]int // GETs by key
}

func (b *bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && r.Header.Get("Range") != "" {
		b.mu.Lock()
		b.asked[strings.TrimPrefix(r.URL.Path, "/bucket/")]++
		b.mu.Unlock()
		w = &countedWriter{w, &b.given}
	}
	b.Handler.ServeHTTP(w, r)
}

type countedWriter struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c *countedWriter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return c.ResponseWriter.Write(p)
}

// newBucket starts a server, and has nodes that start later ask it.
func newBucket(t *testing.T) *bucket {
	t.Helper()
	b := &bucket{Handler: s3test.Handler(t, "bucket"), asked: map[string]int{}}
	s3test.Serve(t, b)
	c, err := s3.ConfigFrom(os.Getenv)
	if err == nil {
		b.store, err = s3.Open(c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// upload puts a folder's files below a prefix, and returns their size.
func (b *bucket) upload(t *testing.T, dir, prefix string) (bytes int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		bytes += int64(len(data))
		_, err = b.store.Put(t.Context(), prefix+strings.TrimPrefix(path, dir), strings.NewReader(string(data)), int64(len(data)), object.If{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// warehouse makes files like those of TPC-H: wide ones of which a query reads little.
func warehouse(t *testing.T, d *single) string {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"items", "parts/k=1", "parts/k=2 b", "text"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const items = `SELECT i AS id, i %% 997 AS ord, (i * 7919 %% 50) + 1 AS qty, ((i * 31) %% 10000 / 100)::DECIMAL(12,2) AS price, DATE '1992-01-01' + (i / 100)::INTEGER AS ship,
		['A', 'N', 'R'][i %% 3 + 1] AS flag, md5(i::VARCHAR) || md5((i + 1)::VARCHAR) AS comment, hash(i)::DOUBLE AS noise, {'a': i, 'b': md5(i::VARCHAR)} AS pair, [i, i + 1] AS list, md5((i // 20)::VARCHAR) AS token
		FROM range(%d, %d) t(i)`
	for i, options := range []string{"COMPRESSION snappy, ROW_GROUP_SIZE 4096", "COMPRESSION zstd, ROW_GROUP_SIZE 10240", "COMPRESSION uncompressed, ROW_GROUP_SIZE 2048", "PARQUET_VERSION v2, COMPRESSION lz4_raw"} {
		d.exec("COPY ("+items+") TO '%s/items/%d.parquet' (FORMAT parquet, %s)", i*5000, (i+1)*5000, dir, i, options)
	}
	d.exec("COPY (SELECT i AS ord, 'customer ' || i %% 50 AS name, DATE '1992-01-01' + (i %% 800)::INTEGER AS day, repeat('x', 100) || i AS filler FROM range(1000) t(i)) TO '%s/orders.parquet' (ROW_GROUP_SIZE 2048)", dir)
	for k, name := range []string{"k=1", "k=2 b"} {
		d.exec("COPY (SELECT i, 'v' || i AS v FROM range(%d) t(i)) TO '%s/parts/%s/f.parquet'", 10*(k+1), dir, name)
	}
	d.exec("COPY (SELECT i AS id, 'it''s, \"' || i AS s FROM range(3000) t(i)) TO '%s/text/a.csv'", dir)
	d.exec("COPY (SELECT i AS id, 'x' || i AS s FROM range(3000, 5000) t(i)) TO '%s/text/b.csv'", dir)
	d.exec("COPY (SELECT i AS id, 'x' || i AS s FROM range(5000) t(i)) TO '%s/text/c.csv.gz'", dir)
	d.exec("COPY (SELECT i AS id, {'a': i} AS p FROM range(500) t(i)) TO '%s/text/d.json'", dir)
	return dir
}

// remoteQueries are queries over ROOT, and how much of all bytes they may fetch on two
// nodes, in percent: a task may run on both.
var remoteQueries = []struct {
	sql   string
	share int64
}{
	{"SELECT flag, sum(qty), sum(price), avg(price), count(*) FROM 'ROOT/items/*.parquet' WHERE ship <= DATE '1993-09-02' GROUP BY flag", 50},
	{"SELECT count(*) FROM 'ROOT/items/*.parquet'", 45},
	{"SELECT sum(price * qty) FROM read_parquet('ROOT/items/*.parquet') WHERE ship >= DATE '1992-03-01' AND ship < DATE '1992-04-01' AND qty < 24", 50},
	{"SELECT o.name, sum(l.qty) AS q FROM 'ROOT/items/*.parquet' l JOIN 'ROOT/orders.parquet' o ON l.ord = o.ord GROUP BY o.name ORDER BY q DESC, o.name LIMIT 10", 65},
	{"SELECT id, comment FROM 'ROOT/items/[12].parquet' WHERE token = md5('500') ORDER BY id", 95},
	{"SELECT max(pair.b), sum(list[1]) FROM 'ROOT/items/*.parquet' WHERE flag = 'A'", 97},
	{"FROM 'ROOT/items/0.parquet' ORDER BY id LIMIT 7 OFFSET 3000", 70},
	{"SELECT k, count(*), sum(i), max(v) FROM 'ROOT/parts/*/*.parquet' GROUP BY k", 5},
	{"SELECT count(*) FROM 'ROOT/parts/**/*.parquet' WHERE k = '1'", 5},
	{"SELECT file_row_number % 5 AS r, count(*) FROM read_parquet('ROOT/items/1.parquet', file_row_number = true) WHERE file_row_number BETWEEN 3000 AND 9000 GROUP BY r", 45},
	{"SELECT orders.name FROM 'ROOT/orders.parquet' WHERE ord = 17", 20},
	{"SELECT count(*), count(DISTINCT s), sum(id) FROM 'ROOT/text/[ab].csv'", 10},
	{"SELECT s, count(*) FROM read_csv(['ROOT/text/a.csv', 'ROOT/text/b.csv'], header = true) GROUP BY s ORDER BY s LIMIT 5", 10},
	{"SELECT count(*), max(s) FROM 'ROOT/text/c.csv.gz'", 10},
	{"SELECT sum(p.a), count(*) FROM 'ROOT/text/d.json'", 10},
	{"WITH t AS (SELECT ord, sum(qty) AS q FROM 'ROOT/items/*.parquet' GROUP BY ord) SELECT count(*), max(q), (SELECT min(name) FROM 'ROOT/orders.parquet') FROM t WHERE q > (SELECT avg(q) FROM t)", 65},
	{"SELECT c.s, l.qty FROM 'ROOT/text/a.csv' c JOIN 'ROOT/items/0.parquet' l USING (id) WHERE l.qty = 7 ORDER BY ALL LIMIT 20", 45},
	{"PIVOT (SELECT flag, qty % 3 AS m FROM 'ROOT/items/0.parquet') ON m USING count(*)", 30},
	{"PIVOT 'ROOT/parts/*/*.parquet' ON k USING sum(i)", 5},
	{"DESCRIBE FROM 'ROOT/orders.parquet'", 5},
	{"SELECT filename, count(*), sum(qty) FROM read_parquet('ROOT/items/*.parquet', filename = true) GROUP BY filename", 45},
	{"SELECT read_parquet.filename, max(id) FROM read_parquet('ROOT/items/*.parquet', filename = true) WHERE filename = 'ROOT/items/2.parquet' OR qty = 7 GROUP BY ALL", 45},
	{"SELECT * FROM read_parquet('ROOT/parts/*/*.parquet', filename = 'src') AS t(i, v, k, src) ORDER BY ALL LIMIT 12", 5},
	{"SELECT t.filename, max(s) FROM read_csv('ROOT/text/[ab].csv', filename = true) t GROUP BY ALL", 10},
}

// TestRemoteAsDuckDB: queries over S3 give what one DuckDB gives over the same files,
// and fetch what they read, not the files.
func TestRemoteAsDuckDB(t *testing.T) {
	d := newSingle(t)
	dir := warehouse(t, d)
	b := newBucket(t)
	for name, options := range map[string][]pond.JobOption{"plain": nil, "forced": {pond.Force(true), pond.Partitions(3)}} {
		nodes := pondtest.New(t, 2)
		for i, q := range remoteQueries {
			if name == "plain" && i%3 > 0 {
				continue // what differs is small
			}
			want, failed := oracleRows(d, strings.ReplaceAll(q.sql, "ROOT", dir))
			if failed != nil {
				t.Fatal(failed)
			}
			prefix := fmt.Sprintf("s3://bucket/%s %d", name, i) // of which nothing has been fetched yet
			total := b.upload(t, dir, prefix)
			b.given.Store(0)
			got, err := pondRows(t, nodes[i%2].Session, strings.ReplaceAll(q.sql, "ROOT", prefix), options...)
			given := b.given.Load()
			for i := range got {
				got[i] = strings.ReplaceAll(got[i], prefix, dir)
			}
			switch {
			case err != nil:
				t.Errorf("%s: %s: %s", name, q.sql, fullText(err))
			case !slices.Equal(got, want):
				t.Errorf("%s: %s: %d rows %.500q, want %d %.500q", name, q.sql, len(got), got, len(want), want)
			case given > total*q.share/100:
				t.Errorf("%s: %s: %d of %d bytes were fetched: %d %%, may be %d", name, q.sql, given, total, given*100/total, q.share)
			default:
				t.Logf("%s: %s: %d %% of %d bytes", name, q.sql, given*100/total, total)
			}
		}
	}
}

// TestRemoteRefused: what cannot be read over a network is said, by name.
func TestRemoteRefused(t *testing.T) {
	d := newSingle(t)
	dir := t.TempDir()
	d.exec("COPY (SELECT 1 AS i) TO '%s/a.parquet'", dir)
	d.exec("COPY (SELECT 1 AS i) TO '%s/a.csv'", dir)
	b := newBucket(t)
	b.upload(t, dir, "s3://bucket")
	node := pondtest.New(t, 1)[0]
	for _, c := range []struct {
		sql      string
		sentinel error
		words    []string
	}{
		{"FROM 's3://bucket/nothing.parquet'", pond.ErrNotFound, []string{"s3://bucket/nothing.parquet", "no such object"}},
		{"FROM 's3://bucket/no*.parquet'", pond.ErrNotFound, []string{"s3://bucket/no*.parquet", "nothing matches"}},
		{"FROM 's3://nowhere/a.parquet'", pond.ErrNotFound, []string{"s3://nowhere/a.parquet"}},
		{"FROM read_parquet('s3://bucket')", pond.ErrQuery, []string{"s3://BUCKET/KEY"}},
		{"FROM 's3://bucket/**/x/**/a.parquet'", pond.ErrQuery, []string{"** may stand in a path once"}},
		{"FROM 's3://bucket/../a.parquet'", pond.ErrNotFound, []string{".."}},
		{"FROM 'gs://bucket/a.parquet'", pond.ErrQuery, []string{"gs:// is not read", "s3://"}},
		{"FROM read_text('s3://bucket/a.csv')", pond.ErrQuery, []string{"read_text", "read_csv"}},
		{"SELECT * FROM glob('s3://bucket/*')", pond.ErrQuery, []string{"glob"}},
		{"FROM read_csv('s3://bucket/a.parquet')", pond.ErrQuery, []string{"read_parquet"}},
		{"SELECT filename FROM 's3://bucket/*.parquet'", pond.ErrQuery, []string{"filename = true"}},
		{"SELECT j FROM 's3://bucket/a.parquet'", pond.ErrQuery, []string{`"j" not found`}},
		{"SELECT i / 0, error('stop ' || i) FROM 's3://bucket/a.parquet'", pond.ErrQuery, []string{"stop 1"}},
		{"COPY (SELECT 1 AS i) TO 'gs://bucket/out.parquet'", pond.ErrQuery, []string{"gs://", "cannot write"}},
	} {
		_, err := pondRows(t, node.Session, c.sql)
		if !errors.Is(err, c.sentinel) || slices.ContainsFunc(c.words, func(w string) bool { return !strings.Contains(fullText(err), w) }) {
			t.Errorf("%s: %v, want %v with %q", c.sql, err, c.sentinel, c.words)
			continue
		}
		if strings.Contains(fullText(err), "pond:objects") || strings.Contains(fullText(err), "/objects/~") {
			t.Errorf("%s: a path of the node's own is told: %s", c.sql, fullText(err))
		}
	}
	for _, sql := range []string{"EXPLAIN ", "EXPLAIN (FORMAT json) "} {
		for _, o := range [][]pond.JobOption{nil, {pond.Force(true)}} {
			got, err := pondRows(t, node.Session, sql+"SELECT i, count(*) FROM 's3://bucket/*.parquet' GROUP BY i", o...)
			if text := strings.Join(got, ""); err != nil || !strings.Contains(text, "s3://bucket/a.parquet") || strings.Contains(text, "pond:objects") {
				t.Errorf("%s: %v: %s", sql, err, text)
			}
		}
	}
	if err := node.ReadParquet("s3://bucket/*.parquet").WriteParquet(testContext(t), "https://bucket/out"); err == nil {
		t.Error("a URL is written to")
	}
	d.same(t, node.ReadParquet("s3://bucket/*.parquet"), "SELECT 1 AS i")
	d.same(t, node.ReadCSV("s3://bucket/a.csv"), "SELECT 1::BIGINT AS i")
	for _, df := range []*pond.DataFrame{node.ReadParquet("s3://bucket/*.parquet").WithFilename(), node.ReadParquet("s3://bucket/*.parquet").WithFilename().Select("i", "filename")} {
		d.same(t, df, "SELECT 1 AS i, 's3://bucket/a.parquet' AS filename")
	}
	d.same(t, node.ReadParquet("s3://bucket/*.parquet").WithRowNumber().WithFilename(), "SELECT 1 AS i, 0::BIGINT AS file_row_number, 's3://bucket/a.parquet' AS filename")
	d.same(t, node.ReadCSV("s3://bucket/a.csv").WithFilename(), "SELECT 1::BIGINT AS i, 's3://bucket/a.csv' AS filename")
	if _, err := pondRows(t, node.Session, "CREATE TABLE none AS SELECT 1 AS i WHERE false"); err != nil {
		t.Fatal(err)
	}
	d.same(t, node.ReadParquet("pond://none").WithRowNumber().WithFilename(), "SELECT 1 AS i, 1::BIGINT AS file_row_number, '' AS filename WHERE false")
}

// TestRemoteRoots: the operator says which places jobs may read.
func TestRemoteRoots(t *testing.T) {
	d := newSingle(t)
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/in", 0o755); err != nil {
		t.Fatal(err)
	}
	d.exec("COPY (SELECT 1 AS i) TO '%s/in/a.parquet'", dir)
	d.exec("COPY (SELECT 1 AS i) TO '%s/b.parquet'", dir)
	b := newBucket(t)
	b.upload(t, dir, "s3://bucket")
	node := pondtest.New(t, 1, pond.WithReadRoots("s3://bucket/in/"))[0]
	for sql, given := range map[string]bool{
		"FROM 's3://bucket/in/a.parquet'": true, "FROM 's3://bucket/in/*.parquet'": true, "FROM 's3://bucket/b.parquet'": false, "FROM 's3://bucket/*/a.parquet'": false,
		"FROM 's3://bucket/in*/a.parquet'": false, "FROM '" + dir + "/b.parquet'": false,
	} {
		got, err := pondRows(t, node.Session, sql)
		if given && (err != nil || !slices.Equal(got, []string{"1"})) {
			t.Errorf("%s: %q, %v", sql, got, err)
		}
		if !given {
			wantError(t, err, pond.ErrDenied, "below s3://bucket/in")
		}
	}
	for _, options := range [][]pond.Option{nil, {pond.WithReadRoots(dir)}} { // this machine is not the Web
		node := pondtest.New(t, 1, options...)[0]
		_, err := pondRows(t, node.Session, "FROM '"+os.Getenv("AWS_ENDPOINT_URL")+"/bucket/b.parquet'")
		wantError(t, err, pond.ErrDenied, "--read-root")
	}
	node = pondtest.New(t, 1, pond.WithReadRoots(os.Getenv("AWS_ENDPOINT_URL")+"/bucket"))[0]
	if got, err := pondRows(t, node.Session, "FROM '"+os.Getenv("AWS_ENDPOINT_URL")+"/bucket/b.parquet'"); err != nil || !slices.Equal(got, []string{"1"}) {
		t.Errorf("a place that the operator has named: %q, %v", got, err)
	}
}
