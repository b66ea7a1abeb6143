//go:build duckdb_arrow

package pond_test

import (
	"database/sql"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
)

// TestArgs: each value arrives as DuckDB writes it, and of the type it should be.
func TestArgs(t *testing.T) {
	node := pondtest.New(t, 1)[0]
	ctx := t.Context()
	huge, _ := new(big.Int).SetString("-170141183460469231731687303715884105728", 10)
	seven := 7
	values := []struct {
		v          any
		text, kind string
	}{
		{nil, "NULL", `"NULL"`},
		{true, "true", "BOOLEAN"},
		{-5, "-5", "INTEGER"},
		{&seven, "7", "INTEGER"},
		{int64(math.MinInt64), "-9223372036854775808", "BIGINT"},
		{uint64(math.MaxUint64), "18446744073709551615", "UBIGINT"},
		{huge, huge.String(), "HUGEINT"},
		{0.1, "0.1", "DOUBLE"},
		{5e-324, "5e-324", "DOUBLE"},
		{math.Inf(1), "inf", "DOUBLE"},
		{math.NaN(), "nan", "DOUBLE"},
		{float32(1.1), "1.1", "FLOAT"},
		{"it's \\ ; -- $1 ? 'é'", "it's \\ ; -- $1 ? 'é'", "VARCHAR"},
		{"", "", "VARCHAR"},
		{[]byte("a\x00'\xff"), `a\x00\x27\xFF`, "BLOB"},
		{[]byte{}, "", "BLOB"},
		{time.Date(2001, 2, 3, 4, 5, 6, 7000, time.FixedZone("", -3600)), "2001-02-03 05:05:06.000007", "TIMESTAMP"},
		{time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC), "2001-02-03 04:05:06.000000007", "TIMESTAMP_NS"},
		{time.Date(-43, 3, 15, 1, 2, 3, 0, time.UTC), "0044-03-15 (BC) 01:02:03", "TIMESTAMP"},
		{-90 * time.Second, "-00:01:30", "INTERVAL"},
		{[]string{"a,b", "c"}, "['a,b', c]", "VARCHAR[]"},
		{[]int64{1, 1 << 40}, "[1, 1099511627776]", "BIGINT[]"},
	}
	var query strings.Builder
	var args []any
	for i, v := range values {
		if i > 0 {
			query.WriteString(" UNION ALL ")
		}
		fmt.Fprintf(&query, "SELECT coalesce(CAST(x AS VARCHAR), 'NULL') AS v, typeof(x) AS t, %d AS i FROM (SELECT ? AS x)", i)
		args = append(args, v.v)
	}
	rows, err := node.SQL(ctx, query.String()+" ORDER BY i", pond.Args(args...))
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	for rec, err := range rows.All() {
		if err != nil {
			t.Fatal(err)
		}
		for r := range int(rec.NumRows()) {
			if text, kind := rec.Column(0).ValueStr(r), rec.Column(1).ValueStr(r); text != values[i].text || kind != values[i].kind {
				t.Errorf("%T %v: %s %s, want %s %s", values[i].v, values[i].v, text, kind, values[i].text, values[i].kind)
			}
			i++
		}
	}
	if i != len(values) {
		t.Errorf("%d rows", i)
	}
	rows, err = node.SQL(ctx, "SELECT CAST($Who || $who AS VARCHAR) AS w", pond.Args(sql.Named("who", "x")))
	if err != nil || rows.Len() != 1 {
		t.Errorf("by name: %v", err)
	}
	for _, bad := range []struct {
		query string
		args  []any
		says  string
	}{
		{"SELECT $1", nil, "no value for $1"},
		{"SELECT 1", []any{1}, "more values are given"},
		{"SELECT ?", []any{make(chan int)}, "chan int"},
		{"SELECT $a", []any{sql.Named("b", 1)}, "no value for $a"},
	} {
		_, err := node.SQL(ctx, bad.query, pond.Args(bad.args...))
		if !errors.Is(err, pond.ErrQuery) || !strings.Contains(err.Error(), bad.says) {
			t.Errorf("%s: %v", bad.query, err)
		}
	}
	job, err := node.Submit(ctx, "SELECT ? AS secret", pond.Args("hidden"))
	if err != nil {
		t.Fatal(err)
	}
	st, err := job.Wait(ctx)
	if err != nil || st.Statement != "SELECT ? AS secret" || st.User == "" {
		t.Errorf("status: %+v, %v", st, err)
	}
}
