package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/pondmesh/pond"
)

// workload is the same work said twice. Both read the same files and write
// Parquet into a folder of their own.
type workload struct {
	name, what string
	inputs     []string // data sets; the first one's rows and bytes are reported
	duck       func(w *work) []string
	pond       func(ctx context.Context, s *pond.Session, w *work) error
	// columns are compared on both sides, by their count and the sum of their hashes.
	columns string
	// pure are queries of a pond's output, {files} in it, that give 0 when it is
	// as it should be beyond having the right rows.
	pure []string
	// target is the most that the largest pond should take, in DuckDB's wall time;
	// 0: none.
	target float64
}

// shuffleTarget bounds the time of workloads that shuffle every row, relative to
// DuckDB's.
const shuffleTarget = 1.3

// work is one run: files to read, in order of inputs, and where to write.
type work struct {
	in  []string // globs
	out string
}

// file is where DuckDB writes its one output file.
func (w *work) file() string { return quote(filepath.Join(w.out, "all.parquet")) }

// The queries that check outputs. An inversion is a row that is less than the one
// before it, in a file or across files, which follow one another by name.
const (
	inversions = `SELECT count(*) FROM (SELECT k, lag(k) OVER () AS before FROM {files}) WHERE k < before`
	unsorted   = `SELECT count(*) FROM (SELECT url, lag(url) OVER () AS before, filename, lag(filename) OVER () AS file FROM {files}) WHERE filename = file AND url < before`
	apartURLs  = `SELECT count(*) FROM (SELECT url FROM {files} GROUP BY url HAVING min(filename) <> max(filename))`
	apartKeys  = `SELECT count(*) FROM (SELECT k FROM {files} GROUP BY k HAVING min(filename) <> max(filename))`
)

const (
	sortPartitions = 16
	hashPartitions = 64
	manyFolders    = 5000
	foldersTarget  = 1.5 // of the folders' wall time, relative to DuckDB's
)

// perRoute has about as many groups as rows; perOrigin has some two hundred.
const (
	perRoute  = "SELECT origin, destination, date::DATE AS day, count(*) AS flights, sum(delay) AS delay, max(distance) AS distance FROM %s GROUP BY ALL"
	perOrigin = "SELECT origin, count(*) AS flights, sum(delay) AS delay, max(distance) AS distance FROM %s GROUP BY ALL"
	joined    = "SELECT origin, count(*) AS flights, sum(seats) AS seats, sum(price) AS price, sum(delay) AS delay FROM %s f JOIN %s b USING (id) GROUP BY ALL"
)

// workloads are smallpond's four, then what analysts do.
func workloads() []workload {
	return []workload{graySort(), urlSort(), hashPartition(), fileIO(), groupBy(), groupBySQL(), groupByFew(), join(), joinSQL(), folders()}
}

func graySort() workload {
	return workload{
		name: "graysort", what: "sort records of 100 bytes by a key of 10", inputs: []string{"records"},
		duck: func(w *work) []string {
			return []string{fmt.Sprintf("COPY (SELECT * FROM %s ORDER BY k) TO %s (FORMAT parquet)", scan(w.in[0]), w.file())}
		},
		pond: func(ctx context.Context, s *pond.Session, w *work) error {
			return s.ReadParquet(w.in[0]).Sort("k").WriteParquet(ctx, w.out)
		},
		columns: "k, v", pure: []string{inversions}, target: shuffleTarget,
	}
}

func urlSort() workload {
	return workload{
		name: "urlsort", what: fmt.Sprintf("URLs by hash into %d partitions, each sorted", sortPartitions), inputs: []string{"urls"},
		duck: func(w *work) []string {
			return []string{fmt.Sprintf("COPY (SELECT * FROM %s ORDER BY hash(url) %% %d, url) TO %s (FORMAT parquet)", scan(w.in[0]), sortPartitions, w.file())}
		},
		pond: func(ctx context.Context, s *pond.Session, w *work) error {
			return s.ReadParquet(w.in[0]).Repartition(sortPartitions, pond.ByHash("url")).PartialSort("url").WriteParquet(ctx, w.out)
		},
		columns: "url, n", pure: []string{unsorted, apartURLs},
	}
}

func hashPartition() workload {
	return workload{
		name: "hashpartition", what: fmt.Sprintf("records by hash into %d files", hashPartitions), inputs: []string{"records"},
		duck: func(w *work) []string {
			return []string{fmt.Sprintf("COPY (SELECT *, hash(k) %% %d AS p FROM %s) TO %s (FORMAT parquet, PARTITION_BY (p))", hashPartitions, scan(w.in[0]), quote(w.out))}
		},
		pond: func(ctx context.Context, s *pond.Session, w *work) error {
			return s.ReadParquet(w.in[0]).Repartition(hashPartitions, pond.ByHash("k")).WriteParquet(ctx, w.out)
		},
		columns: "k, v", pure: []string{apartKeys},
	}
}

