//go:build duckdb_arrow

package pond_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos/pondtest"
	"github.com/pondmesh/pond/fs/object"
)

// tidy checks that nothing is left in a bucket of jobs that have ended.
func (b *bucket) tidy(t *testing.T) {
	t.Helper()
	if found, err := b.store.Find(t.Context(), "s3://bucket/**"); err == nil {
		for _, o := range found {
			if strings.Contains(o.Name, "/_pond/") {
				t.Errorf("a list is left: %s", o.Name)
			}
		}
	} else if !errors.Is(err, object.ErrNotFound) {
		t.Error(err)
	}
	if left, err := b.store.Staged(t.Context(), "s3://bucket/"); err != nil || len(left) > 0 {
		t.Errorf("uploads are left: %+v, %v", left, err)
	}
}

// TestCopyToStore: what is copied to S3 is read back as it was.
func TestCopyToStore(t *testing.T) {
	b := newBucket(t)
	nodes := pondtest.New(t, 2)
	s := nodes[0].Session
	const rows = "(SELECT i, i % 7 AS k, md5(i::VARCHAR) AS m FROM range(20000) t(i))"
	for _, c := range []struct {
		sql      string
		sentinel error
		read     string
		want     string
	}{
		{"COPY " + rows + " TO 's3://bucket/out/' (FORMAT parquet)", nil, "SELECT count(*), sum(i)::BIGINT, max(m) FROM 's3://bucket/out/*.parquet'", ""},
		{"COPY " + rows + " TO 's3://bucket/out/' (FORMAT parquet)", pond.ErrExists, "SELECT count(*) FROM 's3://bucket/out/*.parquet'", "20000"},
		{"COPY " + rows + " TO 's3://bucket/out/' (FORMAT parquet, APPEND)", nil, "SELECT count(*) FROM 's3://bucket/out/*.parquet'", "40000"},
		{"COPY " + rows + " TO 's3://bucket/out/' (FORMAT parquet, OVERWRITE)", pond.ErrQuery, "SELECT count(*) FROM 's3://bucket/out/*.parquet'", "40000"},
		{"COPY " + rows + " TO 's3://bucket/by' (FORMAT parquet, PARTITION_BY (k))", nil, "SELECT count(*), sum(i)::BIGINT, sum(k)::BIGINT FROM 's3://bucket/by/*/*.parquet'", "20000|199990000|59997"},
		{"COPY " + rows + " TO 's3://bucket/one.csv'", nil, "SELECT count(*) FROM 's3://bucket/one.csv'", "20000"},
		{"COPY (SELECT 1 AS i) TO 's3://bucket/one.csv'", nil, "SELECT count(*) FROM 's3://bucket/one.csv'", "1"},
		{"COPY (SELECT 1 AS i) TO 's3://nowhere/one.csv'", pond.ErrNotFound, "SELECT count(*) FROM 's3://bucket/one.csv'", "1"},
		{"COPY (SELECT 1 AS i) TO 'https://bucket/one.csv'", pond.ErrQuery, "SELECT count(*) FROM 's3://bucket/one.csv'", "1"},
	} {
		if _, err := pondRows(t, s, c.sql, pond.Force(true), pond.Partitions(3)); !errors.Is(err, c.sentinel) {
			t.Errorf("%s: %s", c.sql, fullText(err))
		}
		if c.want == "" {
			continue
		}
		if got, err := pondRows(t, nodes[1].Session, c.read); err != nil || !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s: %q, %v, want %s", c.read, got, err, c.want)
		}
	}
	if err := s.Query("SELECT i FROM range(10) t(i)").WriteCSV(testContext(t), "s3://bucket/frame"); err != nil {
		t.Error(fullText(err))
	}
	if got, err := pondRows(t, s, "SELECT sum(i)::BIGINT FROM 's3://bucket/frame/*.csv'"); err != nil || !slices.Equal(got, []string{"45"}) {
		t.Errorf("a frame: %q, %v", got, err)
	}
	b.tidy(t)
}

// TestStoreRoots: the operator says where jobs may write.
func TestStoreRoots(t *testing.T) {
	b := newBucket(t)
	s := pondtest.New(t, 1, pond.WithWriteRoots("s3://bucket/in"))[0].Session
	for to, want := range map[string]error{"in/a.csv": nil, "in/deep/a.csv": nil, "a.csv": pond.ErrDenied, "inside/a.csv": pond.ErrDenied, "in/../a.csv": pond.ErrDenied} {
		if _, err := pondRows(t, s, "COPY (SELECT 1 AS i) TO 's3://bucket/"+to+"'"); !errors.Is(err, want) {
			t.Errorf("%s: %v", to, err)
		}
	}
	b.tidy(t)
}
