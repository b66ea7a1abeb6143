//go:build duckdb_arrow

package logical_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/pondmesh/pond/duck/logical"
)

// edges are the first, last and odd values of DuckDB's types.
var edges = []string{
	"-128::TINYINT", "127::TINYINT", "-32768::SMALLINT", "-2147483648::INTEGER", "2147483647", "-9223372036854775808::BIGINT", "9223372036854775807",
	"255::UTINYINT", "65535::USMALLINT", "4294967295::UINTEGER", "18446744073709551615::UBIGINT",
	"-170141183460469231731687303715884105728::HUGEINT", "170141183460469231731687303715884105727::HUGEINT", "-1::HUGEINT", "18446744073709551616::HUGEINT", "-18446744073709551617::HUGEINT",
	"340282366920938463463374607431768211455::UHUGEINT", "0::UHUGEINT",
	"9.9::DECIMAL(2,1)", "-0.1::DECIMAL(1,1)", "0.001::DECIMAL(4,3)", "-99999999999999999999999999999999999999::DECIMAL(38,0)", "0.00000000000000000000000000000000000001::DECIMAL(38,38)", "-1.5::DECIMAL(38,10)",
	"3.4028235e38::FLOAT", "1e-45::FLOAT", "-0.0::FLOAT", "1.7976931348623157e308::DOUBLE", "4.9e-324::DOUBLE", "0.1::DOUBLE + 0.2", "'nan'::DOUBLE", "'-inf'::FLOAT",
	"'5877642-06-25 (BC)'::DATE", "'5881580-07-10'::DATE", "'0001-12-31 (BC)'::DATE", "'-infinity'::DATE", "'1969-12-31'::DATE",
	"'290309-12-22 (BC) 00:00:00'::TIMESTAMP", "'294247-01-10 04:00:54.775806'::TIMESTAMP", "'1969-12-31 23:59:59.999999'::TIMESTAMP", "'0001-01-01 (BC) 00:00:00.000001'::TIMESTAMP", "'infinity'::TIMESTAMP",
	"'1677-09-22 00:00:00'::TIMESTAMP_NS", "'2262-04-11 23:47:16.854775806'::TIMESTAMP_NS", "'1969-12-31 23:59:59.999'::TIMESTAMP_MS", "'1969-12-31 23:59:59'::TIMESTAMP_S", "'-infinity'::TIMESTAMP_NS",
	"'2024-02-29 12:00:00.5+05:45'::TIMESTAMPTZ", "'0044-03-15 (BC) 10:00:00+00'::TIMESTAMPTZ", "'24:00:00'::TIME", "'00:00:00.000001'::TIME", "'12:34:56.123456789'::TIME_NS",
	"'00:00:00+15:59:59'::TIMETZ", "'24:00:00-15:59:59'::TIMETZ", "'12:34:56.789-03:30'::TIMETZ", "'23:59:59.999999+00:00:01'::TIMETZ",
	"INTERVAL '-13 months 40 days -1 microsecond'", "INTERVAL '300 years'", "INTERVAL '9223372036854775807 microseconds'", "INTERVAL 0 DAY",
	"'00000000-0000-0000-0000-000000000000'::UUID", "'ffffffff-ffff-ffff-ffff-ffffffffffff'::UUID", "'80000000-0000-0000-0000-000000000000'::UUID", "'7fffffff-ffff-ffff-ffff-ffffffffffff'::UUID",
	"''", "'''' || '\"' || chr(92)", "'a' || chr(0) || 'b'", "chr(10) || chr(13) || chr(9) || chr(127)", "'ünïcødé 🦆'", "'{0} $1 ? %s -- /* */'",
	`'\x00\xFF\x27\x5C a'::BLOB`, "''::BLOB", "'0'::BIT", "'1'::BIT", "'000000001'::BIT", "'1111111100000001'::BIT", "true", "false",
	"NULL::INTEGER", "NULL::DECIMAL(9,3)", "NULL::STRUCT(a INTEGER)", "NULL::VARCHAR[]", "'x'::ENUM('', 'x', 'it''s')", "''::ENUM('', 'x')", `'{"a": [1, null]}'::JSON`,
	"[]::INTEGER[]", "[NULL]::INTEGER[]", "[[1], [], NULL]", "[1.5, 2.25]::DECIMAL(5,3)[]", "[1, 2]::INTEGER[2]", "[[NULL, 2], [3, 4]]::INTEGER[2][2]", "['a', 'it''s']",
	"{'a': 1, 'b': NULL}", `{'A b': [1], 'c"d': {'e': 'f'}}`, "row(1, 'x')", "MAP {1: 'a', 2: NULL}", "MAP {}", "MAP {'k': [1, 2], 'it''s': []}", "MAP {{'a': 1}: DATE '2020-01-01'}",
	"union_value(n := 7)", "union_value(s := 'x')::UNION(n INTEGER, s VARCHAR)", "NULL::UNION(n INTEGER, s VARCHAR)", "[{'d': DATE '2020-01-01', 't': TIME '01:02:03'}]",
}

// TestConstants: the values at the edges of each type, alone, beside a column and inside
// others, come through a plan as they are.
func TestConstants(t *testing.T) {
	p := newPair(t, "CREATE TABLE two AS SELECT i FROM range(2) r(i)")
	for _, x := range edges {
		for _, sql := range []string{
			"SELECT " + x + " AS x",
			"SELECT i, CASE WHEN i = 0 THEN " + x + " END AS x FROM two",
			"SELECT i, [" + x + "] AS l, {'f': " + x + "} AS s FROM two",
			"SELECT i FROM two WHERE (CASE WHEN i = 0 THEN " + x + " END) IS NOT DISTINCT FROM " + x,
		} {
			text, err := p.check(t.Context(), sql)
			var refused *logical.PlanError
			if strings.HasSuffix(x, "::BIT") { // bytes that JSON cannot hold: the query runs whole
				if !errors.As(err, &refused) || !strings.Contains(err.Error(), "a constant that JSON cannot hold") {
					t.Errorf("%s: %v", sql, err)
				}
			} else if err != nil {
				t.Errorf("%s\n%s\n%v", sql, text, err)
			}
		}
	}
}

// TestDecimals: what is worked out of decimals has DuckDB's very type and digits, of
// whatever widths, beside whole numbers and one after another.
func TestDecimals(t *testing.T) {
	p := newPair(t, "CREATE TABLE two AS SELECT i::INTEGER AS i FROM range(2) r(i)")
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	operand := func() string {
		switch r.IntN(6) {
		case 0:
			return []string{"i", "i::BIGINT", "i::TINYINT", "7", "-3"}[r.IntN(5)]
		case 1:
			return []string{"0.5", "12.25", "-1.005", "0.0"}[r.IntN(4)]
		}
		w := 1 + r.IntN(38)
		scale := r.IntN(w) // one digit before the point, for i
		return fmt.Sprintf("i::DECIMAL(%d,%d)", w, scale)
	}
	for range 60 {
		var items []string
		for range 4 {
			op := func() string { return []string{" + ", " - ", " * "}[r.IntN(3)] }
			x := operand() + op() + operand()
			if r.IntN(2) == 0 {
				x = "(" + x + ")" + op() + operand()
			}
			items = append(items, x)
		}
		sql := "SELECT " + strings.Join(items, ", ") + " FROM two"
		text, err := p.check(t.Context(), sql)
		if err != nil && !strings.Contains(err.Error(), "Needed scale") { // a scale beyond 38
			t.Errorf("seed %d: %s\n%s\n%v", seed, sql, text, err)
		}
	}
}