// folders is bound by the making of small files.
func folders() workload {
	query := func(w *work) string {
		return fmt.Sprintf("SELECT *, id %% %d AS folder FROM %s", manyFolders, scan(w.in[0]))
	}
	const options = "(FORMAT parquet, PARTITION_BY (folder))"
	return workload{
		name: "folders", what: fmt.Sprintf("flights into %d folders; of SQL", manyFolders), inputs: []string{"flights"},
		duck: func(w *work) []string {
			return []string{fmt.Sprintf("COPY (%s) TO %s %s", query(w), quote(w.out), options)}
		},
		pond: func(ctx context.Context, s *pond.Session, w *work) error {
			_, err := s.SQL(ctx, fmt.Sprintf("COPY (%s) TO %s %s", query(w), quote(w.out+"/"), options), pond.Force(true))
			return err
		},
		columns: "id, origin, destination, date, delay, distance", target: foldersTarget,
	}
}

func fileIO() workload {
	return workload{
		name: "fileio", what: "read records and write them again", inputs: []string{"records"},
		duck: func(w *work) []string {
			return []string{fmt.Sprintf("COPY (SELECT * FROM %s) TO %s (FORMAT parquet)", scan(w.in[0]), w.file())}
		},
		pond: func(ctx context.Context, s *pond.Session, w *work) error {
			return s.ReadParquet(w.in[0]).WriteParquet(ctx, w.out)
		},
		columns: "k, v",
	}
}

func groupBy() workload {
	return workload{
		name: "groupby", what: "flights by route and day, every row shuffled", inputs: []string{"flights"},
		duck: func(w *work) []string {
			return []string{fmt.Sprintf("COPY ("+perRoute+") TO %s (FORMAT parquet)", scan(w.in[0]), w.file())}
		},
		pond: func(ctx context.Context, s *pond.Session, w *work) error {
			return s.ReadParquet(w.in[0], pond.Columns("origin", "destination", "date", "delay", "distance")).
				Repartition(0, pond.ByHash("origin", "destination", "date::DATE")).SQL(fmt.Sprintf(perRoute, "{0}")).WriteParquet(ctx, w.out)
		},
		columns: "origin, destination, day, flights, delay, distance", target: shuffleTarget,
	}
}

// asSQL is a workload whose pond is given the query that DuckDB is given, and
// plans it by itself.
func asSQL(w workload, query func(w *work) string) workload {
	w.name, w.what = w.name+"sql", w.what+"; of SQL"
	w.pond = func(ctx context.Context, s *pond.Session, at *work) error {
		_, err := s.SQL(ctx, fmt.Sprintf("COPY (%s) TO %s (FORMAT parquet)", query(at), quote(at.out+"/")), pond.Force(true))
		return err
	}
	return w
}

func groupBySQL() workload {
	return asSQL(groupBy(), func(w *work) string { return fmt.Sprintf(perRoute, scan(w.in[0])) })
}

func joinSQL() workload {
	return asSQL(join(), func(w *work) string { return fmt.Sprintf(joined, scan(w.in[0]), scan(w.in[1])) })
}

func groupByFew() workload {
	return workload{
		name: "groupbyfew", what: "flights by origin, in two phases", inputs: []string{"flights"},
		duck: func(w *work) []string {
			return []string{fmt.Sprintf("COPY ("+perOrigin+") TO %s (FORMAT parquet)", scan(w.in[0]), w.file())}
		},
		pond: func(ctx context.Context, s *pond.Session, w *work) error {
			return s.ReadParquet(w.in[0]).SQL(fmt.Sprintf(perOrigin, "{0}")).Repartition(1, pond.ByHash("origin")).
				SQL("SELECT origin, sum(flights)::BIGINT AS flights, sum(delay) AS delay, max(distance) AS distance FROM {0} GROUP BY origin").WriteParquet(ctx, w.out)
		},
		columns: "origin, flights, delay, distance",
	}
}

func join() workload {
	return workload{
		name: "join", what: "flights with bookings by id, both shuffled, then by origin", inputs: []string{"flights", "bookings"},
		duck: func(w *work) []string {
			return []string{fmt.Sprintf("COPY ("+joined+") TO %s (FORMAT parquet)", scan(w.in[0]), scan(w.in[1]), w.file())}
		},
		pond: func(ctx context.Context, s *pond.Session, w *work) error {
			bookings := s.ReadParquet(w.in[1]).Repartition(sortPartitions, pond.ByHash("id"))
			return s.ReadParquet(w.in[0], pond.Columns("id", "delay", "origin")).Repartition(sortPartitions, pond.ByHash("id")).
				SQL(fmt.Sprintf(joined, "{0}", "{1}"), bookings).Repartition(1, pond.ByHash("origin")).
				SQL("SELECT origin, sum(flights)::BIGINT AS flights, sum(seats) AS seats, sum(price) AS price, sum(delay) AS delay FROM {0} GROUP BY origin").WriteParquet(ctx, w.out)
		},
		columns: "origin, flights, seats, price, delay", target: shuffleTarget,
	}
}
