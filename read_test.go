//go:build duckdb_arrow

package pond_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
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
	node := pondtest.New(t, 3)[2]
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
	node := pondtest.New(t, 1)[0]
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

func TestReadCSV(t *testing.T) {
	d := newSingle(t)
	dir := t.TempDir()
	plain := writeFile(t, dir, "plain.csv", "id,name,at,x\n1,ann,2001-02-03 04:05:06,1.5\n2,\"b,ob\",,\n3,,2001-02-03 04:05:07,3\n")
	bare := writeFile(t, dir, "bare.csv", "1,2.5,a\n2,3.5,b\n")
	pipes := writeFile(t, dir, "pipes.txt", "# made by hand\nid|note\n1|'a|b'\n2|NIL\n")
	// Each of these would have another type on its own; together DuckDB widens.
	writeFile(t, dir, "many/1.csv", "k,v\n1,10\n2,20\n")
	writeFile(t, dir, "many/2.csv", "k,v\n3,0.5\n")
	writeFile(t, dir, "many/3.csv", "k,v\n4,many\n")
	writeFile(t, dir, "named/1.csv", "k,v\n1,10\n")
	writeFile(t, dir, "named/2.csv", "w,k\n2001-01-01,2\n")
	writeFile(t, dir, "empty/1.csv", "k,v\n")
	writeFile(t, dir, "bad/1.csv", "k,v\n1,2\n3,x\n")
	writeFile(t, dir, "crlf/1.csv", "k,v\r\n1,a\r\n2,b\r\n")
	writeFile(t, dir, "zeros/1.csv", "k\n01\n")
	writeFile(t, dir, "zeros/2.csv", "k\nx\n")
	writeFile(t, dir, "quotes/1.csv", "k,v\n1,a\n")
	writeFile(t, dir, "quotes/2.csv", "k,v\n2,\"b,\"\"c\"\"\"\n")
	writeFile(t, dir, "dates/1.csv", "d\n01/13/2001\n") // month first
	writeFile(t, dir, "dates/2.csv", "d\n01/02/2002\n") // alone, it would be read as day first
	writeFile(t, dir, "hash/1.csv", "# made by hand\nk,v\n1,2\n")
	writeFile(t, dir, "hash/2.csv", "# made by hand\nk,v\n3,4\n")
	writeFile(t, dir, "none/1.csv", "k,v\n1,2\n")
	writeFile(t, dir, "none/2.csv", "")
	d.exec("COPY (SELECT i AS id, 'row ' || i AS name, i / 7 AS x FROM range(20000) t(i)) TO '%s/big.csv.gz'", dir)
	d.exec("COPY (SELECT i AS id, 'row ' || i AS name, i / 7 AS x FROM range(50000) t(i)) TO '%s/big.csv'", dir)
	node := pondtest.New(t, 3)[0]
	for _, c := range []struct {
		name string
		df   *pond.DataFrame
		want string
	}{
		{"header and types inferred", node.ReadCSV(plain), "FROM '" + plain + "'"},
		{"no header", node.ReadCSV(bare), "FROM '" + bare + "'"},
		{"columns", node.ReadCSV(plain, pond.Columns("x", "id")), "SELECT x, id FROM '" + plain + "'"},
		{"schema", node.ReadCSV(bare, pond.Schema("a", "VARCHAR", "b", "DECIMAL(9,3)", "c", "VARCHAR")),
			"FROM read_csv('" + bare + "', columns = {'a': 'VARCHAR', 'b': 'DECIMAL(9,3)', 'c': 'VARCHAR'})"},
		{"options", node.ReadCSV(pipes, pond.CSVOption("delim", "'|'"), pond.CSVOption("quote", "''''"), pond.CSVOption("nullstr", "'NIL'"), pond.CSVOption("comment", "'#'")),
			"FROM read_csv('" + pipes + "', delim = '|', quote = '''', nullstr = 'NIL', comment = '#')"},
		{"all as text", node.ReadCSV(plain, pond.CSVOption("all_varchar", "true")), "FROM read_csv('" + plain + "', all_varchar = true)"},
		{"skipped lines", node.ReadCSV(plain, pond.CSVOption("skip", "2"), pond.CSVOption("header", "false")), "FROM read_csv('" + plain + "', skip = 2, header = false)"},
		{"types of some", node.ReadCSV(plain, pond.CSVOption("types", "{'id': 'HUGEINT'}")), "FROM read_csv('" + plain + "', types = {'id': 'HUGEINT'})"},
		{"names", node.ReadCSV(bare, pond.CSVOption("names", "['a', 'b', 'c']")), "FROM read_csv('" + bare + "', names = ['a', 'b', 'c'])"},
		{"date format", node.ReadCSV(writeFile(t, dir, "dates.csv", "d\n31/12/2001\n01/02/2002\n"), pond.CSVOption("dateformat", "'%d/%m/%Y'")), "FROM read_csv('" + dir + "/dates.csv', dateformat = '%d/%m/%Y')"},
		{"types differ by file", node.ReadCSV(dir + "/many"), "FROM '" + dir + "/many/*.csv'"},
		{"types differ by file, filename", node.ReadCSV(dir + "/many").WithFilename(), "FROM read_csv('" + dir + "/many/*.csv', filename = true)"},
		{"types differ by file, apart", node.ReadCSV(dir+"/many").Repartition(3, pond.ByFiles()), "FROM '" + dir + "/many/*.csv'"},
		{"leading zeros", node.ReadCSV(dir+"/zeros").Repartition(2, pond.ByFiles()), "FROM '" + dir + "/zeros/*.csv'"},
		{"leading zeros, by name", node.ReadCSV(dir+"/zeros", pond.UnionByName()).Repartition(2, pond.ByFiles()), "FROM read_csv('" + dir + "/zeros/*.csv', union_by_name = true)"},
		{"quotes differ by file", node.ReadCSV(dir+"/quotes").Repartition(2, pond.ByFiles()), "FROM '" + dir + "/quotes/*.csv'"},
		{"dates", node.ReadCSV(dir+"/dates").Repartition(2, pond.ByFiles()), "FROM '" + dir + "/dates/*.csv'"},
		{"comments", node.ReadCSV(dir+"/hash").Repartition(2, pond.ByFiles()), "FROM '" + dir + "/hash/*.csv'"},
		{"an empty file", node.ReadCSV(dir + "/none"), "FROM '" + dir + "/none/*.csv'"},
		{"union by name", node.ReadCSV(dir+"/named", pond.UnionByName()), "FROM read_csv('" + dir + "/named/*.csv', union_by_name = true)"},
		{"header only", node.ReadCSV(dir + "/empty"), "FROM '" + dir + "/empty/*.csv'"},
		{"carriage returns", node.ReadCSV(dir + "/crlf"), "FROM '" + dir + "/crlf/*.csv'"},
		{"bad lines ignored", node.ReadCSV(dir+"/bad", pond.Schema("k", "INTEGER", "v", "INTEGER"), pond.CSVOption("ignore_errors", "true"), pond.CSVOption("header", "true")),
			"FROM read_csv('" + dir + "/bad/*.csv', columns = {'k': 'INTEGER', 'v': 'INTEGER'}, header = true, ignore_errors = true)"},
		{"compressed", node.ReadCSV(dir + "/big.csv.gz"), "FROM '" + dir + "/big.csv.gz'"},
		{"compressed, hashed", node.ReadCSV(dir+"/big.csv.gz").Repartition(3, pond.ByHash("id")), "FROM '" + dir + "/big.csv.gz'"},
		{"shares of rows", node.ReadCSV(dir+"/big.csv").Repartition(3, pond.ByRows()).SQL("SELECT count(*) AS c FROM {0}"),
			"SELECT unnest([16666, 16667, 16667])::BIGINT AS c"},
	} {
		t.Run(c.name, func(t *testing.T) { d.same(t, c.df, c.want) })
	}
	t.Run("order of the file", func(t *testing.T) { d.sameOrder(t, node.ReadCSV(dir+"/big.csv"), "FROM '"+dir+"/big.csv'") })
	t.Run("value of another type", func(t *testing.T) {
		err := collectErr(t, node.ReadCSV(dir+"/bad", pond.Schema("k", "INTEGER", "v", "INTEGER"), pond.CSVOption("header", "true")))
		wantError(t, err, pond.ErrQuery, "Could not convert string \"x\" to 'INTEGER'", "1.csv")
	})
	t.Run("no such option", func(t *testing.T) {
		wantError(t, collectErr(t, node.ReadCSV(plain, pond.CSVOption("delimitr", "','"))), pond.ErrQuery, "delimitr")
	})
	t.Run("option that is SQL", func(t *testing.T) {
		wantError(t, collectErr(t, node.ReadCSV(plain, pond.CSVOption("delim", "','), read_csv('x'"))), pond.ErrQuery, "delim")
	})
	t.Run("half a schema", func(t *testing.T) {
		wantError(t, collectErr(t, node.ReadCSV(plain, pond.Schema("id"))), pond.ErrQuery, "name")
	})
}

