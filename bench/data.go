package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// dataset is rows in Parquet files.
type dataset struct {
	glob string // of the files
	rows int64
	raw  int64 // bytes of the values, as they are before any format
}

// generator makes a data set of about a given size. Its rows depend on nothing
// but their numbers: equal settings give equal rows, on every machine.
type generator struct {
	rowBytes int64
	// setup is run first, once.
	setup func(d *dataStore, rows int64) []string
	// query is rows first to last-1 of rows.
	query func(first, last, rows int64) string
}

// dataFiles is how many files a data set has: nodes read whole row groups, but
// a site's data seldom is one file.
const dataFiles = 8

// record is 100 bytes in the manner of gensort: a random key of ten, and a value
// of the row's number and a filler.
const recordQuery = `SELECT to_base64(unhex(md5('key' || i)))[:10] AS k,
	'  ' || lpad(to_hex(i), 32, '0') || '  ' || repeat(md5(i::VARCHAR)[:13], 4) || chr(13) || chr(10) AS v
	FROM range(%d, %d) t(i)`

// urlQuery has one URL of ten twice, five rows apart.
const urlQuery = `SELECT 'https://www.' || u[1:8] || '.' || ['com','org','net','io'][1 + ascii(u) %% 4] || '/' || u[9:20] || '/' || u[21:32] AS url, i AS n
	FROM (SELECT i, md5((CASE WHEN i %% 10 = 5 THEN i - 5 ELSE i END)::VARCHAR) AS u FROM range(%d, %d) t(i))`

// urlBytes is a URL, of 49 or 50 bytes, and a number.
const urlBytes = 58

// bookingQuery is two thirds of the flights, in another order.
const bookingQuery = `SELECT id, (hash(id) %% 400)::SMALLINT AS seats, (hash(id, 1) %% 100000)::INTEGER AS price
	FROM (SELECT (i * 1000003) %% %d AS id FROM range(%d, %d) t(i)) WHERE id %% 3 <> 0`

var generators = map[string]generator{
	"records": {rowBytes: 100, query: func(a, b, _ int64) string { return fmt.Sprintf(recordQuery, a, b) }},
	"urls":    {rowBytes: urlBytes, query: func(a, b, _ int64) string { return fmt.Sprintf(urlQuery, a, b) }},
	"flights": {rowBytes: flightBytes, setup: flightsSetup, query: flightsQuery},
	"bookings": {rowBytes: flightBytes, query: func(a, b, rows int64) string {
		return fmt.Sprintf(bookingQuery, rows, a, b)
	}},
}

// flightBytes is the size of a flight's values: an id, a time, two numbers, two
// airports. A booking counts the same, so that there is one for each flight.
const flightBytes = 40

// flightsSetup numbers the flights.
func flightsSetup(d *dataStore, _ int64) []string {
	return []string{"CREATE OR REPLACE TABLE base AS SELECT row_number() OVER () - 1 AS n, date, delay::INTEGER AS delay, distance::INTEGER AS distance, origin, destination FROM " + quote(d.flights)}
}

// flightsQuery repeats them, each time with other times, delays and distances.
func flightsQuery(first, last, _ int64) string {
	return fmt.Sprintf(`SELECT id, date + to_minutes((id * 17) %% 43200) AS date, delay + (id %% 7)::INTEGER AS delay, distance + (id %% 5)::INTEGER AS distance, origin, destination
	FROM (SELECT r * (SELECT count(*) FROM base) + n AS id, base.* FROM range(%d // (SELECT count(*) FROM base), 1 + %d // (SELECT count(*) FROM base)) t(r), base)
	WHERE id >= %d AND id < %d`, first, last, first, last)
}

// dataStore makes data sets, each once.
type dataStore struct {
	dir     string
	size    int64
	flights string
	engine  *duckSystem
	say     func(string, ...any)
}

// doneFile marks a data set that is whole.
const doneFile = "_done"

// get makes the data set of that name, unless it is there.
func (d *dataStore) get(ctx context.Context, name string, size int64) (dataset, error) {
	g := generators[name]
	rows := max(size/g.rowBytes, dataFiles)
	dir := filepath.Join(d.dir, name+"-"+strconv.FormatInt(rows, 10))
	set := dataset{glob: filepath.Join(dir, "*.parquet"), rows: rows, raw: rows * g.rowBytes}
	if name == "bookings" {
		set.rows = rows - (rows+2)/3
	}
	if _, err := os.Stat(filepath.Join(dir, doneFile)); err == nil {
		return set, nil
	}
	d.say("making %s: %s rows, %s", name, countText(set.rows), bytesText(set.raw))
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return set, err
	}
	var sql []string
	if g.setup != nil {
		sql = g.setup(d, rows)
	}
	for i := range int64(dataFiles) {
		query := g.query(rows*i/dataFiles, rows*(i+1)/dataFiles, rows)
		sql = append(sql, fmt.Sprintf("COPY (%s) TO %s (FORMAT parquet)", query, quote(filepath.Join(dir, fmt.Sprintf("%02d.parquet", i)))))
	}
	if err := d.engine.exec(ctx, sql...); err != nil {
		return set, fmt.Errorf("make %s: %w", name, err)
	}
	return set, os.WriteFile(filepath.Join(dir, doneFile), nil, 0o644)
}

// scan is SQL that reads Parquet files, folders of them included.
func scan(glob string) string {
	return "read_parquet(" + quote(glob) + ", hive_partitioning = false)"
}

// scanNamed has the column filename as well.
func scanNamed(glob string) string {
	return strings.TrimSuffix(scan(glob), ")") + ", filename = true)"
}
