//go:build duckdb_arrow

package pond_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/pondmesh/pond"
)

// parquetFiles makes two folders of Parquet files: flat ones of one schema in
// several row groups, and mixed ones whose columns differ.
func parquetFiles(t *testing.T, d *single) string {
	dir := t.TempDir()
	for _, sub := range []string{"flat/deep", "mixed", "odd", "one,two"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		d.exec("COPY (SELECT i AS id, i %% 7 AS k, 'name ' || i AS name FROM range(%d, %d) t(i)) TO '%s/flat/f%d.parquet' (ROW_GROUP_SIZE 2048)", i*5000, i*5000+5000, dir, i)
	}
	d.exec("COPY (SELECT i AS id, i %% 7 AS k, 'deep' AS name FROM range(10) t(i)) TO '%s/flat/deep/f.parquet'", dir)
	d.exec("COPY (SELECT 1 AS id, 'a' AS name WHERE false) TO '%s/mixed/0.parquet'", dir)
	d.exec("COPY (SELECT 1 AS id, 'a' AS name) TO '%s/mixed/1.parquet'", dir)
	d.exec("COPY (SELECT 2.5 AS extra, 2 AS id) TO '%s/mixed/2.parquet'", dir)
	for i, name := range []string{"a b.parquet", "it''s.parquet", "[x].parquet", "per%%cent.parquet", "ünï.parquet"} {
		d.exec("COPY (SELECT %d AS id) TO '%s/odd/"+name+"'", i, dir)
	}
	for i := range 3 {
		d.exec("COPY (SELECT %d AS id) TO '%s/one,two/f,%d.parquet'", i, dir, i+1)
	}
	return dir
}

func TestReadParquet(t *testing.T) {
	d := newSingle(t)
	dir := parquetFiles(t, d)
	node := newPond(t, 3)[2]
	flat := dir + "/flat/*.parquet"
	for _, c := range []struct {
		name string
		df   *pond.DataFrame
		want string
	}{
		{"one file", node.ReadParquet(dir + "/flat/f1.parquet"), "FROM '" + dir + "/flat/f1.parquet'"},
		{"list", node.ReadParquet(dir + "/flat/f1.parquet, " + dir + "/flat/f0.parquet"), "FROM read_parquet(['" + dir + "/flat/f0.parquet', '" + dir + "/flat/f1.parquet'])"},
		{"glob", node.ReadParquet(flat), "FROM '" + flat + "'"},
		{"set of letters", node.ReadParquet(dir + "/flat/f[0-1].parquet"), "FROM '" + dir + "/flat/f[0-1].parquet'"},
		{"folder", node.ReadParquet(dir + "/flat"), "FROM '" + flat + "'"},
		{"folder and slash", node.ReadParquet(dir + "/flat/"), "FROM '" + flat + "'"},
		{"recursive", node.ReadParquet(dir+"/flat", pond.Recursive()), "FROM '" + dir + "/flat/**/*.parquet'"},
		{"columns in another order", node.ReadParquet(flat, pond.Columns("name", "id")), "SELECT name, id FROM '" + flat + "'"},
		{"columns in another case", node.ReadParquet(flat, pond.Columns("NAME")), "SELECT name AS NAME FROM '" + flat + "'"},
		{"union by name", node.ReadParquet(dir+"/mixed", pond.UnionByName()), "FROM read_parquet('" + dir + "/mixed/*.parquet', union_by_name = true)"},
		{"union by name, columns", node.ReadParquet(dir+"/mixed", pond.UnionByName(), pond.Columns("extra", "id")), "SELECT extra, id FROM read_parquet('" + dir + "/mixed/*.parquet', union_by_name = true)"},
		{"filename", node.ReadParquet(flat).WithFilename(), "FROM read_parquet('" + flat + "', filename = true)"},
		{"row number", node.ReadParquet(flat).WithRowNumber(), "FROM read_parquet('" + flat + "', file_row_number = true)"},
		{"both, of shares of rows", node.ReadParquet(flat).Repartition(7, pond.ByRows()).WithRowNumber().WithFilename(), "FROM read_parquet('" + flat + "', file_row_number = true, filename = true)"},
		{"empty file", node.ReadParquet(dir + "/mixed/0.parquet"), "FROM '" + dir + "/mixed/0.parquet'"},
		{"commas", node.ReadParquet(dir+"/one,two/f,1.parquet", pond.Paths(dir+"/one,two/f,[2-3].parquet")), "FROM '" + dir + "/one,two/*.parquet'"},
		{"paths alone", node.ReadParquet("", pond.Paths(dir+"/one,two")), "FROM '" + dir + "/one,two/*.parquet'"},
		{"odd names", node.ReadParquet(dir + "/odd").WithFilename(), "FROM read_parquet('" + dir + "/odd/*.parquet', filename = true)"},
	} {
		t.Run(c.name, func(t *testing.T) { d.same(t, c.df, c.want) })
	}
	t.Run("missing column", func(t *testing.T) {
		wantError(t, collectErr(t, node.ReadParquet(flat, pond.Columns("nix"))), pond.ErrQuery, `"nix"`, "id, k, name")
	})
	t.Run("columns differ", func(t *testing.T) { // as DuckDB's error says
		wantError(t, collectErr(t, node.ReadParquet(dir+"/mixed")), pond.ErrQuery, "name", "2.parquet")
	})
	for _, n := range []int{1, 2, 7} {
		t.Run(fmt.Sprintf("%d shares of rows", n), func(t *testing.T) {
			// In order, and none is more than a row larger than another.
			d.sameOrder(t, node.ReadParquet(flat).Repartition(n, pond.ByRows()), "FROM '"+flat+"' ORDER BY id")
			d.same(t, node.ReadParquet(flat).Repartition(n, pond.ByRows()).SQL("SELECT count(*) AS c FROM {0}"),
				fmt.Sprintf("SELECT ((15000 * (i + 1)) // %d - (15000 * i) // %d)::BIGINT AS c FROM range(%d) t(i)", n, n, n))
		})
		t.Run(fmt.Sprintf("%d shares of files", n), func(t *testing.T) {
			df := node.ReadParquet(flat).WithFilename().Repartition(n, pond.ByFiles())
			d.same(t, df, "FROM read_parquet('"+flat+"', filename = true)")
			d.same(t, df.SQL("SELECT DISTINCT filename FROM {0}"), "SELECT DISTINCT filename FROM read_parquet('"+flat+"', filename = true)")
			if got := collect(t, df.SQL("SELECT {partition} AS p, count(*) AS c FROM {0}")); len(got.rows) != n {
				t.Errorf("%d partitions, want %d", len(got.rows), n)
			}
		})
	}
}

