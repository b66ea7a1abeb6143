//go:build duckdb_arrow

package distribute_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/plan/distribute"
)

const tpch = "../../../duck/logical/testdata/tpch"

func tpchQuery(t testing.TB, q int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("%s/q%02d.sql", tpch, q))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(strings.TrimSpace(string(b)), ";")
}

// TestTPCH runs the 22 queries of TPC-H in pieces, with small sides sent to all
// tasks and with every join by hash.
func TestTPCH(t *testing.T) {
	p := newPond(t, tpch)
	for _, o := range []distribute.Options{
		{Partitions: 3, BroadcastBytes: -1}, {Partitions: 7, BroadcastBytes: -1}, {Partitions: 3, BroadcastBytes: 100_000}, {Parallelism: 4},
	} {
		for q := 1; q <= 22; q++ {
			t.Run(fmt.Sprintf("q%02d into %d, broadcast %d", q, o.Partitions, o.BroadcastBytes), func(t *testing.T) {
				job, err := p.check(t.Context(), tpchQuery(t, q), o)
				if err != nil {
					text := ""
					if job != nil {
						text = job.Explain()
					}
					t.Fatalf("%v\n%s", err, text)
				}
				if testing.Verbose() {
					t.Log(job.Explain())
				}
			})
		}
	}
}