func TestReadJSON(t *testing.T) {
	d := newSingle(t)
	dir := t.TempDir()
	lines := writeFile(t, dir, "lines.json", `{"id":1,"tags":["a","b"],"at":{"x":1.5}}`+"\n"+`{"id":2,"tags":[],"at":null,"more":true}`+"\n")
	arr := writeFile(t, dir, "array.json", `[{"id":1,"s":"ü"},`+"\n"+`{"id":2,"s":null}]`)
	writeFile(t, dir, "many/1.json", `{"k":1}`+"\n")
	writeFile(t, dir, "many/2.json", `{"k":"two","w":[1]}`+"\n")
	writeFile(t, dir, "bad.json", `{"k":1}`+"\n"+`{"k":`+"\n")
	node := pondtest.New(t, 2)[0]
	for _, c := range []struct {
		name string
		df   *pond.DataFrame
		want string
	}{
		{"an object a line", node.ReadJSON(lines), "FROM '" + lines + "'"},
		{"an array", node.ReadJSON(arr), "FROM '" + arr + "'"},
		{"columns", node.ReadJSON(lines, pond.Columns("at", "id")), "SELECT \"at\", id FROM '" + lines + "'"},
		{"schema", node.ReadJSON(lines, pond.Schema("id", "VARCHAR", "tags", "VARCHAR[]", "more", "BOOLEAN")),
			"FROM read_json('" + lines + "', columns = {'id': 'VARCHAR', 'tags': 'VARCHAR[]', 'more': 'BOOLEAN'})"},
		{"several of them", node.ReadJSON(dir+"/many", pond.UnionByName()), "FROM read_json('" + dir + "/many/*.json', union_by_name = true)"},
		{"apart", node.ReadJSON(dir+"/many").Repartition(2, pond.ByFiles()), "FROM read_json('" + dir + "/many/*.json')"},
		{"flat map", node.ReadJSON(lines).FlatMap("id, unnest(tags) AS tag"), "SELECT id, unnest(tags) AS tag FROM '" + lines + "'"},
	} {
		t.Run(c.name, func(t *testing.T) { d.same(t, c.df, c.want) })
	}
	t.Run("malformed", func(t *testing.T) {
		wantError(t, collectErr(t, node.ReadJSON(dir+"/bad.json")), pond.ErrQuery, "Malformed JSON", "bad.json")
	})
}

