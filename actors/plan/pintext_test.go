package plan

import (
	"maps"
	"testing"
)

// Tasks that are given different text files read the same columns: what the first file
// tells is fixed, what the user says goes before it, and a dialect is not carried over.
func TestPinText(t *testing.T) {
	two := []Column{{Name: "a", Type: "BIGINT"}, {Name: "it's", Type: "VARCHAR"}}
	found := map[string]string{"header": "true", "dateformat": "'%d.%m.%Y'"}
	for _, c := range []struct {
		name string
		scan Scan
		want map[string]string // options of CSV
		json int               // columns of the schema of JSON
	}{
		{"CSV", Scan{Format: CSV, Columns: two},
			map[string]string{"header": "true", "dateformat": "'%d.%m.%Y'", "types": "{'a': 'BIGINT', 'it''s': 'VARCHAR'}"}, 0},
		{"CSV whose header the user gives", Scan{Format: CSV, Columns: two, Options: ScanOptions{CSV: map[string]string{"header": "false", "dtypes": "['INT']"}}},
			map[string]string{"header": "false", "dateformat": "'%d.%m.%Y'", "types": "{'a': 'BIGINT', 'it''s': 'VARCHAR'}"}, 0},
		{"CSV whose columns the user gives", Scan{Format: CSV, Columns: two, Options: ScanOptions{CSV: map[string]string{"columns": "{'x': 'INT'}"}}},
			map[string]string{"header": "true", "dateformat": "'%d.%m.%Y'", "columns": "{'x': 'INT'}"}, 0},
		{"CSV by name", Scan{Format: CSV, Columns: two, Options: ScanOptions{UnionByName: true}}, nil, 0},
		{"CSV in folders of a column", Scan{Format: CSV, Like: "/d/A=1/x.csv", Columns: two, Options: ScanOptions{Hive: true}},
			map[string]string{"header": "true", "dateformat": "'%d.%m.%Y'", "types": "{'it''s': 'VARCHAR'}"}, 0},
		{"JSON", Scan{Format: JSON, Columns: two}, nil, 2},
		{"JSON in folders of a column", Scan{Format: JSON, Like: "/d/a=1/x.json", Columns: two, Options: ScanOptions{Hive: true}}, nil, 1},
		{"Parquet", Scan{Format: Parquet, Columns: two}, nil, 0},
	} {
		before := maps.Clone(c.scan.Options.CSV)
		given := c.scan.Options.CSV
		c.scan.PinText(found)
		if !maps.Equal(c.scan.Options.CSV, c.want) || len(c.scan.Options.Schema) != c.json {
			t.Errorf("%s: %v, schema %v", c.name, c.scan.Options.CSV, c.scan.Options.Schema)
		}
		if !maps.Equal(given, before) {
			t.Errorf("%s: the caller's options have become %v", c.name, given)
		}
	}
}
