package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond/chaos"
	"github.com/pondmesh/pond/chaos/scenario"
)

func TestChaosUsage(t *testing.T) {
	bad, good, empty := filepath.Join(t.TempDir(), "bad.yaml"), filepath.Join(t.TempDir(), "good.yaml"), filepath.Join(t.TempDir(), "runs.jsonl")
	for file, text := range map[string]string{
		bad:   "name: a\njobs: [{name: q, sql: SELECT 1}]\nfaults: [{do: kill, whom: all}]\n",
		good:  "name: a\njobs: [{name: q, sql: SELECT 1}]\nfaults: [{do: kill, for: 1s}]\n",
		empty: "",
	} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		args []string
		says string
	}{
		{"no scenario", []string{"run"}, "a scenario's name or file is missing"},
		{"mistyped", []string{"run", "coordinater"}, "did you mean coordinator?"},
		{"unlike any", []string{"run", "no/such.yaml"}, "pondnode chaos list"},
		{"unknown key", []string{"run", bad}, bad + `:3: unknown key "whom"`},
		{"runs", []string{"run", good, "--runs", "0"}, "--runs 0 is out of range"},
		{"nodes", []string{"run", good, "--nodes", "99"}, "nodes: 99 is not 1 to 16"},
		{"driver", []string{"run", good, "--driver", "cloud"}, `driver "cloud"`},
		{"simulated faults", []string{"run", good, "--driver", "sim"}, "driver sim draws jobs and faults by itself"},
		{"simulated nodes", []string{"run", "--driver", "sim", "--nodes", "99"}, "nodes: 99 is not 3 to 7"},
		{"processes", []string{"run", "net-minority", "--driver", "process"}, "cut needs driver: netns"},
		{"for", []string{"fuzz", "--for", "0s"}, "--for is not more than nothing"},
		{"no records", []string{"replay", empty}, "has 0 records"},
		{"no such line", []string{"shrink", empty, "--line", "7"}, "has 0 records"},
		{"no record", []string{"report", good}, "line 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := call(t, nil, append([]string{"chaos"}, c.args...)...)
			if got.code != exitUsage || !strings.Contains(got.err, c.says) || got.out != "" {
				t.Errorf("exit code %d, standard error lacks %q:\n%s%s", got.code, c.says, got.err, got.out)
			}
		})
	}
	if got := call(t, nil, "chaos", "list"); got.code != exitOK || !strings.Contains(got.out, "\ncoordinator  ") || !strings.Contains(got.out, "\nnet-minority ") {
		t.Errorf("chaos list: %+v", got)
	}
}

// A run that went against the pond fails the command, and so does one that has shown
// nothing; what is recorded is summed up and can be found again.
func TestChaosRecords(t *testing.T) {
	record := func(v chaos.Verdict, seed uint64) *chaos.Record {
		s := scenario.Scenario{Name: "a", Jobs: []scenario.Job{{Name: "q", SQL: "SELECT 1"}}}
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		return &chaos.Record{When: time.Now(), Verdict: v, Plan: s.Plan(seed)}
	}
	for _, c := range []struct {
		all  []chaos.Verdict
		code int
	}{
		{[]chaos.Verdict{chaos.OK, chaos.Invalid}, exitOK},
		{[]chaos.Verdict{chaos.Invalid}, exitFailed},
		{[]chaos.Verdict{chaos.OK, chaos.Wrong}, exitFailed},
		{[]chaos.Verdict{chaos.OK, chaos.Broken}, exitFailed},
	} {
		var all []*chaos.Record
		for i, v := range c.all {
			all = append(all, record(v, uint64(i)))
		}
		if code := exitCode(judge(all)); code != c.code {
			t.Errorf("%v: exit code %d, not %d", c.all, code, c.code)
		}
	}
	file := filepath.Join(t.TempDir(), "runs.jsonl")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range []chaos.Verdict{chaos.OK, chaos.Hung, chaos.OK} {
		if err := record(v, uint64(i)).Write(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for line, seed := range map[int]uint64{0: 1, 1: 0, 3: 2} {
		if p, err := recorded(file, line); err != nil || p.Seed != seed {
			t.Errorf("line %d is seed %+v, %v", line, p, err)
		}
	}
	if got := call(t, nil, "chaos", "report", file); got.code != exitOK || !strings.Contains(got.out, "3 runs of 3 seeds") || !strings.Contains(got.out, "| hung jobs | 1 |") {
		t.Errorf("chaos report: %+v", got)
	}
}

// Simulated runs are recorded, summed up and replayed as others are, and replay to the
// millisecond.
func TestChaosSim(t *testing.T) {
	file := filepath.Join(t.TempDir(), "runs.jsonl")
	if got := call(t, nil, "chaos", "run", "--driver", "sim", "--runs", "4", "--seed", "1", "--record", file); got.code != exitOK ||
		!strings.Contains(got.err, "of simulated time") || !strings.Contains(got.out, "4 runs of 4 seeds") {
		t.Fatalf("%+v", got)
	}
	if got := call(t, nil, "chaos", "replay", file, "--line", "2", "--record", file); got.code != exitOK {
		t.Fatalf("%+v", got)
	}
	all, err := readRecords(file)
	if err != nil || len(all) != 5 {
		t.Fatalf("%d records, %v", len(all), err)
	}
	one, again := *all[1], *all[4]
	one.When, again.When = time.Time{}, time.Time{}
	if !reflect.DeepEqual(one, again) || one.Took == 0 {
		t.Errorf("replayed as\n%+v, not\n%+v", again, one)
	}
	if got := call(t, nil, "chaos", "shrink", file); got.code != exitUsage {
		t.Errorf("shrink: %+v", got)
	}
	if got := call(t, nil, "chaos", "run", "sim", "--driver", "process"); got.code != exitUsage {
		t.Errorf("without jobs: %+v", got)
	}
}
