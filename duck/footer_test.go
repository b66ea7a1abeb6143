//go:build duckdb_arrow

package duck

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestFooters(t *testing.T) {
	dir := t.TempDir()
	e := start(t, Config{})
	ctx := context.Background()
	one, two, none := dir+"/one.parquet", dir+"/it's two.parquet", dir+"/none.parquet"
	exec(t, e, "COPY (SELECT range AS i, {'a': range, 'b': [range]} AS s, CASE WHEN range > 2999 THEN 'it''s ' || range END AS \"a, b\", DATE '2024-01-01' + (range // 1000)::INT AS d, 1.5::DOUBLE AS f FROM range(5000)) TO '"+one+"' (ROW_GROUP_SIZE 2048)")
	exec(t, e, "COPY (SELECT 1 AS x) TO '"+strings.ReplaceAll(two, "'", "''")+"'; COPY (SELECT 1 AS x WHERE false) TO '"+none+"'")
	list, err := e.Footers(ctx, []string{two, one, none, two})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 4 || list[0].Path != two || list[0].Rows != 1 || list[3].Rows != 1 || list[2].Rows != 0 || len(list[2].Groups) != 0 || len(list[2].Columns) != 1 {
		t.Errorf("%+v", list)
	}
	f := list[1]
	want := `[{i BIGINT} {s STRUCT(a BIGINT, b BIGINT[])} {a, b VARCHAR} {d DATE} {f DOUBLE}]`
	if fmt.Sprint(f.Columns) != want || f.Rows != 5000 || len(f.Groups) != 3 {
		t.Errorf("%d rows in %d groups of %v", f.Rows, len(f.Groups), f.Columns)
	}
	bytes := int64(0)
	for i := range f.Groups[2].Stats {
		bytes += f.Groups[2].Stats[i].Bytes
		f.Groups[2].Stats[i].Bytes = 0
	}
	if bytes != f.Groups[2].Bytes {
		t.Errorf("columns of %d bytes in a group of %d", bytes, f.Groups[2].Bytes)
	}
	want = `[{i true 4096 4999 0 0 0} {s false   -1 0 0} {a, b true 'it''s 4096' 'it''s 4999' 0 0 0} {d true '2024-01-05' '2024-01-05' 0 1 0} {f true '1.5' '1.5' 0 1 0}]`
	if got := fmt.Sprint(f.Groups[2].Stats); got != want || f.Groups[2].Rows != 904 || f.Groups[2].Bytes <= 0 {
		t.Errorf("third group: %s", got)
	}
	if first := f.Groups[0].Stats[2]; first.HasStats || first.Nulls != 2048 {
		t.Errorf("a column of NULLs: %+v", first)
	}
	if err := os.WriteFile(dir+"/bad.parquet", []byte("no such thing"), 0o600); err != nil {
		t.Fatal(err)
	}
	var de *Error
	if _, err := e.Footers(ctx, []string{one, dir + "/bad.parquet"}); !errors.As(err, &de) || !strings.Contains(err.Error(), "bad.parquet") {
		t.Error(err)
	}
	if _, err := e.Footers(ctx, []string{dir + "/missing.parquet"}); !errors.Is(err, ErrMissing) {
		t.Error(err)
	}
	if list, err := e.Footers(ctx, nil); err != nil || len(list) != 0 {
		t.Errorf("no paths: %v, %v", list, err)
	}
}
