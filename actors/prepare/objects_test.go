//go:build duckdb_arrow

package prepare_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs/object"
)

// bucket is what patterns mean, and which were asked for.
type bucket struct {
	names map[string][]string
	asked []string
}

func (b *bucket) Find(_ context.Context, pattern string) (out []object.Object, err error) {
	b.asked = append(b.asked, pattern)
	for _, name := range b.names[pattern] {
		out = append(out, object.Object{Name: name, Size: 10, Version: "v1"})
	}
	if out == nil {
		return nil, &object.Error{Op: "find", Name: pattern, Kind: object.ErrNotFound}
	}
	return out, nil
}

func newBucket() *bucket {
	return &bucket{names: map[string][]string{
		"s3://b/*.parquet": {"s3://b/a.parquet", "s3://b/b.parquet"}, "s3://b/a.parquet": {"s3://b/a.parquet"}, "s3://b/x.csv": {"s3://b/x.csv"},
		"s3://b/t": {"s3://b/t"}, "s3://b/long": {"s3://b/" + strings.Repeat("x", 300)}, "s3://b/star": {"s3://b/*.csv"},
	}}
}

// oneQuery is a plan of a query alone.
func oneQuery(op *plan.SQLOp) *plan.Plan {
	return &plan.Plan{Nodes: []plan.Node{{ID: "q", SQL: op}}, Sink: plan.Sink{Input: "q", Collect: &plan.CollectOp{}}}
}

// named is object.NameSQL as DuckDB writes it.
func named(column string) string {
	return fmt.Sprintf(`CASE  WHEN (starts_with(%[1]s, '%[2]s')) THEN (regexp_replace("replace"(%[1]s, '%[2]s', ''), '^(~[^/]*/)+([^/]*)/', '\2://')) ELSE %[1]s END`, column, object.Root)
}

