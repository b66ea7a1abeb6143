//go:build duckdb_arrow

package distribute_test

import (
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/plan/distribute"
)

// TestSharedParts: what is read twice is made once where its rows are few beside
// what they are made of, and twice otherwise; with the columns that are read.
func TestSharedParts(t *testing.T) {
	p := newPond(t, tpch)
	for _, c := range []struct {
		name, sql string
		once      bool
		absent    string // a column that nobody asks for
	}{
		{"a scan", `WITH l AS MATERIALIZED (SELECT * FROM lineitem WHERE l_receiptdate > l_commitdate)
			SELECT count(*) FROM l a JOIN l b ON a.l_orderkey = b.l_orderkey AND a.l_suppkey <> b.l_suppkey`, false, "l_comment"},
		{"few rows of a scan", `WITH l AS MATERIALIZED (SELECT * FROM lineitem WHERE l_quantity = 1 AND l_discount = 0.05 AND l_tax = 0.01 AND l_linenumber = 3 AND l_shipmode = 'AIR' AND l_suppkey = 7)
			SELECT count(*) FROM l a JOIN l b ON a.l_orderkey = b.l_partkey`, true, "l_comment"},
		{"sums", `WITH r AS (SELECT l_suppkey AS k, sum(l_extendedprice) AS s FROM lineitem GROUP BY 1)
			SELECT k FROM r WHERE s = (SELECT max(s) FROM r)`, true, "l_comment"},
		{"random rows", `WITH r AS (SELECT l_orderkey AS k, random() AS x FROM lineitem) SELECT count(*) FROM r a JOIN r b USING (k, x)`, true, "l_comment"},
		{"a join", `WITH j AS MATERIALIZED (SELECT * FROM lineitem JOIN orders ON l_orderkey = o_orderkey)
			SELECT count(*) FROM j a JOIN j b ON a.l_partkey = b.l_partkey AND a.o_custkey = b.o_custkey`, false, "o_comment"},
	} {
		t.Run(c.name, func(t *testing.T) {
			random := strings.Contains(c.sql, "random()")
			o := distribute.Options{JobID: "job", Force: true, Partitions: 3, BroadcastBytes: -1}
			tree, err := p.tree(t.Context(), c.sql)
			if err != nil {
				t.Fatal(err)
			}
			job, err := distribute.Plan(&distribute.Query{Tree: tree, SQL: c.sql}, p.facts, o)
			if err != nil {
				t.Fatal(err)
			}
			text := job.Explain()
			if once := strings.Contains(text, ": with "); once != c.once {
				t.Errorf("made once: %v\n%s", once, text)
			}
			if strings.Contains(text, c.absent) {
				t.Errorf("%s is read\n%s", c.absent, text)
			}
			if !random {
				if _, err := p.check(t.Context(), c.sql, o); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
