package metrics_test

import (
	"math"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/pondmesh/pond/actors/metrics"
)

// text is what a scraper gets, without what Go and the process tell of themselves.
func text(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	var out []string
	for _, line := range strings.Split(w.Body.String(), "\n") {
		if strings.HasPrefix(line, "pond_") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

// Counters are there from the start, at zero, and count what ended; gauges are read at
// each look.
func TestMetrics(t *testing.T) {
	g := metrics.Gauges{Slots: 2, Members: map[string]int{"alive": 3}, Stored: map[string]int64{"kept": 7}, RegistersOK: true,
		Connections: map[string]int{"client": 6}, Refused: map[string]int64{"client": 5},
		Engines: metrics.Engines{Alive: 4, Started: 9, Crashed: 2, Starved: 1},
		Copies:  metrics.Copies{Held: 11, HeldBytes: 12, Short: 13, Repaired: 14, RepairedBytes: 15, Dropped: 16, Collected: 17, CollectedBytes: 18, Quarantined: 19, ScrubbedBytes: 20}}
	m := metrics.New(func() metrics.Gauges { return g })
	before := text(t, m)
	for _, line := range []string{`pond_jobs_ended_total{state="failed"} 0`, `pond_tasks_ended_total{outcome="done"} 0`, `pond_slots 2`, `pond_members{state="alive"} 3`,
		`pond_stored_bytes{kind="kept"} 7`, `pond_registers_healthy 1`, `pond_http_connections{party="client"} 6`, `pond_http_connections_refused_total{party="client"} 5`, `pond_ready 0`, `pond_engine_process_deaths_total{reason="crash"} 2`,
		`pond_engine_process_deaths_total{reason="memory"} 1`, `pond_engine_processes_started_total 9`,
		`pond_copies 11`, `pond_copies_bytes 12`, `pond_copy_groups_short 13`, `pond_copies_repaired_total 14`, `pond_copies_repaired_bytes_total 15`, `pond_copies_dropped_total 16`,
		`pond_copies_collected_total 17`, `pond_copies_collected_bytes_total 18`, `pond_copies_quarantined_total 19`, `pond_copies_scrubbed_bytes_total 20`} {
		if !strings.Contains(before+"\n", line+"\n") {
			t.Errorf("no line %q", line)
		}
	}
	m.JobEnded("succeeded", 3)
	m.JobEnded("failed", 0)
	m.TaskDone(1000, 10, 1.5)
	m.TaskDone(24, 0, 0.5)
	m.TaskFailed()
	g.Slots, g.Ready = 5, true
	after := text(t, m)
	for _, line := range []string{`pond_jobs_ended_total{state="succeeded"} 1`, `pond_jobs_ended_total{state="failed"} 1`, `pond_task_retries_total 3`,
		`pond_tasks_ended_total{outcome="done"} 2`, `pond_tasks_ended_total{outcome="failed"} 1`, `pond_written_bytes_total 1024`, `pond_spilled_bytes_total 10`,
		`pond_task_cpu_seconds_total 2`, `pond_slots 5`, `pond_ready 1`} {
		if !strings.Contains(after+"\n", line+"\n") {
			t.Errorf("no line %q", line)
		}
	}
	if a, b := strings.Count(before, "\n"), strings.Count(after, "\n"); a != b {
		t.Errorf("%d lines became %d: labels grow", a, b)
	}
}

// What is measured as less than nothing, or is no number, ends no node and changes no
// figure.
func TestNoNumbers(t *testing.T) {
	m := metrics.New(func() metrics.Gauges { return metrics.Gauges{} })
	before := text(t, m)
	m.TaskDone(-1, math.MinInt64, math.NaN())
	m.TaskDone(0, 0, math.Inf(-1))
	m.JobEnded("failed", -2)
	want := strings.NewReplacer(`pond_tasks_ended_total{outcome="done"} 0`, `pond_tasks_ended_total{outcome="done"} 2`,
		`pond_jobs_ended_total{state="failed"} 0`, `pond_jobs_ended_total{state="failed"} 1`).Replace(before)
	if after := text(t, m); after != want {
		t.Errorf("got\n%s\nwant\n%s", after, want)
	}
}

// Names, units and helps are as Prometheus wants them, whatever is counted.
func TestNames(t *testing.T) {
	m := metrics.New(func() metrics.Gauges {
		some := map[string]int64{"x": 1}
		return metrics.Gauges{Coordinated: map[string]int{"x": 1}, Members: map[string]int{"x": 1}, Stored: some, Connections: map[string]int{"x": 1}, Refused: some}
	})
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	problems, err := promlint.New(w.Body).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
