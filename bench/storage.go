package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/pondmesh/pond"
)

const (
	storageTimes = 4  // --size: bytes that are put, and that are copied to a node that joins
	readTimes    = 16 // the same, that are read: a pace is told by what takes seconds
	readRounds   = 3  // --runs: a ratio near its target is told by many, on a machine that is shared
	storageURL   = "pond://bench"
	storageNodes = 3   // that hold a copy each
	readTarget   = 0.9 // of DuckDB's pace over the plain files
	streamTarget = 1.0 // GB/s
	repairMax    = 10 * time.Minute
	repairPause  = 20 * time.Millisecond
)

// storageQuery reads every value of {files}, and does little with it.
const storageQuery = "SELECT count(*), sum(length(v)), max(k) FROM read_parquet(%s)"

// storageFiles are the files that the measurements of storage put and read.
type storageFiles struct {
	dir   string
	bytes int64
}

func (f *storageFiles) glob() string { return filepath.Join(f.dir, "*.parquet") }

// makeStorageFiles writes Parquet that is as large as its values, so many times --size.
func makeStorageFiles(ctx context.Context, b *bench, checker *duckSystem, times int64) (*storageFiles, error) {
	dir, err := os.MkdirTemp(b.dir, "files-")
	if err != nil {
		return nil, err
	}
	f := &storageFiles{dir: dir}
	rows := b.size * times / generators["records"].rowBytes
	n := dataFiles * times / storageTimes // files of a size
	for i := range n {
		file := filepath.Join(dir, fmt.Sprintf("%03d.parquet", i))
		sql := fmt.Sprintf("COPY (%s) TO %s (FORMAT parquet, COMPRESSION uncompressed)", fmt.Sprintf(recordQuery, rows*i/n, rows*(i+1)/n), quote(file))
		if err := checker.exec(ctx, sql); err != nil {
			return f, err
		}
		info, err := os.Stat(file)
		if err != nil {
			return f, err
		}
		f.bytes += info.Size()
	}
	return f, nil
}

// measureStorage measures the pond's own storage beside what the machine does without it.
func measureStorage(ctx context.Context, b *bench, checker *duckSystem) (out []figure, err error) {
	for _, part := range []struct {
		times   int64 // --size
		measure func(context.Context, *bench, *storageFiles) ([]figure, error)
	}{{storageTimes, measurePuts}, {readTimes, measureReads}, {storageTimes, measureRepair}} {
		got, err := overFiles(ctx, b, checker, part.times, part.measure)
		if out = append(out, got...); err != nil {
			return out, err
		}
	}
	return out, nil
}

func overFiles(ctx context.Context, b *bench, checker *duckSystem, times int64, measure func(context.Context, *bench, *storageFiles) ([]figure, error)) ([]figure, error) {
	files, err := makeStorageFiles(ctx, b, checker, times)
	if files != nil {
		defer os.RemoveAll(files.dir)
	}
	if err != nil {
		return nil, err
	}
	return measure(ctx, b, files)
}

// measurePuts compares putting files with copying them beside themselves, fsynced, as
// often as there are copies.
func measurePuts(ctx context.Context, b *bench, files *storageFiles) (out []figure, err error) {
	for _, copies := range []int{1, storageNodes} {
		p, err := startPond(ctx, b, "put", copies, max(b.memory, int64(copies)*idleNodeMemory))
		if err != nil {
			return out, err
		}
		f, err := putOnce(ctx, b, p, files, copies)
		p.stop()
		if err != nil {
			return out, err
		}
		out = append(out, f)
	}
	return out, nil
}

func putOnce(ctx context.Context, b *bench, p *pondSystem, files *storageFiles, copies int) (figure, error) {
	var puts, plain []sample
	for i := range b.runs + 1 {
		s, err := measure(ctx, p, false, func(context.Context) error { return copyFiles(files, copies) })
		if err != nil {
			return figure{}, err
		}
		s2, err := measure(ctx, p, false, func(ctx context.Context) error { return put(ctx, p.session, files) })
		if err != nil {
			return figure{}, err
		}
		if i > 0 {
			plain, puts = append(plain, s), append(puts, s2)
		}
		if i < b.runs { // what is dropped is removed later, and is not waited for
			if err := p.session.DropDataset(ctx, "bench"); err != nil {
				return figure{}, err
			}
		}
	}
	wall := middle(puts, wallOf)
	return figure{Name: fmt.Sprintf("put with %s", copiesText(copies)), Value: ratio(puts, plain, wallOf), Unit: "× cp + fsync",
		Note: fmt.Sprintf("%s, %s/s, %s of processor time", bytesText(files.bytes), bytesText(int64(float64(files.bytes)/wall.Seconds())), secondsText(millis(middle(puts, cpuOf))))}, nil
}

func copiesText(n int) string {
	if n == 1 {
		return "1 copy"
	}
	return fmt.Sprintf("%d copies", n)
}

func put(ctx context.Context, s *pond.Session, files *storageFiles) error {
	_, err := s.Put(ctx, storageURL, []string{files.glob()}, pond.PutOptions{ID: rand.Text(), Overwrite: true})
	return err
}

