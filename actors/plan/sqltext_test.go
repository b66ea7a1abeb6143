package plan

import (
	"testing"

	"github.com/pondmesh/pond/duck/lexer"
)

func TestScanSQL(t *testing.T) {
	whole := func(path string) Piece { return Piece{Path: path, Whole: true, Rows: 10} }
	run := func(path string, start, rows int64) Piece { return Piece{Path: path, Start: start, Rows: rows} }
	cols := []Column{{"a", "INTEGER"}, {"B c", "VARCHAR"}}
	for _, tc := range []struct {
		about  string
		scan   Scan
		pieces []Piece
		want   string
	}{
		{"whole files", Scan{Format: Parquet}, []Piece{whole("a"), whole("it's")},
			"SELECT * FROM read_parquet(['a', 'it''s'], hive_partitioning = false)"},
		{"globs are names", Scan{Format: Parquet}, []Piece{whole("a*[1]?")},
			"SELECT * FROM read_parquet(['a[*][[]1][?]'], hive_partitioning = false)"},
		{"runs of rows keep their place", Scan{Format: Parquet}, []Piece{run("a", 5, 10), whole("b"), run("c", 0, 3)},
			"SELECT * EXCLUDE (file_row_number) FROM read_parquet(['a'], file_row_number = true, hive_partitioning = false) WHERE file_row_number BETWEEN 5 AND 14" +
				" UNION ALL SELECT * FROM read_parquet(['b'], hive_partitioning = false)" +
				" UNION ALL SELECT * EXCLUDE (file_row_number) FROM read_parquet(['c'], file_row_number = true, hive_partitioning = false) WHERE file_row_number <= 2"},
		{"a run to the end of its file", Scan{Format: Parquet}, []Piece{{Path: "a", Start: 5, Rows: 5, ToEnd: true}},
			"SELECT * EXCLUDE (file_row_number) FROM read_parquet(['a'], file_row_number = true, hive_partitioning = false) WHERE file_row_number >= 5"},
		{"row numbers asked for", Scan{Format: Parquet, Options: ScanOptions{RowNumber: true}}, []Piece{run("a", 5, 10)},
			"SELECT * FROM read_parquet(['a'], file_row_number = true, hive_partitioning = false) WHERE file_row_number BETWEEN 5 AND 14"},
		{"pinned columns", Scan{Format: Parquet, Columns: cols, Options: ScanOptions{Filename: true, RowNumber: true}}, []Piece{whole("a")},
			`SELECT CAST("a" AS INTEGER) AS "a", CAST("B c" AS VARCHAR) AS "B c", CAST("file_row_number" AS BIGINT) AS "file_row_number", CAST("filename" AS VARCHAR) AS "filename" FROM read_parquet(['a'], file_row_number = true, filename = true, hive_partitioning = false)`},
		{"some columns", Scan{Format: Parquet, Columns: cols, Options: ScanOptions{Columns: []string{"b C"}}}, []Piece{whole("a")},
			`SELECT CAST("b C" AS VARCHAR) AS "b C" FROM read_parquet(['a'], hive_partitioning = false)`},
		{"some columns, types unknown", Scan{Format: Parquet, Options: ScanOptions{Columns: []string{"x"}}}, []Piece{run("a", 1, 2)},
			`SELECT "x" FROM read_parquet(['a'], file_row_number = true, hive_partitioning = false) WHERE file_row_number BETWEEN 1 AND 2`},
		{"by name: files may lack columns", Scan{Format: Parquet, Columns: cols[:1], Options: ScanOptions{UnionByName: true, Hive: true}}, []Piece{whole("a")},
			`SELECT CAST("a" AS INTEGER) AS "a" FROM (SELECT NULL::INTEGER AS "a" WHERE false UNION ALL BY NAME SELECT * FROM read_parquet(['a'], union_by_name = true, hive_partitioning = true, hive_types_autocast = false))`},
		{"no piece, columns known", Scan{Format: CSV, Columns: cols, Like: "l"}, nil,
			`SELECT NULL::INTEGER AS "a", NULL::VARCHAR AS "B c" WHERE false`},
		{"no piece, columns unknown", Scan{Format: JSON, Like: "l"}, nil,
			"SELECT * FROM read_json(['l'], hive_partitioning = false) WHERE false"},
		{"CSV", Scan{Format: CSV, Options: ScanOptions{Schema: cols, CSV: map[string]string{"header": "true", "delim": "'|'"}}}, []Piece{whole("a")},
			`SELECT * FROM read_csv(['a'], hive_partitioning = false, columns = {'a': 'INTEGER', 'B c': 'VARCHAR'}, delim = '|', header = true)`},
	} {
		if got := tc.scan.SQL(tc.pieces); got != tc.want {
			t.Errorf("%s:\n got  %s\n want %s", tc.about, got, tc.want)
		}
	}
}

func TestSortKey(t *testing.T) {
	e := Exchange{Keys: []string{"a", "lower(b)"}, Order: []string{"DESC NULLS LAST", "ASC NULLS FIRST"}}
	if got, want := e.SortKey(), "create_sort_key(a, 'DESC NULLS LAST', lower(b), 'ASC NULLS FIRST')"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestQuote(t *testing.T) {
	if got := lexer.QuoteName(`a"b`); got != `"a""b"` {
		t.Error(got)
	}
	if got := lexer.QuoteText(`a'b\`); got != `'a''b\'` {
		t.Error(got)
	}
}
