//go:build duckdb_arrow

package pond_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/duck"
)

// answer is a query whose right value was worked out by hand.
type answer struct {
	name  string
	files []string // what {f} matches: a query a file
	other []string // what {g} matches
	sql   string
	want  []string // rows as lines, in order if the query has one
	err   string   // or what the error says
}

// answers were wrong once: in Pond, or in DuckDB itself.
var answers = []answer{
	{name: "limit of a subquery", files: []string{"SELECT unnest([0, 1, 2]) AS x", "SELECT unnest([3, 4, 5]) AS x", "SELECT unnest([6, 7, 8, 9]) AS x"},
		sql: "SELECT x FROM {f} ORDER BY x LIMIT (SELECT 5)", want: []string{"0", "1", "2", "3", "4"}},
	{name: "offset of a subquery", files: []string{"SELECT unnest([9, 1, 2]) AS x", "SELECT unnest([3, 4, 5]) AS x", "SELECT unnest([6, 7, 8, 0]) AS x"},
		sql: "SELECT x FROM {f} ORDER BY x DESC LIMIT 3 OFFSET (SELECT 4)", want: []string{"5", "4", "3"}},
	{name: "limit and offset of subqueries over many rows", files: []string{"SELECT range * 7919 % 20011 AS x FROM range(10000)", "SELECT (10000 + range) * 7919 % 20011 AS x FROM range(10011)"},
		sql: "SELECT x FROM {f} ORDER BY x LIMIT (SELECT 4) OFFSET (SELECT count(*) - 11 FROM {f})", want: []string{"20000", "20001", "20002", "20003"}},
	{name: "percentage of a subquery", files: []string{"SELECT unnest([4, 1, 2]) AS x", "SELECT unnest([3, 0, 5]) AS x", "SELECT unnest([6, 7, 8, 9]) AS x"},
		sql: "SELECT x FROM {f} ORDER BY x LIMIT (SELECT 30) %", want: []string{"0", "1", "2"}},
	{name: "no limit", files: []string{"SELECT unnest([4, 1]) AS x", "SELECT unnest([3, 0]) AS x"},
		sql: "SELECT x FROM {f} ORDER BY x LIMIT (SELECT NULL::BIGINT) OFFSET (SELECT 1)", want: []string{"1", "3", "4"}},
}

// TestAnswers runs queries of which the right rows are known, as they are and
// forced on several partitions, from nodes in turn.
func TestAnswers(t *testing.T) {
	nodes := newPond(t, 3)
	for i, a := range answers {
		t.Run(a.name, func(t *testing.T) {
			dir := t.TempDir()
			writeParquet(t, dir, "f", a.files)
			writeParquet(t, dir, "g", a.other)
			sql := strings.NewReplacer("{f}", "'"+dir+"/f*.parquet'", "{g}", "'"+dir+"/g*.parquet'").Replace(a.sql)
			s, err := pond.Connect(nodes[i%len(nodes)].Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for _, options := range [][]pond.SQLOption{nil, {pond.ForceDistributed(), pond.OnPartitions(3)}, {pond.ForceDistributed(), pond.OnPartitions(4), pond.BroadcastUpTo(-1)}} {
				a.check(t, s, sql, options)
			}
		})
	}
}

func (a *answer) check(t *testing.T, s *pond.Session, sql string, options []pond.SQLOption) {
	t.Helper()
	rows, err := s.SQL(testContext(t), sql, options...)
	if a.err != "" {
		if err == nil {
			t.Errorf("%s: %q, want the error %q", sql, lines(t, rows, nil), a.err)
		} else if !errors.Is(err, pond.ErrQuery) || !strings.Contains(err.Error(), a.err) {
			t.Errorf("%s: %v, want %q", sql, err, a.err)
		}
		return
	}
	got, want := lines(t, rows, err), a.want
	if !strings.Contains(sql, "ORDER BY") {
		got, want = sorted(got), sorted(slices.Clone(want))
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s, %d options:\n%q, want\n%q", sql, len(options), got, want)
	}
}

// writeParquet writes a Parquet file a query.
func writeParquet(t *testing.T, dir, name string, queries []string) {
	t.Helper()
	if len(queries) == 0 {
		return
	}
	e, err := duck.Open(context.Background(), duck.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for i, q := range queries {
		if _, err := e.Copy(testContext(t), q, filepath.Join(dir, fmt.Sprintf("%s%d.parquet", name, i)), "parquet", nil); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}
