//go:build duckdb_arrow

package duck

import (
	"math/rand/v2"
	"strconv"
	"testing"
)

// TestMean compares means of sums with averages, to the last digit.
func TestMean(t *testing.T) {
	e, err := Open(t.Context(), Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for _, c := range []struct{ typ, sum, short string }{
		{"SMALLINT", "HUGEINT", "true"}, {"INTEGER", "HUGEINT", "false"}, {"BIGINT", "HUGEINT", "false"}, {"HUGEINT", "HUGEINT", "false"},
		{"DECIMAL(4,1)", "DECIMAL(38,1)", "true"}, {"DECIMAL(9,2)", "DECIMAL(38,2)", "false"}, {"DECIMAL(18,6)", "DECIMAL(38,6)", "false"}, {"DECIMAL(38,25)", "DECIMAL(38,25)", "false"},
	} {
		numbers := "hash(i + " + strconv.FormatUint(r.Uint64()>>1, 10) + ")"
		x := map[string]string{
			"SMALLINT": "(" + numbers + " % 65536)::INTEGER - 32768", "INTEGER": "(" + numbers + " % 4294967296)::BIGINT - 2147483648",
			"BIGINT": "(" + numbers + " // 2)::BIGINT - 4000000000000000000", "HUGEINT": numbers + "::HUGEINT * 1000000007 - 9000000000000000000000000000",
			"DECIMAL(4,1)": "(" + numbers + " % 9999)::INTEGER / 10 - 499", "DECIMAL(9,2)": "(" + numbers + " % 999999999)::BIGINT / 100", "DECIMAL(18,6)": "(" + numbers + " % 999999999999)::BIGINT",
			"DECIMAL(38,25)": "(" + numbers + " % 9999999999999)::BIGINT / -7",
		}[c.typ]
		query := "SELECT g, avg(x) FILTER (WHERE g <> 7) AS a, pond_mean((sum(x) FILTER (WHERE g <> 7))::" + c.sum + ", count(x), " + c.short + ") AS b FROM (SELECT i % 500 AS g, (" + x + ")::" + c.typ +
			" AS x FROM range(" + strconv.Itoa(2000+r.IntN(3000)) + ") t(i)) GROUP BY g"
		rows, err := query1(e.conn, "SELECT count(*)::VARCHAR, count(*) FILTER (WHERE a IS DISTINCT FROM b)::VARCHAR FROM ("+query+")")
		if err != nil {
			t.Fatal(err)
		}
		if rows[0][0] != "500" || rows[0][1] != "0" {
			t.Errorf("%s: of %s means %s differ", c.typ, rows[0][0], rows[0][1])
		}
	}
	if _, err := query1(e.conn, "SELECT pond_mean(1::TINYINT, 2, false)::VARCHAR"); err == nil {
		t.Error("a mean of no sum")
	}
}
