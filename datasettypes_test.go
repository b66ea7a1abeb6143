//go:build duckdb_arrow

package pond_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
)

// typedRows are of types that Parquet lacks, the column of folders not the last.
const typedRows = "SELECT i, i + 170141183460469231731687303715884105000::HUGEINT AS h, 'K' || i % 3 AS k, (['b', 'a'])[i % 2 + 1]::ENUM('b', 'a') AS e, " +
	"TIMETZ '12:00:00+01' AS t, {'u': [i::UHUGEINT]} AS s, i::VARCHAR::BIT AS b FROM (SELECT 1 + i % 2 * 100 AS i FROM range(60) t(i))"

// TestDatasetTypes: however a dataset is read, its columns have the names, types and order
// of the table.
func TestDatasetTypes(t *testing.T) {
	d := newSingle(t)
	s := pondtest.New(t, 1)[0].Session
	d.exec("CREATE TABLE x AS %s", typedRows)
	for _, sql := range []string{
		"COPY (" + typedRows + ") TO 'pond://x' (PARTITION_BY k)", "COPY (" + typedRows + ") TO 'pond://x' (PARTITION_BY k, OVERWRITE)",
		"CREATE TABLE none AS SELECT 1::HUGEINT AS h, 'a'::ENUM('a') AS e WHERE false",
	} {
		if _, err := pondRows(t, s, sql); err != nil {
			t.Fatal(said(err))
		}
	}
	const all = "SELECT typeof(COLUMNS(*)), * FROM "
	for from, where := range map[string]string{
		"read_parquet('pond://x')": "true", "parquet_scan('pond://x/1')": "true", "'pond://x/2/K=k1'": "false", "'pond://x/k=K1'": "k = 'K1'",
		"read_parquet('pond://x/k=K[12]/*.parquet')": "k <> 'K0'", "'pond://x/k=K2/*.parquet'": "k = 'K2'",
	} {
		sql := all + "x WHERE " + where
		got, err := pondRows(t, s, all+from)
		if where == "false" {
			if err == nil || !strings.Contains(said(err), "none of such a name") {
				t.Errorf("%s: %q, %s", from, got, said(err))
			}
			continue
		}
		if want, _ := oracleRows(d, sql); err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: %.500q, want %.500q, %s", from, got, want, said(err))
		}
	}
	joined := "SELECT read_parquet.h, q.k, count(*) FROM %s JOIN %s AS q(i, h, k) ON read_parquet.e = 'a' AND q.i = read_parquet.i GROUP BY ALL"
	got, err := pondRows(t, s, strings.NewReplacer("%s AS", "'pond://x' AS", "%s", "read_parquet('pond://x')").Replace(joined))
	if want, _ := oracleRows(d, strings.NewReplacer("%s AS", "x AS", "%s", "x AS read_parquet").Replace(joined)); err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("joined: %q, want %q, %s", got, want, said(err))
	}
	d.same(t, s.ReadParquet("pond://x"), "FROM x")
	d.same(t, s.ReadParquet("pond://x/1/k=K1"), "FROM x WHERE k = 'K1'")
	d.same(t, s.ReadParquet("pond://x/1,pond://x/2"), "FROM x UNION ALL FROM x")
	d.same(t, s.ReadParquet("pond://x", pond.Columns("e", "k")).Filter("e = 'a'"), "SELECT e, k FROM x WHERE e = 'a'")
	d.same(t, s.ReadParquet("pond://x").Select("typeof(COLUMNS(*))"), "SELECT typeof(COLUMNS(*)) FROM x")
	d.same(t, s.ReadParquet("pond://none"), "SELECT 1::HUGEINT AS h, 'a'::ENUM('a') AS e WHERE false")
}

// TestDatasetFolders: values that name folders come back as they were, or are refused.
func TestDatasetFolders(t *testing.T) {
	d := newSingle(t)
	s := pondtest.New(t, 1)[0].Session
	for i, values := range []string{
		"(''), (NULL), ('a/b=c %25'), ('%4E'), ('é x'), ('it''s \"q\"'), (' '), ('.'), ('..'), ('*?[a]'), ('#'), (chr(10) || 't'), ('NULLs'), ('a\\b'), ('a&b+c')",
		"('a'::ENUM('a', '')), (NULL), ('')", "(1.5::DOUBLE), (-0.0), ('nan'), (1e300), (0.1)", "(DATE 'infinity'), (DATE '0044-03-15 (BC)'), (NULL)",
		"(TIMETZ '12:00:00+01'), ('12:00:00.5-03:30')", "(TIMESTAMP '2024-01-01 12:00:00.123456'), (NULL)", "(TIMESTAMPTZ '2024-01-01 12:00:00+01')", "('[1, null]'::JSON), ('{}')",
		"(170141183460469231731687303715884105727::HUGEINT), (-1)", "(1.50::DECIMAL(9,2))", "(true), (false)", "(TIMESTAMP_NS '2024-01-01 12:00:00.123456789')",
	} {
		query := "SELECT row_number() OVER () AS i, k FROM (VALUES " + values + ") t(k)"
		if _, err := pondRows(t, s, fmt.Sprintf("COPY (%s) TO 'pond://f%d' (PARTITION_BY k)", query, i)); err != nil {
			t.Errorf("%s: %s", values, said(err))
			continue
		}
		d.exec("CREATE OR REPLACE TABLE f AS %s", query)
		const all = "SELECT i, k::VARCHAR, typeof(k) FROM %s"
		got, err := pondRows(t, s, fmt.Sprintf(all, fmt.Sprintf("f%d", i)))
		if want, _ := oracleRows(d, fmt.Sprintf(all, "f")); err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: %q, want %q, %s", values, got, want, said(err))
		}
	}
	for values, want := range map[string]string{
		"'NULL'": "NULL in column k cannot name a folder", "'null'::ENUM('null')": "null in column k", "'__HIVE_DEFAULT_PARTITION__'": "would be read as NULL", "'null'::JSON": "would be read as NULL",
		"'a'::BLOB": "no folders by values of BLOB", "[1]": "INTEGER[]", "{'a': 1}": "STRUCT", "INTERVAL 1 DAY": "INTERVAL", "1::UNION(n INTEGER)": "UNION",
	} {
		_, err := pondRows(t, s, "COPY (SELECT 1 AS i, "+values+" AS k) TO 'pond://n' (PARTITION_BY k)")
		wantError(t, err, pond.ErrQuery, want)
	}
	if rows, err := pondRows(t, s, "SHOW TABLES"); err != nil || strings.Contains(strings.Join(rows, " "), "n ") {
		t.Errorf("%q, %s", rows, said(err))
	}
}
