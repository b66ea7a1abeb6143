//go:build duckdb_arrow

package distribute_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/pondmesh/pond/actors/plan/distribute"
	"github.com/pondmesh/pond/duck/ducktest"
	"github.com/pondmesh/pond/duck/logical"
)

// odd are statements whose answer DuckDB leaves open, or gets wrong.
var odd = map[string]string{
	"SELECT a, list(b ORDER BY c), array_agg(c ORDER BY c DESC NULLS FIRST), list(DISTINCT f ORDER BY f) FROM t GROUP BY a": "the order of ties",
	"SELECT nested.id, j.fullkey FROM nested, json_tree(nested.j) j JOIN n ON n.a = nested.id":                              "an internal error of DuckDB",
	"SELECT rowid, a FROM n ORDER BY rowid DESC LIMIT 2":                                                                    "files have no rowid",
	"SELECT TRY(w::INTEGER), TRY(ln(-length(w))) FROM words":                                                                "what TRY gives hangs on the rows around",
}

// TestStatements runs every statement of logical's scripts in pieces.
func TestStatements(t *testing.T) {
	setup, err := os.ReadFile("../../../duck/logical/testdata/setup.sql")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../../duck/logical/testdata/sql/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	files = append([]string{"testdata/features.sql"}, files...)
	p := newTables(t, string(setup))
	for _, o := range []distribute.Options{{Partitions: 3, BroadcastBytes: -1}, {Partitions: 4}, {Parallelism: 2}} {
		t.Run(fmt.Sprintf("into %d, broadcast %d", o.Partitions, o.BroadcastBytes), func(t *testing.T) {
			var total, whole, gathered int
			for _, f := range files {
				for _, s := range ducktest.Script(t, f) {
					if odd[s.SQL] != "" {
						continue
					}
					total++
					job, err := p.check(t.Context(), s.SQL, o)
					var refused *logical.PlanError
					switch {
					case errors.Is(err, errSingleTask):
						whole++
						t.Logf("whole: %s: %s", s.SQL, job.Stages[0].Gathered)
					case errors.As(err, &refused) && s.Note == "no plan", errors.As(err, new(errWrong)):
						whole++
					case err != nil:
						text := ""
						if job != nil {
							text = job.Explain()
						}
						t.Errorf("%s: %s\n%v\n%s", filepath.Base(f), s.SQL, err, text)
					}
					if job != nil {
						for _, st := range job.Stages {
							if st.Gathered != "" {
								gathered++
								break
							}
						}
					}
				}
			}
			t.Logf("%d statements: %d run whole, %d gather something", total, whole, gathered)
		})
	}
}
