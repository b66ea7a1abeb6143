//go:build duckdb_arrow

package prepare_test

import (
	"context"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/prepare"
)

// shelf is datasets whose files are here.
type shelf map[string]*prepare.Table

func (s shelf) Table(_ context.Context, name string) (*prepare.Table, error) { return s[name], nil }

// TestTablesByName: what a statement names and nothing binds is a dataset, of one version;
// WITH, views and files come first.
func TestTablesByName(t *testing.T) {
	p := newBench(t)
	p.parquet(t, "sales/k=1/x.parquet", "SELECT 1::BIGINT AS a")
	p.parquet(t, "sales/k=2/x.parquet", "SELECT 2::BIGINT AS a")
	p.Tables = shelf{"sales": {Path: p.dir + "/sales/*/*.parquet", Columns: []plan.Column{{Name: "k", Type: "VARCHAR"}, {Name: "a", Type: "BIGINT"}}, Folders: []string{"k"}},
		"empty": {Columns: []plan.Column{{Name: "a b", Type: "DECIMAL(9,2)[]"}}}}
	describe := func(sql string, views ...plan.View) string {
		d, err := p.Describe(t.Context(), &api.Query{SQL: sql, Dir: p.dir, Views: views})
		if err != nil {
			return err.Error()
		}
		var out []string
		for _, c := range d.Columns {
			out = append(out, c.Name+" "+c.Type)
		}
		return strings.Join(out, ", ")
	}
	for sql, want := range map[string]string{
		"FROM sales": "k VARCHAR, a BIGINT",
		"FROM Sales s JOIN main.sales t USING (k)": "k VARCHAR, a BIGINT, a_1 BIGINT",
		"WITH sales AS (SELECT 1 AS x) FROM sales": "x INTEGER",
		"SELECT k FROM (SELECT * FROM sales)":      "k VARCHAR",
		"FROM other":                               "Table with name other does not exist",
		"FROM empty":                               "a b DECIMAL(9,2)[]",
		"FROM v":                                   "a BIGINT",
	} {
		if got := describe(sql, plan.View{Name: "v", SQL: "SELECT a FROM sales"}); !strings.Contains(got, want) {
			t.Errorf("%s: %s", sql, got)
		}
	}
	if got := describe("FROM sales", plan.View{Name: "sales", SQL: "SELECT 1 AS x"}); got != "x INTEGER" {
		t.Errorf("a view of that name: %s", got)
	}
}

// TestWriteTables: the rows and the target of statements that write datasets.
func TestWriteTables(t *testing.T) {
	p := newBench(t)
	p.Tables = shelf{"t": {Path: "pond://t/3", Columns: []plan.Column{{Name: "a", Type: "BIGINT"}, {Name: "k", Type: "VARCHAR"}}, Folders: []string{"k"}}}
	for _, c := range []struct{ sql, query, write string }{
		{"CREATE TABLE n AS SELECT 1 AS x", "SELECT 1 AS x", "pond://n error"},
		{"CREATE OR REPLACE TABLE n(y) AS SELECT 1 AS x", `SELECT * FROM (SELECT 1 AS x` + "\n" + `) AS q("y")`, "pond://n overwrite"},
		{"COPY (SELECT 1 AS x) TO 'pond://n' (PARTITION_BY x)", "SELECT 1 AS x", "pond://n  x"},
		{"INSERT INTO t BY NAME SELECT 1 AS a", `SELECT CAST(c0 AS BIGINT) AS "a", CAST(NULL AS VARCHAR) AS "k" FROM (SELECT 1 AS a` + "\n" + `) AS q(c0)`, "pond://t append k"},
		{"INSERT INTO t SELECT 1", "", "table t has 2 columns but 1 values were supplied"},
		{"INSERT INTO n SELECT 1", "", "Table with name n does not exist!"},
		{"INSERT INTO t SELECT z", "", `"z" was not found`},
	} {
		out, err := p.PlanSQL(t.Context(), &api.Query{SQL: c.sql})
		if err != nil {
			if c.query != "" || !strings.Contains(err.Error(), c.write) {
				t.Errorf("%s: %v", c.sql, err)
			}
			continue
		}
		w := out.Sink.Write
		if got := strings.TrimSpace(w.Path + " " + string(w.Mode) + " " + strings.Join(w.PartitionBy, ",")); got != c.write || out.Nodes[0].SQL.Query != c.query || w.Format != plan.Parquet {
			t.Errorf("%s: %s, %s: %s", c.sql, got, w.Format, out.Nodes[0].SQL.Query)
		}
	}
}
