//go:build duckdb_arrow

package prepare

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/plan"
)

func TestFooters(t *testing.T) {
	ctx := context.Background()
	pool, err := engines.Open(ctx, engines.Config{Memory: 64 << 20, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	d, err := pool.Planner(ctx)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name string, rows int) plan.File {
		t.Helper()
		path := filepath.Join(dir, name)
		if _, err := d.Exec(ctx, fmt.Sprintf("COPY (SELECT i, i AS \"J\" FROM range(%d) t(i)) TO '%s' (ROW_GROUP_SIZE 2048)", rows, path)); err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return plan.File{Path: path, Size: st.Size(), ModTime: st.ModTime().UnixNano()}
	}
	k := new(footers)
	of := func(files ...plan.File) []*footer {
		t.Helper()
		list, err := k.of(ctx, &Planner{duckdb: Local{pool}}, files, nil)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	a, b := file("a.parquet", 5000), file("b.parquet", 10)
	first := of(a)[0]
	if j := first.stats[2]["j"]; len(first.groups) != 3 || j.Min != "4096" || j.Max != "4999" || j.Bytes <= 0 {
		t.Errorf("%d groups, j %+v", len(first.groups), j)
	}
	if both := of(b, a); both[1] != first || len(both[0].groups) != 1 {
		t.Errorf("of two files: %+v", both)
	}
	if again := of(file("a.parquet", 100))[0]; again == first || again.groups[0].Rows != 100 {
		t.Error("a file that was written anew has its old footer")
	}
	if k.chunks != 2*1+2*1 {
		t.Errorf("%d chunks are kept", k.chunks)
	}
	empty := of(file("none.parquet", 0))[0]
	if len(empty.groups) != 0 || len(k.files) != 2 {
		t.Errorf("an empty file: %+v, %d are kept", empty, len(k.files))
	}
	for i := range 10 { // no more are kept than there is room for
		large := *first
		large.groups = make([]plan.RowGroup, footersMax/2/3)
		k.keep(fmt.Sprint(i), &large)
		if k.chunks > footersMax || k.files[fmt.Sprint(i)] == nil {
			t.Errorf("%d chunks are kept", k.chunks)
		}
	}
	if _, err := k.of(ctx, &Planner{duckdb: Local{pool}}, []plan.File{{Path: filepath.Join(dir, "missing.parquet")}}, nil); err == nil {
		t.Error("a file that is not there has a footer")
	}
}
