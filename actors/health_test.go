//go:build duckdb_arrow

package actors_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/api"
)

// TestMetrics: what a node did shows, under names that jobs do not add to.
func TestMetrics(t *testing.T) {
	ctx, n, _ := startNode(t)
	c := api.NewClient(n.APIAddr(), nil)
	defer c.Close()
	run := func(sql string) {
		for st, err := range c.Run(ctx, &api.JobSpec{User: "ann", Query: api.Query{SQL: sql, Dir: "/"}}) {
			if err != nil {
				t.Fatal(err)
			}
			if st.State == api.Failed {
				t.Fatal(st.Error)
			}
		}
	}
	look := func() (lines []string) {
		code, text := call(t, ctx, n, http.MethodGet, "/metrics", "")
		if code != http.StatusOK {
			t.Fatalf("HTTP %d: %s", code, text)
		}
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "pond_") {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
		return lines
	}
	await(t, "the node is ready", func() bool {
		code, _ := call(t, ctx, n, http.MethodGet, "/readyz", "")
		return code == http.StatusOK
	})
	run("SELECT 1")
	first := strings.Join(look(), "\n")
	for _, want := range []string{`pond_jobs_ended_total{state="succeeded"} 1`, `pond_jobs_ended_total{state="failed"} 0`, `pond_tasks_ended_total{outcome="done"} 1`,
		`pond_jobs{state="running"} 0`, `pond_members{state="alive"} 1`, "pond_ready 1", "pond_register_keepers 1", "pond_tasks_running 0", `pond_engine_process_deaths_total{reason="crash"} 0`} {
		if !strings.Contains(first+"\n", want+"\n") {
			t.Errorf("there is no %s in\n%s", want, first)
		}
	}
	before := len(look())
	run("SELECT 2")
	after := look()
	if len(after) != before {
		t.Errorf("a job more, and %d lines became %d", before, len(after))
	}
	if text := strings.Join(after, "\n"); !strings.Contains(text, `pond_jobs_ended_total{state="succeeded"} 2`) || strings.Contains(text, "ann") {
		t.Error(text)
	}
}

// TestReady: a node says that it is well, and that it takes work.
func TestReady(t *testing.T) {
	ctx, n, _ := startNode(t)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for founded := false; !founded; { // its registers, a moment after the start
		code, text := call(t, ctx, n, http.MethodGet, "/readyz", "")
		if founded = code == http.StatusOK; !founded && (code != http.StatusServiceUnavailable || !strings.Contains(text, api.NoRegisters)) {
			t.Fatalf("HTTP %d: %s", code, text)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(text)
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		code, text := call(t, ctx, n, http.MethodGet, path, "")
		var h api.Health
		if err := json.Unmarshal([]byte(text), &h); err != nil || code != http.StatusOK || !h.OK || h.Node != n.ID() || len(h.Problems) > 0 {
			t.Errorf("%s: HTTP %d, %s, %v", path, code, text, err)
		}
	}
}

// TestUsage: what a job leaves is counted by kind.
func TestUsage(t *testing.T) {
	ctx, n, _ := startNode(t)
	c := api.NewClient(n.APIAddr(), nil)
	defer c.Close()
	for _, err := range c.Run(ctx, &api.JobSpec{Query: api.Query{SQL: "SELECT range FROM range(1000)", Dir: "/"}}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	all, err := c.Usage(ctx)
	if err != nil || len(all) != 1 || all[0].Node != n.ID() {
		t.Fatal(all, err)
	}
	held := map[string]api.KindUsage{}
	for _, k := range all[0].Kinds {
		held[k.Kind] = k
	}
	rows := held[api.UsageKept].Bytes + held[api.UsageLive].Bytes // the job's end may not have reached the worker yet
	if rows == 0 || held[api.UsageKept].Count+held[api.UsageLive].Count != 1 || held[api.UsageRecords].Count == 0 || held[api.UsageStaged].Count != 0 || held[api.UsageCopies].Count != 0 || len(held) != 6 {
		t.Errorf("%+v", held)
	}
}
