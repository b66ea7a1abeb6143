package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/pondmesh/pond/shuffle/transfer"
)

// measurement makes figures: numbers that are no workload.
type measurement struct {
	name, what string
	measure    func(ctx context.Context, b *bench, checker *duckSystem) ([]figure, error)
}

func figures() []measurement {
	return []measurement{
		{"encode", "rows through SQL into 64 partitions of blocks, against COPY … PARTITION_BY", measureEncode},
		{"loopback", "blocks from one process to another", measureLoopback},
		{"latency", "trivial jobs on an idle pond of three nodes", measureLatency},
		{"small", "small queries on an idle pond of three nodes, against DuckDB", measureSmall},
		{"aged", "trivial jobs on a pond that has done many", measureAged},
		{"tasks", "a job of very many tasks with nothing to do", measureTasks},
		{"storm", "4,096 partitions of 256 map tasks with few rows", measureStorm},
		{"storage", "the pond's own storage, against plain files", measureStorage},
		{"within", "TPC-H's largest joins and sorts where a node has 256 MiB; needs --tpch", measureWithin},
		{"budget", "a sort of five times the memory that is allowed", measureBudget},
	}
}

// encodeSet is rows of one sort of types; k is the key.
type encodeSet struct {
	name    string
	least   float64 // target: times the throughput of COPY
	bytes   int64   // raw, a row
	columns string  // of i; h is a hash of it
}

var encodeSets = []encodeSet{
	{"strings", 4, 100, "to_base64(unhex(md5('key' || i)))[:10] AS k, '  ' || lpad(to_hex(i), 32, '0') || '  ' || repeat(md5(i::VARCHAR)[:13], 4) AS v"},
	{"integers", 4, 39, "h::BIGINT AS k, (h % 1000000)::INTEGER AS a, (i % 30000)::SMALLINT AS b, i::BIGINT AS c, (h % 250)::UTINYINT AS d, h::HUGEINT * 1000 AS e"},
	{"decimals", 4, 36, "h::BIGINT AS k, (h % 1000000 / 100)::DECIMAL(9, 2) AS a, (h % 1000000000 / 10000)::DECIMAL(18, 4) AS b, (h / 1000)::DECIMAL(38, 10) AS c"},
	{"timestamps", 4, 36, "h::BIGINT AS k, TIMESTAMP '2001-01-01' + to_microseconds(h) AS a, DATE '1970-01-01' + (h % 20000)::INTEGER AS b, make_timestamptz(h) AS c, TIME '00:00' + to_microseconds(h % 86400000000) AS d"},
	{"nulls", 4, 40, "h::BIGINT AS k, CASE WHEN h % 10 > 6 THEN h END::BIGINT AS a, CASE WHEN h % 11 > 7 THEN md5(i::VARCHAR)[:16] END AS b, CASE WHEN h % 7 > 4 THEN h / 1e3 END::DOUBLE AS c"},
	{"nested", 1, 80, "h::BIGINT AS k, [h % 100, h % 101, h % 102][:1 + i % 3] AS a, {'x': h % 1000, 'y': md5(i::VARCHAR)[:8]} AS b, MAP {'m': h % 10, 'n': h % 11} AS c, [md5(i::VARCHAR)[:6], 'z'] AS d"},
}

const (
	encodeParts = 64
	encodeShare = 4 // of --size, for each of the sets
)

