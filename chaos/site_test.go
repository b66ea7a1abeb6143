//go:build duckdb_arrow

package chaos_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/chaos"
	"github.com/pondmesh/pond/chaos/scenario"
)

// Every scenario that is shipped can be read, under a name of its own.
func TestScenarios(t *testing.T) {
	all, err := chaos.Scenarios()
	must(t, err)
	seen := map[string]bool{}
	for _, s := range all {
		if seen[s.Name] || s.About == "" || (len(s.Faults) == 0) != (s.Setup.Driver == scenario.Sim) { // a simulator draws them by itself
			t.Errorf("scenario %s: %+v", s.Name, s)
		}
		seen[s.Name] = true
	}
	if !seen[chaos.Swarm] {
		t.Errorf("%s is not among %v", chaos.Swarm, seen)
	}
}

// small is a scenario that is over soon.
func small(t *testing.T, faults string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Parse("small", []byte("name: small\nnodes: 3\nrows: 400_000\njobs:\n"+
		"  - {name: rows, sql: \"SELECT k, v, count(*) AS n, max(s) AS s FROM events GROUP BY k, v\", into: append}\n"+faults))
	must(t, err)
	return s
}

// campaign runs a scenario and returns its records.
func campaign(t *testing.T, c chaos.Campaign) []*chaos.Record {
	t.Helper()
	c.Site.Binary, c.Site.Version, c.Site.Dir = binary, "test", t.TempDir()
	var out []*chaos.Record
	c.Each = func(r *chaos.Record, _ string) error {
		t.Logf("seed %d: %s %s %+v", r.Plan.Seed, r.Verdict, r.Error, r.Fired)
		out = append(out, r)
		return nil
	}
	must(t, c.Run(testContext(t)))
	return out
}

// A campaign strikes, heals and judges: coordinators die at the beginning of jobs, all
// nodes at once, and the caller's own faults and invariants count.
func TestCampaign(t *testing.T) {
	long(t)
	own, checked := 0, 0
	runs := campaign(t, chaos.Campaign{
		Scenario: small(t, "faults:\n  - {do: kill, who: coordinator, at: 0, for: 1s}\n  - {do: join, at: 0}\n"), Seed: 1, Runs: 2,
		Site: chaos.SiteOptions{
			Faults: func(*chaos.Site) []*chaos.Fault {
				return []*chaos.Fault{{Name: "own", When: chaos.Started(0), Do: func(context.Context, *pond.Status) error { own++; return nil }}}
			},
			Invariants: []chaos.Invariant{{Name: "nodes", Check: func(_ context.Context, s *chaos.Site, _ *pond.Status) error {
				checked++
				if n := len(s.Cluster().Nodes()); n != 3 {
					return errors.New("a node that joined has stayed")
				}
				return nil
			}}},
		},
	})
	for _, r := range runs {
		if r.Verdict != chaos.OK || len(r.Fired) != 2 || r.Planted != 3 || r.Caught != 3 || r.Plain == 0 {
			t.Errorf("%+v", r)
		}
	}
	if len(runs) != 2 || own != 2 || checked != 3 { // the run without faults is checked too
		t.Errorf("%d runs, %d faults of the test's own, %d checks of its invariant", len(runs), own, checked)
	}
}

// Verdicts are told apart: a fault that never fires shows nothing, an invariant that is
// broken is unclean, a job that fails failed, one that does not end hangs.
func TestVerdicts(t *testing.T) {
	long(t)
	never := small(t, "faults:\n  - {do: kill, who: any, at: term 99, for: 1s}\n")
	if r := campaign(t, chaos.Campaign{Scenario: never, Runs: 1})[0]; r.Verdict != chaos.Invalid {
		t.Errorf("a fault that never fires: %+v", r)
	}
	broken := chaos.Invariant{Name: "never true", Check: func(context.Context, *chaos.Site, *pond.Status) error { return errors.New("is not") }}
	r := campaign(t, chaos.Campaign{Scenario: small(t, ""), Runs: 1, Site: chaos.SiteOptions{Invariants: []chaos.Invariant{broken}}})[0]
	if r.Verdict != chaos.Unclean || !strings.Contains(r.Error, "never true: is not") {
		t.Errorf("a broken invariant: %+v", r)
	}
	bad := small(t, "")
	bad.Jobs[0] = scenario.Job{Name: "fails", SQL: "SELECT CASE WHEN id = 77 THEN error('planted') ELSE s END AS s FROM events"}
	if r := campaign(t, chaos.Campaign{Scenario: bad, Runs: 1})[0]; r.Verdict != chaos.Failed {
		t.Errorf("a job that fails: %+v", r)
	}
	slow := small(t, "")
	slow.Setup.Limit = scenario.Duration(2 * time.Second)
	slow.Jobs[0] = scenario.Job{Name: "endless", SQL: "SELECT count(*) AS n FROM range(1000000000000000) WHERE hash(range) = 7"}
	if r := campaign(t, chaos.Campaign{Scenario: slow, Runs: 1})[0]; r.Verdict != chaos.Hung {
		t.Errorf("a job that does not end: %+v", r)
	}
}

// The page of fault runs is that of the records that lie beside it.
func TestPage(t *testing.T) {
	files, err := filepath.Glob("records/*.jsonl")
	must(t, err)
	var all []*chaos.Record
	for _, name := range files {
		f, err := os.Open(name)
		must(t, err)
		records, err := chaos.ReadRecords(f)
		must(t, errors.Join(err, f.Close()))
		all = append(all, records...)
	}
	got, err := os.ReadFile("README.md")
	must(t, err)
	if len(all) == 0 || string(got) != chaos.Page(all) {
		t.Errorf("README.md is not of the %d records: make it anew with pondnode chaos report chaos/records/*.jsonl", len(all))
	}
}

// What records say is summed up, and survives its file.
func TestSummary(t *testing.T) {
	s := small(t, "faults:\n  - {do: kill, who: any, for: 1s}\n")
	var file bytes.Buffer
	for i, v := range []chaos.Verdict{chaos.OK, chaos.OK, chaos.Wrong, chaos.Invalid} {
		r := &chaos.Record{When: time.Date(2026, 11, 1+i, 0, 0, 0, 0, time.UTC), Version: "v1", Plan: s.Plan(uint64(i % 3)), Verdict: v, Took: 3000, Plain: 1000, Planted: 3, Caught: 3}
		if v != chaos.Invalid {
			r.Fired = []chaos.Fired{{Do: scenario.Kill, Who: scenario.Anyone, At: 100, Recovery: int64(1000 * (i + 1))}}
		}
		if v == chaos.Wrong {
			r.Error = "three rows too many\nrow"
		}
		must(t, r.Write(&file))
	}
	records, err := chaos.ReadRecords(&file)
	must(t, err)
	got := chaos.Summary(records)
	for _, want := range []string{
		"4 runs of 3 seeds, from 2026-11-01 to 2026-11-04, of v1.", "| faults fired | 3 |", "| wrong answers | 1 |", "| hung jobs | 0 |", "| invalid runs: a fault never fired | 1 |",
		"| planted errors in answers, seen | 12 of 12 |", "p50, max | 3.0×, 3.0× |", "| kill any | 3 | 2.0 s | 3.0 s | 3.0 s |", "| small | 4 | 2 | 1 | 1 |",
		"Faults fired at 0 of the 31 points of a node: none. None fired in these runs at: ", "- small, seed 2, job rows: wrong: three rows too many\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if _, err := chaos.ReadRecords(strings.NewReader("{}\n")); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a record without a plan: %v", err)
	}
}
