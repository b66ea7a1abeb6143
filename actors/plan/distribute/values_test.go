//go:build duckdb_arrow

package distribute_test

import (
	"slices"
	"testing"

	"github.com/pondmesh/pond/actors/plan/distribute"
)

// What files say of their values decides whether groups are few enough to be put
// together, and sorted, in one task. The files are said to be a hundred times as
// large as they are.
func TestGroupsGuessed(t *testing.T) {
	p := newPond(t, tpch)
	for path, f := range p.facts.Files {
		f.Groups, f.Size = slices.Repeat(f.Groups, 100), f.Size*100
		p.facts.Files[path], p.facts.Stats[path] = f, slices.Repeat(p.facts.Stats[path], 100)
	}
	for sql, stages := range map[string]int{
		"SELECT l_returnflag, l_linestatus, count(*) FROM lineitem GROUP BY ALL ORDER BY ALL":                                   2,
		"SELECT year(o_orderdate) AS y, count(*) FROM orders GROUP BY ALL ORDER BY y":                                           2,
		"SELECT month(o_orderdate) AS m, o_orderpriority, l_shipmode, count(*) FROM orders, lineitem GROUP BY ALL ORDER BY ALL": 3,
		"SELECT l_linestatus || l_returnflag, count(*) FROM (FROM lineitem WHERE l_tax > 0) GROUP BY ALL ORDER BY ALL":          2,
		"SELECT l_orderkey, l_comment, count(*) FROM lineitem GROUP BY ALL ORDER BY ALL":                                        6,
		"SELECT l_returnflag || l_orderkey, count(*) FROM lineitem GROUP BY ALL ORDER BY ALL":                                   3,
	} {
		tree, err := p.tree(t.Context(), sql)
		if err != nil {
			t.Fatal(err)
		}
		job, err := distribute.Plan(&distribute.Query{Tree: tree, SQL: sql}, p.facts, distribute.Options{JobID: "job", Parallelism: 4, Force: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(job.Stages) != stages {
			t.Errorf("%s: %d stages, want %d\n%s", sql, len(job.Stages), stages, job.Explain())
		}
	}
}
