//go:build duckdb_arrow

package prepare_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/prepare"
)

// shelf is datasets whose files are here.
type shelf map[string]*prepare.Table

func (s shelf) Table(_ context.Context, name string, _ uint64) (*prepare.Table, error) {
	return s[name], nil
}

// TestTablesByName: what a statement names and nothing binds is a dataset, of one version;
// WITH, views and files come first.
func TestTablesByName(t *testing.T) {
	p := newBench(t)
	p.parquet(t, "sales/k=1/x.parquet", "SELECT 1::BIGINT AS a")
	p.parquet(t, "sales/k=2/x.parquet", "SELECT 2::BIGINT AS a")
	p.Tables = shelf{"sales": {Path: p.dir + "/sales/*/*.parquet", Columns: []plan.Column{{Name: "k", Type: "VARCHAR"}, {Name: "a", Type: "BIGINT"}}, Folders: []string{"k"}},
		"empty": {Empty: true, Columns: []plan.Column{{Name: "a b", Type: "DECIMAL(9,2)[]"}}}}
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
		{"COPY (SELECT 1 AS x, '1'::BLOB AS k) TO 'pond://n' (PARTITION_BY K)", "", "no folders by values of BLOB"},
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

// rising is a dataset of which there is a new version each time that somebody looks.
type rising struct{ version uint64 }

func (r *rising) Table(_ context.Context, name string, version uint64) (*prepare.Table, error) {
	if name != "x" {
		return nil, nil
	}
	if version == 0 {
		r.version++
		version = r.version
	}
	return &prepare.Table{Path: fmt.Sprintf("pond://x/%d", version), Columns: []plan.Column{{Name: "a", Type: "BIGINT"}}}, nil
}

// TestOneVersion: a plan reads one version of a dataset, however its steps name it, and the
// same text planned again reads the newest; a version that is named is that one.
func TestOneVersion(t *testing.T) {
	p := newBench(t)
	p.Tables = &rising{}
	access := func(spec *api.JobSpec) (all []string) {
		t.Helper()
		if err := p.Fill(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
		for _, n := range spec.Plan.Nodes {
			if n.SQL != nil {
				all = append(all, n.SQL.Access...)
			}
			if n.Read != nil {
				all = append(all, n.Read.Paths...)
			}
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	const sql = "SELECT * FROM x, 'pond://x' y, read_parquet(['pond://x', 'pond://x/3']) JOIN 'pond://x/k=1/*.parquet' USING (a) WHERE a IN (FROM v) AND a NOT IN (FROM 'pond://x/2')"
	views := []plan.View{{Name: "v", SQL: "SELECT a FROM x UNION ALL SELECT a FROM 'pond://x/k=2/*.parquet'"}}
	for n := 1; n <= 2; n++ {
		got := access(&api.JobSpec{Query: api.Query{SQL: sql, Views: views}})
		for i := range got {
			got[i] = strings.ReplaceAll(got[i], fmt.Sprintf("pond://x/%d", n), "NOW")
		}
		slices.Sort(got)
		want := []string{"NOW", "NOW/k=1/*.parquet", "NOW/k=2/*.parquet", "pond://x/2", "pond://x/3"}
		if n == 2 {
			want = []string{"NOW", "NOW/k=1/*.parquet", "NOW/k=2/*.parquet", "pond://x/3"}
		}
		if !slices.Equal(slices.Compact(got), want) {
			t.Errorf("time %d: %q, want %q", n, got, want)
		}
	}
	read := &plan.ReadOp{Format: plan.Parquet, Paths: []string{"pond://x/k=1", "/a.parquet"}}
	steps := &plan.Plan{Nodes: []plan.Node{{ID: "r", Read: read}, {ID: "q", SQL: &plan.SQLOp{Query: "FROM x"}}}, Sink: plan.Sink{Input: "q", Collect: &plan.CollectOp{}}}
	if got, want := access(&api.JobSpec{Plan: steps}), []string{"/a.parquet", "pond://x/3", "pond://x/3/k=1"}; !slices.Equal(got, want) {
		t.Errorf("steps: %q, want %q", got, want)
	}
	if read.Paths[0] != "pond://x/k=1" {
		t.Errorf("the caller's plan was changed: %q", read.Paths)
	}
}
