//go:build duckdb_arrow

package pond_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond"
)

const mib = 1 << 20

// newPond starts n nodes that know one another, and stops them at the end.
func newPond(t *testing.T, n int, options ...pond.Option) []*pond.Node {
	t.Helper()
	var nodes []*pond.Node
	for i := range n {
		opts := append([]pond.Option{pond.WithDir(t.TempDir()), pond.WithMemory(512 * mib), pond.WithSlots(2)}, options...)
		if i > 0 {
			opts = append(opts, pond.WithPeers(nodes[0].Addr()))
		}
		node, err := pond.Join(testContext(t), opts...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { node.Close() })
		nodes = append(nodes, node)
	}
	for _, node := range nodes {
		waitMembers(t, node, n)
	}
	return nodes
}

// waitMembers waits until a node sees n members.
func waitMembers(t *testing.T, node *pond.Node, n int) {
	t.Helper()
	ctx := testContext(t)
	for {
		m, err := node.API().Members(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Members) == n {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("%s sees %d members, not %d", node.ID(), len(m.Members), n)
		}
	}
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// lines is a result as text, a line a row.
func lines(t *testing.T, rows *pond.Rows, err error) []string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for rec, err := range rows.All() {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, recordLines(rec)...)
	}
	return out
}

func recordLines(rec arrow.RecordBatch) []string {
	out := make([]string, rec.NumRows())
	for i := range out {
		cells := make([]string, rec.NumCols())
		for c := range cells {
			cells[c] = rec.Column(c).ValueStr(i)
		}
		out[i] = strings.Join(cells, "|")
	}
	return out
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func sorted(s []string) []string { slices.Sort(s); return s }

func TestShuffledGroupBy(t *testing.T) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d nodes", n), func(t *testing.T) {
			nodes := newPond(t, n)
			for _, node := range nodes {
				df := node.FromRows([]string{"k", "INTEGER", "v", "VARCHAR"}, []any{1, "a"}, []any{2, "b"}, []any{1, "c"}, []any{nil, "d"})
				rows, err := df.Repartition(4, pond.ByHash("k")).SQL("SELECT k, count(*) AS n, string_agg(v, ',' ORDER BY v) AS vs FROM {0} GROUP BY k").Collect(testContext(t))
				wantLines(t, sorted(lines(t, rows, err)), "(null)|1|d", "1|2|a,c", "2|1|b")
			}
		})
	}
}
