//go:build duckdb_arrow

package chaos_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos"
)

var tpch = flag.String("tpch", "", "folder of TPC-H's tables as Parquet files, whose queries TestKillEngines and TestTakeovers run too")

const tpchQueries = "../duck/logical/testdata/tpch/q*.sql"

// drawn is a query, or a sort into files, over views.
type drawn struct {
	name, sql string
	sort      string // the column by which the rows are to be in order; "": a query
}

// drawnJobs are those that tests draw from.
func drawnJobs(t *testing.T) []drawn {
	jobs := []drawn{
		{"group", "SELECT k, count(*) AS n, sum(v)::BIGINT AS v, min(s) AS s, sum(price) AS price FROM events GROUP BY k", ""},
		{"join", "SELECT a.k, count(*) AS n, sum(b.price) AS price FROM events a JOIN events b ON a.id = b.id + 1 GROUP BY a.k", ""},
		{"window", "SELECT id, rank() OVER (PARTITION BY k ORDER BY id) AS place FROM events WHERE v = 3", ""},
		{"sort", "SELECT * FROM events ORDER BY k, id", "k"},
	}
	if *tpch == "" {
		return jobs
	}
	paths, err := filepath.Glob(tpchQueries)
	must(t, err)
	for _, p := range paths {
		text, err := os.ReadFile(p)
		must(t, err)
		name, sql := strings.TrimSuffix(filepath.Base(p), ".sql"), strings.TrimSuffix(strings.TrimSpace(string(text)), ";")
		if name == "q01" { // averages of doubles depend on the order of rows
			sql = "SELECT COLUMNS(c -> NOT starts_with(c, 'avg')), round(avg_qty, 6) AS q, round(avg_price, 6) AS p, round(avg_disc, 6) AS d FROM (" + sql + ")"
		}
		jobs = append(jobs, drawn{name, sql, ""})
	}
	lines := drawn{"sort lines", "SELECT * FROM lineitem ORDER BY l_shipdate, l_orderkey, l_linenumber", "l_shipdate"}
	return append(jobs, lines, lines, lines)
}

// drawnViews define what jobs read.
func drawnViews(t *testing.T) []string {
	view := "CREATE OR REPLACE VIEW %s AS SELECT * FROM '%s'"
	views := []string{fmt.Sprintf(view, "events", dataGlob(t))}
	if *tpch == "" {
		return views
	}
	files, err := filepath.Glob(*tpch + "/*.parquet")
	must(t, err)
	for _, f := range files {
		f, err := filepath.Abs(f)
		must(t, err)
		views = append(views, fmt.Sprintf(view, strings.TrimSuffix(filepath.Base(f), ".parquet"), f))
	}
	return views
}

// statement is the job's, which a sort has write into a folder.
func (j drawn) statement(dir string) string {
	if j.sort == "" {
		return j.sql
	}
	return fmt.Sprintf("COPY (%s) TO '%s/' (FORMAT parquet)", j.sql, dir)
}

// check compares the job's rows, or the files of a sort, with the oracle's.
func (j drawn) check(ctx context.Context, o *chaos.Oracle, rows *pond.Rows, dir string) error {
	if j.sort == "" {
		return o.Compare(ctx, rows, j.sql)
	}
	files := "'" + dir + "/*.parquet'"
	return errors.Join(o.CompareQueries(ctx, "SELECT * FROM "+files, j.sql),
		o.CompareQueries(ctx, fmt.Sprintf("SELECT count(*) AS n FROM (SELECT %s AS k, lag(%[1]s) OVER () AS before FROM %s) WHERE k < before", j.sort, files), "SELECT 0::BIGINT AS n"))
}
