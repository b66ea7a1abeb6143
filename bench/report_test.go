package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestWriteTable(t *testing.T) {
	var out bytes.Buffer
	writeTable(&out, [][]string{{"name", "n", "× x"}, {"a", "1", "22"}, nil, {"längst", "333", ""}}, 1)
	want := "name      n  × x\na         1   22\n\nlängst  333\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", &out, want)
	}
}

func TestText(t *testing.T) {
	for got, want := range map[string]string{
		bytesText(0): "-", bytesText(999): "999 B", bytesText(1000): "1 kB", bytesText(999_700): "1.00 MB", bytesText(1_234_000_000): "1.23 GB",
		countText(0): "0", countText(123): "123", countText(1234): "1,234", countText(1234567): "1,234,567", countText(-1234): "-1,234",
		numberText(0): "0", numberText(1.3): "1.30", numberText(2): "2", numberText(12.345): "12.3", numberText(99.96): "100", numberText(4321): "4321", numberText(-0.5): "-0.50",
		secondsText(1500): "1.50 s",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestTargets(t *testing.T) {
	f := figure{Value: 4, Unit: "×"}
	for _, c := range []struct {
		f      figure
		target string
		met    bool
	}{{f.atLeast(4), "≥ 4 ×", true}, {f.atLeast(4.5), "≥ 4.50 ×", false}, {f.atMost(4), "≤ 4 ×", true}, {f.atMost(3), "≤ 3 ×", false}} {
		if c.f.Target != c.target || *c.f.Met != c.met {
			t.Errorf("%q %t, want %q %t", c.f.Target, *c.f.Met, c.target, c.met)
		}
	}
}

func TestReport(t *testing.T) {
	r := report{Setup: setup{Size: 1e9, Memory: 2e9, Threads: 2, Runs: 3, Cores: 2, Go: "go1"},
		Results: []result{
			{Workload: "sort", System: "duckdb", Threads: 2, Rows: 10, Bytes: 1000, WallMS: 1000, Ratio: 1, CPUMS: 2000, CPURatio: 1, PeakMost: 5e6, PeakSum: 5e6},
			{Workload: "sort", System: "pond 4", Nodes: 4, Threads: 4, Rows: 10, Bytes: 1000, WallMS: 1300, Ratio: 1.3, CPUMS: 2500, CPURatio: 1.25, PeakMost: 3e6, PeakSum: 9e6, Shuffled: 700},
			{Workload: "join", System: "duckdb", Threads: 2, Ratio: 1},
		},
		Figures: []figure{{Name: "trip", Value: 12, Unit: "ms"}, figure{Name: "rate", Value: 1.2, Unit: "GB/s", Note: "why"}.atLeast(1.5)},
	}
	var out bytes.Buffer
	if err := r.text(&out); err != nil {
		t.Fatal(err)
	}
	want := strings.TrimPrefix(`
1 GB of raw data a set, 2 threads, 2 GB of memory in total, median of 3 runs, 2 cores, go1

workload  system  slots  rows  bytes    wall  × wall     cpu  × cpu  peak/node  peak sum  shuffled  spill
sort      duckdb      2    10   1 kB     1 s       1     2 s      1       5 MB      5 MB         -      -
sort      pond 4     4*    10   1 kB  1.30 s    1.30  2.50 s   1.25       3 MB      9 MB     700 B      -

join      duckdb      2     0      -     0 s       1     0 s      0          -         -         -      -
* a node has one slot at least: these share 2 cores

figure  measured   target               note
trip    12 ms
rate    1.20 GB/s  ≥ 1.50 GB/s  missed  why
`, "\n")
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	out.Reset()
	if err := r.json(&out); err != nil || !strings.Contains(out.String(), `"wall_ms": 1300`) {
		t.Errorf("%v\n%s", err, &out)
	}
}
