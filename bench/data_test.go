package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGenerators makes each data set whole and in parts of another number, and
// wants the same rows, as many as it says.
func TestGenerators(t *testing.T) {
	b, d := testBench(t)
	ctx := testContext(t)
	for name, g := range generators {
		t.Run(name, func(t *testing.T) {
			set, err := b.data.get(ctx, name, 300_000)
			if err != nil {
				t.Fatal(err)
			}
			rows := set.raw / g.rowBytes
			var parts []string
			for i := range int64(3) {
				parts = append(parts, "("+g.query(rows*i/3, rows*(i+1)/3, rows)+")")
			}
			const sums = "SELECT count(*), sum(hash(t)) FROM %s t"
			files, err := d.query(ctx, fmt.Sprintf(sums, scan(set.glob)))
			if err != nil {
				t.Fatal(err)
			}
			again, err := d.query(ctx, fmt.Sprintf(sums, "("+strings.Join(parts, " UNION ALL ")+")"))
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(files) != fmt.Sprint(again) || files[0][0] != fmt.Sprint(set.rows) {
				t.Fatalf("files %v, again %v, want %d rows", files, again, set.rows)
			}
		})
	}
}

// TestRows looks at the rows themselves, which must stay what they are.
func TestRows(t *testing.T) {
	b, d := testBench(t)
	ctx := testContext(t)
	for _, name := range []string{"records", "urls", "flights", "bookings"} {
		if _, err := b.data.get(ctx, name, 300_000); err != nil {
			t.Fatal(err)
		}
	}
	glob := func(name string) string { return scan(filepath.Join(b.dir, name+"-*", "*.parquet")) }
	for query, want := range map[string]string{
		"SELECT DISTINCT length(k), length(v) FROM " + glob("records"):                                         "10 90",
		"SELECT count(DISTINCT k) = count(*) FROM " + glob("records"):                                          "true",
		"SELECT k FROM " + glob("records") + " WHERE v LIKE '%00007B  %'":                                      "2OpzJubsWR",
		"SELECT count(*) - count(DISTINCT url) FROM " + glob("urls"):                                           "517",
		"SELECT url FROM " + glob("urls") + " WHERE n = 5":                                                     "https://www.cfcd2084.io/95d565ef66e7/dff9f98764da",
		"SELECT count(DISTINCT id) = count(*), min(id), max(id) FROM " + glob("flights"):                       "true 0 7499",
		"SELECT count(DISTINCT id), count(*) FILTER (id % 3 = 0) FROM " + glob("bookings"):                     "5000 0",
		"SELECT count(*) FROM " + glob("flights") + " JOIN " + glob("bookings") + " USING (id)":                "5000",
		"SELECT origin, destination, date::VARCHAR, delay, distance FROM " + glob("flights") + " WHERE id = 7": "MSY HOU 2001-01-01 08:59:00 0 305",
	} {
		rows, err := d.query(ctx, query)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) != 1 || strings.Join(rows[0], " ") != want {
			t.Errorf("%s\ngave %v, want %s", query, rows, want)
		}
	}
}

// TestDataIsKept takes what a run before has made, but only when it is whole.
func TestDataIsKept(t *testing.T) {
	b, _ := testBench(t)
	ctx := testContext(t)
	set, err := b.data.get(ctx, "records", 1000)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(filepath.Dir(set.glob), "00.parquet")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	size := func() int64 {
		if _, err := b.data.get(ctx, "records", 1000); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	if size() != 0 {
		t.Fatal("a data set that was whole was made again")
	}
	if err := os.Remove(filepath.Join(filepath.Dir(set.glob), doneFile)); err != nil {
		t.Fatal(err)
	}
	if size() == 0 {
		t.Fatal("a data set that was not whole was taken")
	}
}