// arrowFiles writes two batches as a file and as a stream.
func arrowFiles(t *testing.T, dir string) (schema *arrow.Schema, recs []arrow.RecordBatch, file, stream string) {
	t.Helper()
	schema = arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64}, {Name: "s", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "l", Type: arrow.ListOf(arrow.PrimitiveTypes.Int32), Nullable: true},
		{Name: "d", Type: &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}, Nullable: true},
	}, nil)
	file, stream = filepath.Join(dir, "file.arrow"), filepath.Join(dir, "stream.arrows")
	for from := range 2 {
		js := strings.Repeat(`{"id":1,"s":"a","l":[1,null],"d":"x"},{"id":2,"s":null,"l":null,"d":"y"},`, 2+from)
		rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader("["+strings.TrimSuffix(js, ",")+"]"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(rec.Release)
		recs = append(recs, rec)
	}
	write := func(path string, open func(f *os.File) (interface {
		Write(arrow.RecordBatch) error
		Close() error
	}, error)) {
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		w, err := open(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range recs {
			if err := w.Write(rec); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	type writer = interface {
		Write(arrow.RecordBatch) error
		Close() error
	}
	write(file, func(f *os.File) (writer, error) { return ipc.NewFileWriter(f, ipc.WithSchema(schema)) })
	write(stream, func(f *os.File) (writer, error) { return ipc.NewWriter(f, ipc.WithSchema(schema)), nil })
	return schema, recs, file, stream
}

func TestReadArrow(t *testing.T) {
	d := newSingle(t)
	dir := t.TempDir()
	schema, recs, file, stream := arrowFiles(t, dir)
	node := pondtest.New(t, 2)[1]
	// The dictionary becomes text in DuckDB, or an ENUM of it: compare as text.
	text := "id, s, l, d::VARCHAR AS d"
	want := "FROM (VALUES (1::BIGINT, 'a', [1, NULL]::INTEGER[], 'x'), (2, NULL, NULL, 'y')) v(id, s, l, d), range(5)"
	for _, c := range []struct {
		name string
		df   *pond.DataFrame
		want string
	}{
		{"file", node.ReadArrow(file).Select(text), "SELECT v.* " + want},
		{"stream", node.ReadArrow(stream).Select(text), "SELECT v.* " + want},
		{"both", node.ReadArrow(file + "," + stream).Select(text), "SELECT v.* " + want + ", range(2)"},
		{"both, apart", node.ReadArrow(file+","+stream).Repartition(2, pond.ByFiles()).Select(text), "SELECT v.* " + want + ", range(2)"},
		{"more partitions than files", node.ReadArrow(file).Repartition(3, pond.ByFiles()).Select(text), "SELECT v.* " + want},
		{"columns", node.ReadArrow(file, pond.Columns("l", "id")), "SELECT l, id " + want},
		{"records", node.FromRecords(schema, recs...).Select(text), "SELECT v.* " + want},
		{"records, hashed", node.FromRecords(schema, recs...).Repartition(3, pond.ByHash("s", "d")).Select(text), "SELECT v.* " + want},
		{"records, shares of rows", node.FromRecords(schema, recs...).Repartition(4, pond.ByRows()).SQL("SELECT count(*) AS c FROM {0}"), "SELECT unnest([3, 3, 2, 2])::BIGINT AS c"},
		{"a cut of a record", node.FromRecords(schema, recs[0].NewSlice(1, 2)).Select("id", "l"), "SELECT 2::BIGINT AS id, NULL::INTEGER[] AS l"},
		{"no records", node.FromRecords(schema).Select("id", "l"), "SELECT 2::BIGINT AS id, NULL::INTEGER[] AS l WHERE false"},
	} {
		t.Run(c.name, func(t *testing.T) { d.same(t, c.df, c.want) })
	}
	t.Run("not Arrow", func(t *testing.T) {
		path := writeFile(t, dir, "not.arrow", strings.Repeat("no ", 100))
		wantError(t, collectErr(t, node.ReadArrow(path)), pond.ErrQuery, "not an Arrow IPC file or stream", "not.arrow")
	})
	t.Run("cut short", func(t *testing.T) {
		b, err := os.ReadFile(stream)
		if err != nil {
			t.Fatal(err)
		}
		path := writeFile(t, dir, "short.arrows", string(b[:len(b)-200]))
		wantError(t, collectErr(t, node.ReadArrow(path)), pond.ErrQuery, "short.arrows")
	})
	t.Run("another schema", func(t *testing.T) {
		other := filepath.Join(dir, "other")
		if err := node.FromRows([]string{"id", "BIGINT"}, []any{1}).WriteArrow(testContext(t), other); err != nil {
			t.Fatal(err)
		}
		wantError(t, collectErr(t, node.ReadArrow(other+","+file)), pond.ErrQuery, "schema")
	})
	t.Run("missing column", func(t *testing.T) {
		wantError(t, collectErr(t, node.ReadArrow(file, pond.Columns("nix"))), pond.ErrQuery, "nix")
	})
}

func TestFromRows(t *testing.T) {
	d := newSingle(t)
	node := pondtest.New(t, 1)[0]
	cols := []string{"i", "INTEGER", "h", "HUGEINT", "d", "DECIMAL(20,4)", "s", "VARCHAR", "b", "BOOLEAN", "at", "TIMESTAMPTZ", "l", "DOUBLE[]", "st", "STRUCT(a INTEGER, b VARCHAR)", "x", "BLOB"}
	d.same(t, node.FromRows(cols,
		[]any{1, 2, "3.25", "it's {0}", true, "2001-02-03T04:05:06Z", []float64{1, 2.5}, map[string]any{"a": 1, "b": "x"}, `\xAA`},
		[]any{nil, nil, nil, nil, nil, nil, nil, nil, nil},
		[]any{-2147483648, "-170141183460469231731687303715884105728", 12345, "", false, "1900-01-01", []float64{}, map[string]any{"a": nil, "b": nil}, ""}),
		`SELECT 1::INTEGER AS i, 2::HUGEINT AS h, 3.25::DECIMAL(20,4) AS d, 'it''s {0}' AS s, true AS b, '2001-02-03T04:05:06Z'::TIMESTAMPTZ AS at, [1, 2.5]::DOUBLE[] AS l, {'a': 1, 'b': 'x'} AS st, '\xAA'::BLOB AS x
		UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
		UNION ALL SELECT (-2147483648)::INTEGER, -170141183460469231731687303715884105728, 12345, '', false, '1900-01-01'::TIMESTAMPTZ, [], {'a': NULL, 'b': NULL}, ''`)
	d.same(t, node.FromRows([]string{"i", "INTEGER"}), "SELECT 1 AS i WHERE false")
	d.same(t, node.FromRows([]string{"i", "INTEGER"}).Repartition(5, pond.ByHash("i")).SQL("SELECT count(*) AS c FROM {0}"), "SELECT 0::BIGINT AS c FROM range(5)")
	for _, c := range []struct {
		name string
		df   *pond.DataFrame
		text string
	}{
		{"ragged", node.FromRows([]string{"i", "INTEGER", "j", "INTEGER"}, []any{1}), "1 value for 2 columns"},
		{"half a schema", node.FromRows([]string{"i"}, []any{1}), "name"},
		{"no columns", node.FromRows(nil), "column"},
		{"no value", node.FromRows([]string{"i", "INTEGER"}, []any{make(chan int)}), "chan int"},
		{"another type", node.FromRows([]string{"i", "INTEGER"}, []any{"x"}), "Could not convert string 'x' to INT32"},
		{"no such type", node.FromRows([]string{"i", "INTEGR"}, []any{1}), "INTEGR"},
		{"no records", node.FromRecords(nil), "schema"},
	} {
		t.Run(c.name, func(t *testing.T) { wantError(t, collectErr(t, c.df), pond.ErrQuery, c.text) })
	}
}
