//go:build duckdb_arrow

package distribute_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/plan/distribute"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestPlans compares the plans of TPC-H with those on file, so that a change of
// plan is seen in review: into 3 partitions, sides up to 100 kB sent to all. And
// nothing is gathered in them but partial results, top rows and order.
func TestPlans(t *testing.T) {
	p := newPond(t, tpch)
	for q := 1; q <= 22; q++ {
		tree, err := p.tree(t.Context(), tpchQuery(t, q))
		if err != nil {
			t.Fatal(err)
		}
		job, err := distribute.Plan(&distribute.Query{Tree: tree, SQL: tpchQuery(t, q)}, p.facts,
			distribute.Options{JobID: "job", Force: true, Partitions: 3, BroadcastBytes: 100_000})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range job.Stages {
			why, _, _ := strings.Cut(s.Gathered, " ")
			if why != "" && why != "puts" && why != "keeps" && why != "sorts" && why != "finds" {
				t.Errorf("q%02d gathers: %s", q, s.Gathered)
			}
		}
		golden(t, fmt.Sprintf("q%02d", q), strings.ReplaceAll(job.Explain(), tpch+"/", "tpch/"))
	}
}

func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", "plans", name+".txt")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != text {
		t.Errorf("the plan of %s is another; run the test with -update and look at the difference\n%s", name, text)
	}
}
