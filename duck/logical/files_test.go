//go:build duckdb_arrow

package logical_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pondmesh/pond/duck/logical"
)

// TestFiles reads Parquet in all the ways that its reader has options for.
func TestFiles(t *testing.T) {
	dir := filepath.ToSlash(t.TempDir())
	p := newPair(t, strings.ReplaceAll(`
		COPY (SELECT i AS a, i % 3 AS b, 'v' || i AS c, {'x': i, 'y': 'z'} AS s FROM range(100) r(i)) TO 'DIR/one.parquet' (ROW_GROUP_SIZE 2048);
		COPY (SELECT i AS a, i % 3 AS b, 'w' || i AS c, {'x': -i, 'y': NULL} AS s FROM range(50) r(i)) TO 'DIR/two.parquet';
		COPY (SELECT 1.5 AS z, 7 AS a) TO 'DIR/other.parquet';
		COPY (SELECT 'bytes'::BLOB AS bin) TO 'DIR/bin.parquet';
		COPY (SELECT i AS v, 2019 + i % 3 AS year, ['007', 'x'][1 + i % 2] AS code FROM range(60) r(i)) TO 'DIR/hive' (FORMAT parquet, PARTITION_BY (year, code), OVERWRITE_OR_IGNORE);
		COPY (SELECT 1 AS filename, 2 AS file_row_number) TO 'DIR/named.parquet';
		CREATE VIEW one AS FROM 'DIR/one.parquet';`, "DIR", dir))
	for _, sql := range []string{
		"FROM 'DIR/one.parquet'",
		"SELECT c, a FROM 'DIR/one.parquet' WHERE a BETWEEN 10 AND 20 AND c <> 'v12' OR a IS NULL",
		"SELECT count(*) FROM 'DIR/one.parquet'",
		"SELECT count(*) FROM read_parquet(['DIR/one.parquet', 'DIR/two.parquet']) WHERE b IN (1, 2) AND c LIKE '%1'",
		"SELECT s.x, s.y FROM 'DIR/*o*.parquet' WHERE s.x > 30 AND s.y IS NOT NULL AND a < 90",
		"SELECT * FROM read_parquet(['DIR/one.parquet', 'DIR/other.parquet'], union_by_name = true)",
		"SELECT z, a FROM read_parquet(['DIR/other.parquet', 'DIR/two.parquet'], union_by_name = true) WHERE a < 10",
		"SELECT filename[-7:], file_row_number, a FROM read_parquet('DIR/two.parquet', filename = true, file_row_number = true) WHERE a > 45",
		"SELECT filename[-11:], count(*), max(file_row_number) FROM 'DIR/*o*.parquet' WHERE filename NOT LIKE '%other%' GROUP BY ALL",
		"SELECT * FROM read_parquet('DIR/one.parquet', filename = 'path') WHERE path LIKE '%one%' AND a = 3",
		"SELECT bin FROM read_parquet('DIR/bin.parquet', binary_as_string = true)",
		"SELECT bin FROM 'DIR/bin.parquet'",
		"FROM 'DIR/hive/*/*/*.parquet'",
		"SELECT year, code, sum(v) FROM 'DIR/hive/**/*.parquet' WHERE year = 2020 GROUP BY ALL",
		"SELECT v FROM 'DIR/hive/**/*.parquet' WHERE year > 2019 AND code = '007' AND v > 30",
		"SELECT * FROM read_parquet('DIR/hive/**/*.parquet', hive_partitioning = false)",
		"SELECT * FROM read_parquet('DIR/hive/**/*.parquet', hive_types = {'year': VARCHAR})",
		"SELECT * FROM read_parquet('DIR/hive/**/*.parquet', hive_types_autocast = false) WHERE year = '2021'",
		"SELECT * FROM 'DIR/hive/**/*.parquet' WHERE year = 1999",
		"SELECT count(*) FROM 'DIR/hive/**/*.parquet' WHERE year = 1999",
		"SELECT o.a, h.v FROM one o LEFT JOIN 'DIR/hive/**/*.parquet' h ON o.a = h.v AND h.year = 2019 WHERE o.a < 20",
		"SELECT * FROM one WHERE a IN (SELECT v FROM 'DIR/hive/**/*.parquet' WHERE code = 'x')",
		"FROM 'DIR/named.parquet'",
		"SELECT * FROM (SELECT * FROM one LIMIT 10) ORDER BY a DESC LIMIT 3",
		"SELECT a FROM one ORDER BY c DESC LIMIT 5",
		"SELECT num_rows FROM parquet_file_metadata('DIR/one.parquet')",
		"SELECT content FROM read_text('DIR/none*')",
	} {
		if text, err := p.check(t.Context(), strings.ReplaceAll(sql, "DIR", dir)); err != nil {
			t.Errorf("%s\n%s\n%v", sql, text, err)
		}
	}
}

// TestGet looks at what is known of a scan.
func TestGet(t *testing.T) {
	dir := filepath.ToSlash(t.TempDir())
	p := newPair(t, strings.ReplaceAll(`COPY (SELECT i AS v, i * 2 AS w, i % 2 AS p FROM range(60) r(i)) TO 'DIR/hive' (FORMAT parquet, PARTITION_BY (p), OVERWRITE_OR_IGNORE);
		COPY (SELECT 1 AS a) TO 'DIR/x.csv'; COPY (SELECT 1 AS a) TO 'DIR/x.json';`, "DIR", dir))
	plan, err := p.plan(t.Context(), "SELECT w FROM '"+dir+"/hive/**/*.parquet' WHERE p = 1 AND v > 7")
	if err != nil {
		t.Fatal(err)
	}
	var get *logical.Get
	logical.Walk(plan.Root, func(op logical.Operator) bool {
		if g, ok := op.(*logical.Get); ok {
			get = g
		}
		return true
	})
	if get == nil || len(get.Files) != 1 || !strings.Contains(get.Files[0], "p=1") || !get.Scan.Hive || !get.Scan.Pruned {
		t.Fatalf("%+v", get)
	}
	if at := get.Scan.HiveColumns; len(at) != 1 || get.Schema[at[0]].Name != "p" {
		t.Errorf("hive columns %v of %v", at, get.Schema)
	}
	if len(get.Filters) != 1 || get.Schema[get.Filters[0].Column].Name != "v" {
		t.Errorf("filters %+v", get.Filters)
	}
	if !slices.Equal(plan.Names, []string{"w"}) || get.Columns[0].Name != "w" || get.Columns[0].Type.String() != "BIGINT" {
		t.Errorf("columns %+v", get.Columns)
	}
	for _, sql := range []string{"FROM 'DIR/x.csv'", "FROM 'DIR/x.json'"} {
		var refused *logical.PlanError
		if _, err := p.plan(t.Context(), strings.ReplaceAll(sql, "DIR", dir)); !errors.As(err, &refused) || refused.Kind != "not implemented" {
			t.Errorf("%s: %v", sql, err)
		}
	}
}
