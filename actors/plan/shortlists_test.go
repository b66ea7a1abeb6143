package plan

import "testing"

func TestShortLists(t *testing.T) {
	for sql, want := range map[string]string{
		"FROM read_parquet(['a', 'b', 'c'])":                           "FROM read_parquet(['a', 'b', 'c'])",
		"FROM read_parquet(['a', 'b', 'it''s', 'd', 'e'], (h = true))": "FROM read_parquet(['a', 'b', 'it''s', … 2 more], (h = true))",
		"SELECT [1, 2, 3, 4, 5], ['a', 'b', 'c', 4, 'd'], 'x'":         "SELECT [1, 2, 3, 4, 5], ['a', 'b', 'c', 4, 'd'], 'x'",
		"SELECT ['a','b','c','d'] || ['a', 'b', 'c', 'd'], ['a'":       "SELECT ['a','b','c', … 1 more] || ['a', 'b', 'c', … 1 more], ['a'",
		"'open": "'open",
	} {
		if got := shortLists(sql); got != want {
			t.Errorf("%s: %s", sql, got)
		}
	}
}