func TestReadHive(t *testing.T) {
	d := newSingle(t)
	dir := t.TempDir()
	d.exec("COPY (SELECT i AS id, i %% 3 AS n, chr(97 + (i %% 4)::INT) AS letter, DATE '2001-01-01' + (i %% 2)::INT AS day FROM range(100) t(i)) TO '%s/h' (FORMAT parquet, PARTITION_BY (n, letter, day))", dir)
	d.exec("COPY (SELECT i AS id, CASE WHEN i %% 2 = 0 THEN 'even one' END AS word FROM range(10) t(i)) TO '%s/null' (FORMAT csv, PARTITION_BY (word))", dir)
	node := newPond(t, 1)[0]
	h := "FROM read_parquet('" + dir + "/h/**/*.parquet', hive_partitioning = true)"
	for _, c := range []struct {
		name string
		df   *pond.DataFrame
		want string
	}{
		{"all", node.ReadParquet(dir+"/h", pond.Recursive(), pond.HivePartitioning()), h},
		{"folders of themselves", node.ReadParquet(dir+"/h", pond.HivePartitioning()), h},
		{"glob", node.ReadParquet(dir+"/h/*/letter=b/**", pond.HivePartitioning()), h + " WHERE letter = 'b'"},
		{"columns", node.ReadParquet(dir+"/h", pond.HivePartitioning(), pond.Columns("day", "id")), "SELECT day, id " + h},
		{"filter", node.ReadParquet(dir+"/h", pond.HivePartitioning()).Filter("day = '2001-01-02' AND n < 2").Select("id"), "SELECT id " + h + " WHERE day = '2001-01-02' AND n < 2"},
		{"off", node.ReadParquet(dir+"/h", pond.Recursive()), "SELECT id " + h},
		{"shares of rows", node.ReadParquet(dir+"/h", pond.HivePartitioning()).Repartition(5, pond.ByRows()), h},
		{"csv", node.ReadCSV(dir+"/null", pond.HivePartitioning()), "FROM read_csv('" + dir + "/null/**/*.csv', hive_partitioning = true)"},
	} {
		t.Run(c.name, func(t *testing.T) { d.same(t, c.df, c.want) })
	}
}