// measureEncode compares the two ways to cut rows apart, type by type.
func measureEncode(ctx context.Context, b *bench, checker *duckSystem) ([]figure, error) {
	d, err := startDuck(ctx, b, "encode", b.memory)
	if err != nil {
		return nil, err
	}
	defer d.stop()
	if err := d.exec(ctx, unordered); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(b.dir, "encode-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var out []figure
	for _, set := range encodeSets {
		f, err := encodeOne(ctx, b, d, checker, set, dir)
		if err != nil {
			return out, fmt.Errorf("%s: %w", set.name, err)
		}
		out = append(out, f)
	}
	return out, nil
}

func encodeOne(ctx context.Context, b *bench, d, checker *duckSystem, set encodeSet, dir string) (figure, error) {
	rows := max(b.size/encodeShare/set.bytes, 1)
	in, segment, copied := filepath.Join(dir, set.name+".parquet"), filepath.Join(dir, set.name+".segment"), filepath.Join(dir, set.name)
	made := fmt.Sprintf("SELECT %s FROM (SELECT i, (hash(i) >> 20)::BIGINT AS h FROM range(%d) t(i))", set.columns, rows)
	if err := checker.exec(ctx, fmt.Sprintf("COPY (%s) TO %s (FORMAT parquet)", made, quote(in))); err != nil {
		return figure{}, err
	}
	want, err := checker.query(ctx, "SELECT count(*), sum(hash(t)) FROM "+scan(in)+" t")
	if err != nil {
		return figure{}, err
	}
	var cut, copies []sample
	for i := range b.runs + 1 {
		s, err := measure(ctx, d, false, func(ctx context.Context) error {
			return d.exec(ctx, fmt.Sprintf("COPY (SELECT *, hash(k) %% %d AS p FROM %s) TO %s (FORMAT parquet, PARTITION_BY (p))", encodeParts, scan(in), quote(copied)))
		})
		if err != nil {
			return figure{}, err
		}
		s2, err := measure(ctx, d, false, func(ctx context.Context) error {
			_, err := d.call(ctx, duckRequest{Drain: &drain{Query: "SELECT k, * FROM " + scan(in), Partitions: encodeParts, File: segment}})
			return err
		})
		if err != nil {
			return figure{}, err
		}
		got, err := d.call(ctx, duckRequest{Check: &check{File: segment, Query: "SELECT count(*), sum(hash(t)) FROM segment t"}})
		if err != nil {
			return figure{}, err
		}
		if !slices.Equal(got.Rows[0], want[0]) {
			return figure{}, fmt.Errorf("%w: rows and sum of hashes are %v, DuckDB's %v", errWrong, got.Rows, want)
		}
		if i > 0 {
			copies, cut = append(copies, s), append(cut, s2)
		}
		if err := os.RemoveAll(copied); err != nil {
			return figure{}, err
		}
	}
	wall := middle(cut, wallOf)
	f := figure{Name: "encode " + set.name, Value: ratio(copies, cut, wallOf), Unit: "×",
		Note: fmt.Sprintf("%s rows, %s/s raw", countText(rows), bytesText(int64(float64(rows*set.bytes)/wall.Seconds())))}
	return f.atLeast(set.least), nil
}

const (
	loopbackMoved   = 1 << 30 // bytes a stream, at least
	loopbackParts   = 16
	loopbackTarget  = 1.5 // GB/s
	loopbackStreams = 2
)

// measureLoopback fetches a segment's blocks from another process, over and
// over, and compares with a bare connection.
func measureLoopback(ctx context.Context, b *bench, checker *duckSystem) ([]figure, error) {
	set, err := b.data.get(ctx, "records", b.size)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(b.dir, "loopback.segment")
	defer os.Remove(file)
	made, err := checker.call(ctx, duckRequest{Drain: &drain{Query: "SELECT k, * FROM " + scan(set.glob), Partitions: loopbackParts, File: file}})
	if err != nil {
		return nil, err
	}
	c, err := startChild(ctx, "blocks", roleConfig{Name: "blocks", Segments: []string{file}})
	if err != nil {
		return nil, err
	}
	defer c.stop()
	var wants []transfer.Want
	for range 1 + loopbackMoved/made.Bytes {
		wants = append(wants, transfer.Want{Segment: segmentID(0), Partition: transfer.AllPartitions})
	}
	client := transfer.NewClient(transfer.ClientConfig{})
	defer client.Close()
	fetch := func() (int64, error) { return fetchAll(ctx, client, c.Addr, wants) }
	raw := func() (int64, error) { return readRaw(ctx, c.Raw, loopbackMoved) }
	var out []figure
	for _, m := range []struct {
		name    string
		streams int
		f       func() (int64, error)
	}{{"loopback, one stream", 1, fetch}, {"loopback, two streams", loopbackStreams, fetch}, {"bare connection", 1, raw}} {
		var rates []float64
		for i := range b.runs + 1 {
			rate, err := together(m.streams, m.f)
			if err != nil {
				return out, err
			}
			if i > 0 {
				rates = append(rates, rate)
			}
		}
		f := figure{Name: m.name, Value: median(rates, func(a, b float64) float64 { return (a + b) / 2 }), Unit: "GB/s"}
		if m.streams == 1 && len(out) == 0 {
			f = f.atLeast(loopbackTarget)
		}
		out = append(out, f)
	}
	return out, nil
}

// together runs f n times at once and returns GB/s of all.
func together(n int, f func() (int64, error)) (float64, error) {
	type moved struct {
		bytes int64
		err   error
	}
	ch := make(chan moved, n)
	start := time.Now()
	for range n {
		go func() {
			bytes, err := f()
			ch <- moved{bytes, err}
		}()
	}
	var sum int64
	var err error
	for range n {
		m := <-ch
		sum += m.bytes
		if err == nil {
			err = m.err
		}
	}
	return float64(sum) / time.Since(start).Seconds() / 1e9, err
}

func fetchAll(ctx context.Context, c *transfer.Client, addr string, wants []transfer.Want) (n int64, err error) {
	s, err := c.Fetch(ctx, addr, wants)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	for {
		block, err := s.Next()
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		n += int64(len(block.Data))
		block.Release()
	}
}

func readRaw(ctx context.Context, addr string, bytes int64) (int64, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	buf, n := make([]byte, rawBuffer), int64(0)
	for n < bytes {
		k, err := conn.Read(buf)
		if n += int64(k); err != nil {
			return n, err
		}
	}
	return n, nil
}
