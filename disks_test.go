//go:build duckdb_arrow

package pond_test

import (
	"path/filepath"
	"testing"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
)

// TestDisks: files of a dataset are on all disks of a node, and are read from there;
// jobs are not given what is on them.
func TestDisks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "disk")
	node := pondtest.New(t, 1, pond.WithDisks(dir))[0]
	if _, err := pondRows(t, node.Session, "COPY (SELECT range i, range % 30 k FROM range(3000)) TO 'pond://spread' (PARTITION_BY (k))"); err != nil {
		t.Fatal(said(err))
	}
	got, err := pondRows(t, node.Session, "SELECT count(*) || ' ' || sum(i) || ' ' || count(DISTINCT k) FROM spread")
	if err != nil || len(got) != 1 || got[0] != "3000 4498500 30" {
		t.Errorf("%q, %v", got, err)
	}
	all, err := node.Usage(t.Context())
	if err != nil || len(all) != 1 || len(all[0].Disks) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	if d := all[0].Disks[1]; d.Dir != dir || d.Count < 4 || d.Bytes == 0 || d.Total == 0 || d.ID == "" || d.Error != "" {
		t.Errorf("%+v", d)
	}
	if _, err := pondRows(t, node.Session, "FROM read_parquet('"+dir+"/uploads/data/*')"); err == nil {
		t.Error("a job reads the files of a disk")
	}
}
