//go:build duckdb_arrow

package chaos_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/pondmesh/pond/chaos"
)

// Two of three keepers are gone for good. The pond can decide nothing, until an operator
// has said that it goes on without them: then files are published again, also when one
// of the lost comes back.
func TestRecoverRegisters(t *testing.T) {
	long(t)
	ctx, c := newCluster(t, 3)
	left, dead := c.Nodes()[0], c.Nodes()[1:]
	awaitKeepers(t, ctx, left.Addr(), 3)
	recovery := func(flags ...string) chaos.Exit {
		e, err := chaos.Command(ctx, "", binary, append([]string{"registers", "recover", "--peer", left.Addr()}, flags...)...)
		must(t, err)
		return e
	}
	if e := recovery("--force"); e.Code == 0 || !strings.Contains(e.Stderr, "nothing is to be recovered") {
		t.Fatalf("while all are well: %v", e)
	}
	for _, n := range dead {
		must(t, n.Kill9(ctx))
	}
	if e := recovery(); e.Code == 0 || !strings.Contains(e.Stdout, "keepers that are gone: ") || !strings.Contains(e.Stderr, "--force") {
		t.Fatalf("without consent: %v", e)
	}
	if e := recovery("--force"); e.Code != 0 || !strings.Contains(e.Stdout, "new keepers: "+left.ID()) || !strings.Contains(e.Stderr, "are lost") {
		t.Fatal(e)
	}
	write := func(name string) {
		out := filepath.Join(t.TempDir(), name)
		e, err := chaos.Command(ctx, "", binary, "sql", "--peer", left.Addr(), "COPY ("+groupByOracle(t)+") TO '"+out+"'")
		must(t, err)
		if e.Code != 0 {
			t.Fatal(e)
		}
		must(t, newOracle(t).CompareQueries(ctx, "SELECT * FROM '"+out+"'", groupByOracle(t)))
	}
	write("alone.parquet")
	must(t, dead[0].Restart(ctx))
	must(t, c.AwaitMembers(ctx, 2))
	write("back.parquet")
	awaitKeepers(t, ctx, left.Addr(), 1)
}