// TestLocate: where a query and its views read URLs, they read the objects that those mean
// now, by name, and nothing else of them changes.
func TestLocate(t *testing.T) {
	p := newBench(t)
	for _, c := range []struct{ query, view, want, wantView string }{
		{"SELECT 1 AS x -- as it is", "SELECT 2", "SELECT 1 AS x -- as it is", "SELECT 2"},
		{"SELECT * FROM read_parquet('/f/*.parquet')", "SELECT 2", "SELECT * FROM read_parquet('/f/*.parquet')", "SELECT 2"},
		{"SELECT a FROM read_parquet('s3://b/*.parquet')", "SELECT 2", "SELECT a FROM read_parquet(['s3://b/a.parquet', 's3://b/b.parquet'])", "SELECT 2"},
		{"SELECT a FROM read_parquet(['s3://b/a.parquet', '/f/*.parquet'], hive_partitioning = true)", "SELECT 2",
			"SELECT a FROM read_parquet(['s3://b/a.parquet', '/f/*.parquet'], (hive_partitioning = CAST('t' AS BOOLEAN)))", "SELECT 2"},
		{"SELECT * FROM v", "SELECT * FROM read_csv('s3://b/x.csv')", "SELECT * FROM v", "SELECT * FROM read_csv('s3://b/x.csv')"},
		{"SELECT * FROM read_parquet('s3://b/*.parquet'), read_csv('s3://b/x.csv')", "SELECT * FROM read_parquet('s3://b/*.parquet')",
			"SELECT * FROM read_parquet(['s3://b/a.parquet', 's3://b/b.parquet']) , read_csv('s3://b/x.csv')", "SELECT * FROM read_parquet(['s3://b/a.parquet', 's3://b/b.parquet'])"},
		{"FROM read_parquet('s3://b/a.parquet', filename = false)", "SELECT 2", "SELECT * FROM read_parquet('s3://b/a.parquet', (filename = CAST('f' AS BOOLEAN)))", "SELECT 2"},
		{"SELECT filename FROM read_parquet('s3://b/a.parquet', filename = false) AS t", "SELECT 2",
			"SELECT filename FROM (SELECT * FROM read_parquet('s3://b/a.parquet', (filename = CAST('f' AS BOOLEAN)))) AS t", "SELECT 2"},
		{"SELECT filename FROM read_parquet('s3://b/a.parquet', filename = true)", "SELECT * FROM read_csv('s3://b/x.csv', filename = 'src') AS t(a, b) TABLESAMPLE 10%",
			`SELECT filename FROM (SELECT * REPLACE (` + named("filename") + ` AS filename) FROM read_parquet('s3://b/a.parquet', (filename = CAST('t' AS BOOLEAN)))) AS read_parquet`,
			`SELECT * FROM (SELECT * REPLACE (` + named("src") + ` AS src) FROM read_csv('s3://b/x.csv', (filename = 'src'))) AS t(a, b) TABLESAMPLE System(10.0 PERCENT)`},
		{"SELECT * FROM read_csv('s3://b/star')", "SELECT 2", "SELECT * FROM read_csv('s3://b/[*].csv')", "SELECT 2"},
	} {
		objects := newBucket()
		p.Objects = objects
		op := &plan.SQLOp{Query: c.query, Views: []plan.View{{Name: "v", SQL: c.view}}}
		for pattern := range objects.names {
			if strings.Contains(c.query+c.view, "'"+pattern+"'") {
				op.Access = append(op.Access, pattern)
			}
		}
		reads := len(op.Access)
		before := *op
		out, err := p.Locate(t.Context(), oneQuery(op))
		if err != nil {
			t.Errorf("%s: %v", c.query, err)
			continue
		}
		got := out.Nodes[0].SQL
		if q, v := object.Named(got.Query, object.Root), object.Named(got.Views[0].SQL, object.Root); q != c.want || v != c.wantView {
			t.Errorf("%s:\n%s; %s, want\n%s; %s", c.query, q, v, c.want, c.wantView)
		}
		if slices.ContainsFunc(got.Access, object.IsRemote) || !slices.IsSorted(got.Access) {
			t.Errorf("%s: its access has URLs, or no order: %q", c.query, got.Access)
		}
		if len(objects.asked) != reads {
			t.Errorf("%s: patterns were looked for more than once: %q", c.query, objects.asked)
		}
		if op.Query != before.Query || op.Views[0].SQL != c.view || !slices.Equal(op.Access, before.Access) {
			t.Errorf("%s: the caller's query was changed", c.query)
		}
	}
}

// TestLocateRefused: what names a file's place, or is no reader of objects, is refused by
// name; what is not there is not found.
func TestLocateRefused(t *testing.T) {
	for query, want := range map[string]string{
		"SELECT * FROM read_text('s3://b/t')":                          "read_text",
		"SELECT * FROM read_csv('s3://b/a.parquet')":                   "read_csv of a .parquet",
		"SELECT filename FROM read_parquet('s3://b/a.parquet')":        "filename is not given unasked",
		"FROM read_parquet('s3://b/a.parquet', filename = 'f' || 'g')": "filename is not given unasked",
		"SELECT * FROM read_parquet('s3://b/none')":                    "s3://b/none",
		"SELECT * FROM read_csv('s3://b/long')":                        "a plainer name",
		"PIVOT read_csv('s3://b/x.csv') ON a USING sum(b) GROUP BY c":  "PIVOT",
		"SELECT filename FROM 's3://b/a.parquet' JOIN a USING (i)":     "filename = true",
	} {
		p := newBench(t)
		p.Objects = newBucket()
		op := &plan.SQLOp{Query: query, Access: []string{"s3://b/*.parquet"}}
		_, err := p.Locate(t.Context(), oneQuery(op))
		if err == nil {
			t.Errorf("%s: it is taken", query)
			continue
		}
		if te := plan.AsError(err); !strings.Contains(te.Subject+": "+te.Text+"; "+te.Hint, want) {
			t.Errorf("%s: %v (%s), want %s", query, err, te.Hint, want)
		}
		op = &plan.SQLOp{Query: "SELECT 1", Views: []plan.View{{Name: "v", SQL: query}}, Access: op.Access}
		if _, err := p.Locate(t.Context(), oneQuery(op)); err == nil {
			t.Errorf("a view: %s: it is taken", query)
		}
	}
	p := newBench(t) // of a node that reads nothing over a network
	if _, err := p.Locate(t.Context(), oneQuery(&plan.SQLOp{Query: "SELECT 1", Access: []string{"s3://b/t"}})); plan.KindOf(err) != plan.KindUser {
		t.Errorf("without objects: %v", err)
	}
}

