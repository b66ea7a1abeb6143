//go:build duckdb_arrow

package chaos_test

import (
	"context"
	"fmt"
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
	recovery := func(flags ...string) chaos.Exit {
		e, err := chaos.Command(ctx, "", binary, append([]string{"registers", "recover", "--peer", left.Addr()}, flags...)...)
		must(t, err)
		return e
	}
	if e := recovery("--force"); e.Code == 0 || !strings.Contains(e.Stderr, "nothing is to be recovered") {
		t.Fatalf("while all are well: %v", e)
	}
	e, err := chaos.Command(ctx, "", binary, "submit", "--detach", "--quiet", "--peer", dead[0].Addr(), "--force", "SELECT sum(a.range * b.range) FROM range(3000000) a, range(3000000) b")
	must(t, err)
	job := strings.TrimSpace(e.Stdout)
	if e.Code != 0 || job == "" {
		t.Fatal(e)
	}
	for _, n := range dead {
		must(t, n.Kill9(ctx))
	}
	says := func(words string, args ...string) {
		t.Helper()
		must(t, chaos.Await(ctx, func(ctx context.Context) error {
			e, err := chaos.Command(ctx, "", binary, append(args, "--peer", left.Addr())...)
			if err == nil && !strings.Contains(e.Stderr, words) {
				err = fmt.Errorf("most keepers are gone, and %q does not say %q: %v", args, words, e)
			}
			return err
		}))
	}
	says("warning: 2 of the 3 nodes that keep the pond's registers are gone", "members")
	says("none can take it over: 1 of 3 nodes that keep registers are seen here", "job", "status", job)
	if e := recovery(); e.Code == 0 || !strings.Contains(e.Stdout, "keepers that are gone: ") || !strings.Contains(e.Stderr, "--force") {
		t.Fatalf("without consent: %v", e)
	}
	if e := recovery("--force"); e.Code != 0 || !strings.Contains(e.Stdout, "new keepers: "+left.ID()) || !strings.Contains(e.Stderr, "are lost") {
		t.Fatal(e)
	}
	must(t, chaos.Await(ctx, func(ctx context.Context) error {
		e, err := chaos.Command(ctx, "", binary, "job", "cancel", job, "--peer", left.Addr())
		if err == nil && e.Code != 0 {
			err = fmt.Errorf("the job is taken over, and cancelled: %v", e)
		}
		return err
	}))
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
	must(t, c.AwaitKeepers(ctx, 1))
}
