//go:build duckdb_arrow

package pond_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
)

// putFiles makes a folder of files.
func putFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestFiles: files of any kind are put as one version, listed, read by SQL and by bytes,
// fetched, replaced with consent, removed; what is Parquet of the same columns is a table.
func TestFiles(t *testing.T) {
	nodes := pondtest.New(t, 3)
	ctx, a, b := t.Context(), nodes[0].Session, nodes[1].Session
	big := strings.Repeat("some line\n", 900_000) // three pieces
	dir := putFiles(t, map[string]string{"a.csv": "x,y\n1,one\n2,two\n", "in/big.txt": big, "empty": ""})
	put := func(s *pond.Session, url string, o pond.PutOptions, sources ...string) (uint64, error) {
		return s.Put(ctx, url, sources, o)
	}
	var last pond.Transfer
	if v, err := put(a, "pond://docs", pond.PutOptions{ID: "first", Tell: func(p pond.Transfer) { last = p }}, dir); v != 1 || err != nil || last.Done != 3 || last.Have != last.Bytes {
		t.Fatalf("version %d, %+v, %s", v, last, said(err))
	}
	d, err := b.Dataset(ctx, "pond://docs")
	if err != nil || len(d.Files) != 3 || d.Files[2].Path != "in/big.txt" || d.Files[2].Size != int64(len(big)) || len(d.Files[2].Holders) < 2 || len(d.Columns) != 0 {
		t.Fatalf("%+v, %s", d, said(err))
	}
	var out bytes.Buffer
	if err := nodes[2].Session.ReadFile(ctx, d, d.Files[2], &out); err != nil || out.String() != big {
		t.Errorf("%d bytes, %s", out.Len(), said(err))
	}
	if rows, err := pondRows(t, b, "SELECT sum(x), max(y) FROM 'pond://docs/a.csv'"); err != nil || len(rows) != 1 || !strings.Contains(rows[0], "two") {
		t.Errorf("%q, %s", rows, said(err))
	}
	if _, err := pondRows(t, b, "FROM docs"); !errors.Is(err, pond.ErrQuery) || !strings.Contains(err.Error(), "is no table") {
		t.Errorf("FROM docs: %s", said(err))
	}

	file := filepath.Join(dir, "a.csv")
	if v, err := put(b, "pond://docs", pond.PutOptions{ID: "first"}, dir); v != 1 || err != nil {
		t.Errorf("the same put once more: version %d, %s", v, said(err))
	}
	for name, c := range map[string]struct {
		url string
		o   pond.PutOptions
		err error
	}{
		"without consent":        {"pond://docs", pond.PutOptions{ID: "e1"}, pond.ErrExists},
		"beside the same path":   {"pond://docs", pond.PutOptions{ID: "e2", Append: true}, pond.ErrExists},
		"to a version":           {"pond://docs/1", pond.PutOptions{ID: "e3"}, pond.ErrQuery},
		"to no name":             {"pond://Docs", pond.PutOptions{ID: "e4"}, pond.ErrQuery},
		"to a number's folder":   {"pond://docs/x/../7", pond.PutOptions{ID: "e5"}, pond.ErrQuery},
		"to a name of a version": {"pond://other/2024/", pond.PutOptions{ID: "e6"}, pond.ErrQuery},
	} {
		if v, err := put(a, c.url, c.o, file); !errors.Is(err, c.err) {
			t.Errorf("%s: version %d, %s", name, v, said(err))
		}
	}
	if v, err := put(a, "pond://docs/b.csv", pond.PutOptions{ID: "second", Append: true}, file); v != 2 || err != nil {
		t.Errorf("beside others: version %d, %s", v, said(err))
	}
	if v, err := put(a, "pond://docs/in/", pond.PutOptions{ID: "third", Append: true, Overwrite: true}, file, filepath.Join(dir, "in", "*.txt")); v != 3 || err != nil {
		t.Errorf("in the place of one: version %d, %s", v, said(err))
	}
	if d, err = b.Dataset(ctx, "pond://docs/in"); err != nil || len(d.Files) != 2 || d.Files[0].Path != "in/a.csv" {
		t.Errorf("%+v, %s", d, said(err))
	}
	to := []string{filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "sub", "b")}
	if err := b.Get(ctx, d, to, pond.GetOptions{}); err != nil {
		t.Error(said(err))
	}
	if text, err := os.ReadFile(to[1]); string(text) != big {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	if v, err := b.RemoveFiles(ctx, "docs", "fourth", d.Files); v != 4 || err != nil {
		t.Errorf("version %d, %s", v, said(err))
	}
	if _, err := b.Dataset(ctx, "pond://docs/in"); !errors.Is(err, pond.ErrNotFound) {
		t.Error(said(err))
	}
	if d, err := b.Dataset(ctx, "pond://docs/3/in"); err != nil || len(d.Files) != 2 || d.Newest != 4 {
		t.Errorf("%+v, %s", d, said(err))
	}

	table := t.TempDir()
	if _, err := pondRows(t, a, "COPY (SELECT i, i % 2 AS k FROM range(100) t(i)) TO '"+table+"/p' (FORMAT parquet, PARTITION_BY k)"); err != nil {
		t.Fatal(said(err))
	}
	if v, err := put(b, "pond://numbers", pond.PutOptions{ID: "p1"}, filepath.Join(table, "p")); v != 1 || err != nil {
		t.Fatalf("version %d, %s", v, said(err))
	}
	if _, err := put(b, "pond://numbers", pond.PutOptions{ID: "p2", Append: true}, file); !errors.Is(err, pond.ErrQuery) {
		t.Errorf("a CSV file beside Parquet: %s", said(err))
	}
	if _, err := put(b, "pond://bad/x.parquet", pond.PutOptions{ID: "p3"}, file); !errors.Is(err, pond.ErrQuery) || !strings.Contains(err.Error(), "no whole Parquet file") {
		t.Errorf("no Parquet: %s", said(err))
	}
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(filepath.Join(table, "p", "broken.parquet"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := put(b, "pond://bad", pond.PutOptions{ID: "p4"}, filepath.Join(table, "p")); !errors.Is(err, pond.ErrQuery) || !strings.Contains(said(err), "broken.parquet") {
		t.Errorf("one of several is no Parquet: %s", said(err))
	}
	nodes[0].Close()
	rows, err := pondRows(t, b, "SELECT k, count(*), sum(i) FROM numbers GROUP BY k ORDER BY k")
	if err != nil || len(rows) != 2 {
		t.Errorf("%q, %s", rows, said(err))
	}
	if err := b.DropDataset(ctx, "docs"); err != nil {
		t.Error(said(err))
	}
	list, err := b.Datasets(ctx)
	if err != nil || !slices.Equal(list, []pond.Dataset{{Name: "numbers", Version: 1}}) {
		t.Errorf("%+v, %s", list, said(err))
	}
}