// TestLocateRead: a step reads objects by name, or the table of which they are files, which
// may have none; of several steps an error names the one.
func TestLocateRead(t *testing.T) {
	p := newBench(t)
	p.Objects = &bucket{names: map[string][]string{"pond://sales": {"pond://sales/1/k=1/x.parquet"}, "s3://b/*.csv": {"s3://b/1.csv", "s3://b/2.csv"}}}
	p.Tables = shelf{
		"sales": {Path: "pond://sales", Columns: []plan.Column{{Name: "a", Type: "BIGINT"}, {Name: "k", Type: "VARCHAR"}}, Folders: []string{"k"}},
		"empty": {Empty: true, Columns: []plan.Column{{Name: "a", Type: "BIGINT"}, {Name: "b", Type: "VARCHAR"}}},
	}
	read := func(r plan.ReadOp) *plan.Plan {
		return &plan.Plan{Nodes: []plan.Node{{ID: "r", Read: &r}, {ID: "q", Inputs: []plan.NodeID{"r"}, Project: &plan.ProjectOp{}}}, Sink: plan.Sink{Input: "q", Collect: &plan.CollectOp{}}}
	}
	for _, c := range []struct {
		read plan.ReadOp
		want string
	}{
		{plan.ReadOp{Format: plan.CSV, Paths: []string{"/f/*.csv", "s3://b/*.csv"}}, "/f/*.csv s3://b/1.csv s3://b/2.csv"},
		{plan.ReadOp{Format: plan.Parquet, Paths: []string{"pond://sales"}}, "pond://sales/1/k=1/x.parquet by folders"},
		{plan.ReadOp{Format: plan.Parquet, Paths: []string{"pond://empty"}}, `SELECT * FROM (SELECT CAST(NULL AS BIGINT) AS "a", CAST(NULL AS VARCHAR) AS "b") WHERE false`},
		{plan.ReadOp{Format: plan.Parquet, Paths: []string{"pond://empty"}, Options: plan.ScanOptions{Columns: []string{"b"}}}, `SELECT "b" FROM (SELECT CAST(NULL AS BIGINT) AS "a", CAST(NULL AS VARCHAR) AS "b") WHERE false`},
		{plan.ReadOp{Format: plan.Parquet, Paths: []string{"pond://empty"}, Options: plan.ScanOptions{Columns: []string{"b"}, Filename: true}},
			`SELECT *, CAST(NULL AS VARCHAR) AS filename FROM (SELECT "b" FROM (SELECT CAST(NULL AS BIGINT) AS "a", CAST(NULL AS VARCHAR) AS "b") WHERE false)`},
	} {
		out, err := p.Locate(t.Context(), read(c.read))
		if err != nil {
			t.Errorf("%q: %v", c.read.Paths, err)
			continue
		}
		var got string
		if n := out.Nodes[0]; n.SQL != nil {
			got = n.SQL.Query
		} else {
			var names []string
			for _, path := range n.Read.Paths {
				names = append(names, object.Named(path, object.Root))
			}
			if got = strings.Join(names, " "); n.Read.Options.Hive {
				got += " by folders"
			}
		}
		if got != c.want {
			t.Errorf("%q: %s, want %s", c.read.Paths, got, c.want)
		}
	}
	if _, err := p.Locate(t.Context(), read(plan.ReadOp{Format: plan.CSV, Paths: []string{"s3://none"}})); err == nil || !strings.Contains(err.Error(), `step "r": read`) || !strings.Contains(err.Error(), "s3://none") {
		t.Errorf("what is not there: %v", err)
	}
}
