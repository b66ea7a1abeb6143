package stmt

import (
	"slices"
	"testing"
)

func TestPivots(t *testing.T) {
	for _, c := range []struct {
		sql    string
		values []string // queries
		listed string   // every item with 'a' and 'it''s'
	}{
		{"SELECT pivot FROM t", nil, ""},
		{"SELECT * FROM t PIVOT (sum(v) FOR k IN (1, 2))", nil, ""},
		{"SELECT * FROM (SELECT 1) PIVOT (sum(v) FOR k IN (1, 2))", nil, ""},
		{"PIVOT t ON k IN (1, 2) USING sum(v)", nil, ""},
		{"PIVOT t ON k USING sum(v)", []string{"SELECT DISTINCT CAST((k) AS VARCHAR) AS name FROM t WHERE (k) IS NOT NULL ORDER BY name"},
			"PIVOT t ON (k) IN ('a', 'it''s') USING sum(v)"},
		{"PIVOT t ON k", []string{"SELECT DISTINCT CAST((k) AS VARCHAR) AS name FROM t WHERE (k) IS NOT NULL ORDER BY name"}, "PIVOT t ON (k) IN ('a', 'it''s')"},
		{"SELECT * FROM (PIVOT 'f.csv' ON k % 2, d IN (3), left(s, 1) GROUP BY g) ORDER BY 1",
			[]string{"SELECT DISTINCT CAST((k % 2) AS VARCHAR) AS name FROM 'f.csv' WHERE (k % 2) IS NOT NULL ORDER BY name",
				"SELECT DISTINCT CAST((left(s, 1)) AS VARCHAR) AS name FROM 'f.csv' WHERE (left(s, 1)) IS NOT NULL ORDER BY name"},
			"SELECT * FROM (PIVOT 'f.csv' ON (k % 2) IN ('a', 'it''s'), d IN (3), (left(s, 1)) IN ('a', 'it''s') GROUP BY g) ORDER BY 1"},
		{"WITH t AS (SELECT 1 AS k) PIVOT t ON k", []string{"WITH t AS (SELECT 1 AS k) SELECT DISTINCT CAST((k) AS VARCHAR) AS name FROM t WHERE (k) IS NOT NULL ORDER BY name"},
			"WITH t AS (SELECT 1 AS k) PIVOT t ON (k) IN ('a', 'it''s')"},
		{"PIVOT (PIVOT t ON a) ON b", []string{"SELECT DISTINCT CAST((a) AS VARCHAR) AS name FROM t WHERE (a) IS NOT NULL ORDER BY name",
			"SELECT DISTINCT CAST((b) AS VARCHAR) AS name FROM (PIVOT t ON a) WHERE (b) IS NOT NULL ORDER BY name"},
			"PIVOT (PIVOT t ON (a) IN ('a', 'it''s')) ON (b) IN ('a', 'it''s')"},
		{"WITH t AS (SELECT 1 AS k) SELECT * FROM t PIVOT (sum(k) FOR k IN (1))", nil, ""},
		{"PIVOT t ON", nil, ""},
		{"PIVOT", nil, ""},
		{"PIVOT (((", nil, ""},
	} {
		items := Pivots(c.sql)
		var got []string
		values := make([][]string, len(items))
		for i, p := range items {
			got, values[i] = append(got, p.Values), []string{"a", "it's"}
		}
		if !slices.Equal(got, c.values) {
			t.Errorf("%s:\n%q\nwant\n%q", c.sql, got, c.values)
		}
		if want := c.listed; want != "" && Listed(c.sql, items, values) != want {
			t.Errorf("%s:\n%s\nwant\n%s", c.sql, Listed(c.sql, items, values), want)
		}
	}
}
