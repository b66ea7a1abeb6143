//go:build duckdb_arrow

package prepare_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"testing"

	"github.com/pondmesh/pond/actors/access"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/prepare"
)

// lying is a DuckDB whose answers somebody has changed.
type lying struct {
	prepare.DuckDB
	change func(answer []byte) []byte
}

func (l lying) Parse(ctx context.Context, sql string) (prepare.Tree, error) {
	t, err := l.DuckDB.Parse(ctx, sql)
	t.JSON = l.change(t.JSON)
	return t, err
}

func (l lying) Plan(ctx context.Context, r prepare.PlanRequest) (prepare.Planned, error) {
	p, err := l.DuckDB.Plan(ctx, r)
	p.Plan = string(l.change([]byte(p.Plan)))
	return p, err
}

// TestLyingDuckDB: whatever an engine process answers that was taken over, planning ends,
// with a job or an error, and the planner goes on.
func TestLyingDuckDB(t *testing.T) {
	b := newBench(t)
	b.parquet(t, "a.parquet", "SELECT range AS x, range % 7 AS y FROM range(20000)")
	rules, err := access.New(access.Config{})
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	mangle := func(answer []byte) []byte {
		out := append([]byte(nil), answer...)
		for range 1 + random.IntN(4) {
			if len(out) == 0 {
				break
			}
			at := random.IntN(len(out))
			switch random.IntN(3) {
			case 0: // another digit, where there is one
				for i := range out {
					if at := (at + i) % len(out); out[at] >= '0' && out[at] <= '9' {
						out[at] = '0' + byte(random.IntN(10))
						break
					}
				}
			case 1:
				out[at] = byte(' ' + random.IntN(95))
			default:
				end := min(at+random.IntN(40), len(out))
				out = append(out[:at], out[end:]...)
			}
		}
		return out
	}
	compile := func(change func([]byte) []byte) error {
		p := prepare.New(lying{prepare.Local{Engines: b.pool}, change}, b.pool.Config, rules, slog.New(slog.DiscardHandler))
		spec := &api.JobSpec{ID: "00000000000000000000000000000001", Query: *b.request("SELECT y, count(*), sum(x) FROM '{dir}/a.parquet' JOIN range(5) ON x = range WHERE x > 3 GROUP BY y ORDER BY y"), Options: api.JobOptions{Force: true}}
		if err := p.Fill(t.Context(), spec); err != nil {
			return err
		}
		_, err := p.Compile(t.Context(), spec, api.Capacity{Slots: 3, TargetBytes: 4 << 10})
		return err
	}
	if err := compile(func(b []byte) []byte { return b }); err != nil {
		t.Fatalf("the truth: %v", err)
	}
	for range 100 {
		_ = compile(mangle)
	}
	if err := compile(func([]byte) []byte { panic("as a defect of ours would") }); !errors.Is(err, plan.ErrInternal) {
		t.Errorf("a panic: %v", err)
	}
}