// copyFiles copies the files so many times, fsyncs each, and removes them.
func copyFiles(files *storageFiles, times int) error {
	names, err := filepath.Glob(files.glob())
	if err != nil {
		return err
	}
	for range times {
		to, err := os.MkdirTemp(files.dir, "cp-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(to)
		for _, name := range names {
			if err := copyFile(name, filepath.Join(to, filepath.Base(name))); err != nil {
				return err
			}
		}
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// measureReads compares three ways of reading local copies: DuckDB over the chunks that
// hold them, as a task reads one, and a job over the dataset, each with DuckDB over the
// plain files. It tells how fast a stream of the dataset crosses the network, too.
func measureReads(ctx context.Context, b *bench, files *storageFiles) ([]figure, error) {
	duck, err := startDuck(ctx, b, "storage-duckdb", b.memory)
	if err != nil {
		return nil, err
	}
	defer duck.stop()
	p, err := startPond(ctx, b, "read", 1, b.memory)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	if err := put(ctx, p.session, files); err != nil {
		return nil, err
	}
	chunks, err := chunksOf(p.nodeDir(0), files)
	if err != nil {
		return nil, err
	}
	racers := []struct {
		*racer
		from string
	}{{racingDuck(duck), quote(files.glob())}, {racingDuck(duck), quoteAll(chunks)}, {racingPond(p, p.name()), quote(storageURL)}}
	took, rates := make([][]sample, len(racers)), []float64(nil)
	for i := range readRounds*b.runs + 1 {
		var want *answer
		for k, r := range racers {
			sql := fmt.Sprintf(storageQuery, r.from)
			s, got, err := race(ctx, r.racer, sql)
			if err != nil {
				return nil, err
			}
			if want == nil {
				want = got
			}
			if err := sameAnswer(sql, got, want); err != nil {
				return nil, err
			}
			if i > 0 {
				took[k] = append(took[k], s)
			}
		}
		rate, err := together(1, func() (int64, error) { return readAll(ctx, p.session) })
		if err != nil {
			return nil, err
		}
		if i > 0 {
			rates = append(rates, rate)
		}
	}
	plain := took[0]
	pace := func(name string, s []sample) figure {
		return figure{Name: name, Value: ratio(plain, s, wallOf), Unit: "× duckdb's pace",
			Note: fmt.Sprintf("%s, %.2f × its processor time", bytesText(files.bytes), ratio(s, plain, cpuOf))}.atLeast(readTarget)
	}
	mean := func(a, b float64) float64 { return (a + b) / 2 }
	return []figure{
		pace("local read of the chunks", took[1]),
		pace("local read in SQL", took[2]),
		figure{Name: "remote read, one stream", Value: median(rates, mean), Unit: "GB/s"}.atLeast(streamTarget),
	}, nil
}

// chunksOf are the files below a node's folder that hold the plain files: one each, whose
// size is theirs.
func chunksOf(dir string, files *storageFiles) (chunks []string, err error) {
	names, err := filepath.Glob(files.glob())
	if err != nil {
		return nil, err
	}
	sizes := map[int64]bool{}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		sizes[info.Size()] = true
	}
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil && sizes[info.Size()] {
			chunks = append(chunks, path)
		}
		return err
	})
	if err == nil && len(chunks) != len(names) {
		err = fmt.Errorf("%d files are in %d chunks", len(names), len(chunks))
	}
	return chunks, err
}

// readAll reads all files of the dataset, one after the other.
func readAll(ctx context.Context, s *pond.Session) (n int64, err error) {
	d, err := s.Dataset(ctx, storageURL)
	if err != nil {
		return 0, err
	}
	for _, f := range d.Files {
		if err := s.ReadFile(ctx, d, f, io.Discard); err != nil {
			return n, err
		}
		n += f.Size
	}
	return n, nil
}

// measureRepair has a node join a pond of which all nodes hold everything: it is to have
// a copy of all, and reads them from the others.
func measureRepair(ctx context.Context, b *bench, files *storageFiles) ([]figure, error) {
	memory := max(b.memory, storageNodes*idleNodeMemory)
	p, err := startPond(ctx, b, "repair", storageNodes-1, memory)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	if err := put(ctx, p.session, files); err != nil {
		return nil, err
	}
	if err := p.start(ctx, b, "repair", storageNodes, memory); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, repairMax)
	defer cancel()
	var first, last repairLook
	s, err := measure(ctx, p, false, func(ctx context.Context) (err error) {
		first, last, err = repaired(ctx, p.session, files.bytes)
		return err
	})
	if err != nil {
		return nil, err
	}
	// What was copied before the first look that saw some is not in the time, nor in the bytes.
	seconds := last.at.Sub(first.at).Seconds() / float64(last.bytes-first.bytes) * (1 << 30)
	return []figure{{Name: "repair of a whole node", Value: seconds, Unit: "s/GiB",
		Note: fmt.Sprintf("%s; %s after it joined all was there", bytesText(last.bytes), secondsText(millis(s.wall)))}}, nil
}

// repairLook is how much had been copied at a time.
type repairLook struct {
	at    time.Time
	bytes int64
}

// repaired waits until so much is copied and nothing lacks: it tells when it first saw
// some, and the end.
func repaired(ctx context.Context, s *pond.Session, bytes int64) (first, last repairLook, err error) {
	for {
		st, err := s.RepairStorage(ctx)
		if err != nil {
			return first, last, err
		}
		now := repairLook{at: time.Now()}
		for _, n := range st.Nodes {
			now.bytes += n.RepairBytes
		}
		if first.bytes == 0 {
			first = now
		}
		if now.bytes >= bytes && st.Lacks == 0 && st.Error == "" {
			return first, now, nil
		}
		select {
		case <-time.After(repairPause):
		case <-ctx.Done():
			return first, last, fmt.Errorf("%s of %s are copied: %w", bytesText(now.bytes), bytesText(bytes), ctx.Err())
		}
	}
}
