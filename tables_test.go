//go:build duckdb_arrow

package pond_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
)

// TestNoTables: what is said of tables where there is none.
func TestNoTables(t *testing.T) {
	s := pondtest.New(t, 1)[0]
	run := func(sql string) (int64, error) {
		rows, err := s.SQL(t.Context(), sql)
		if err != nil {
			return 0, err
		}
		n := int64(0)
		for batch, err := range rows.All() {
			if err != nil {
				return n, err
			}
			n += batch.NumRows()
		}
		return n, nil
	}
	for sql, want := range map[string]string{
		"FROM sales":                 "Table with name sales does not exist",
		"DROP TABLE sales":           "Table with name sales does not exist!",
		"INSERT INTO sales SELECT 1": "Table with name sales does not exist!",
		"DROP TABLE \"a b\"":         "Table with name a b does not exist!",
	} {
		if _, err := run(sql); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if _, err := run("DROP TABLE sales"); !errors.Is(err, pond.ErrNotFound) {
		t.Errorf("dropped: %v", err)
	}
	for _, sql := range []string{"DROP TABLE IF EXISTS sales", "SHOW TABLES", "SHOW ALL TABLES"} {
		if n, err := run(sql); err != nil || n > 0 {
			t.Errorf("%s: %d rows, %v", sql, n, err)
		}
	}
}
