//go:build duckdb_arrow

package actors_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// A statement is one request: its id comes first, its end last, and the node that
// was asked has made the plan.
func TestRunStatement(t *testing.T) {
	ctx, n, _ := startNode(t)
	c := api.NewClient(n.APIAddr(), nil)
	defer c.Close()
	spec := &api.JobSpec{Query: api.Query{SQL: "SELECT x + 1 AS y FROM v", Dir: "/", Views: []plan.View{{Name: "v", SQL: "SELECT 41 AS x"}}}}
	var all []*api.JobStatus
	for st, err := range c.Run(ctx, spec) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, st)
	}
	first, last := all[0], all[len(all)-1]
	if first.State != api.Queued || first.Coordinator != "" || first.ID == "" || last.ID != first.ID {
		t.Errorf("the first line is %+v", first)
	}
	if last.State != api.Succeeded || last.Rows != 1 || last.Statement != spec.SQL || last.Coordinator != n.ID() {
		t.Errorf("the last line is %+v", last)
	}
	if last.Started < last.Submitted || last.EngineEnded < last.Started || last.Ended < last.EngineEnded {
		t.Errorf("submitted %d, started %d, engine's end %d, ended %d", last.Submitted, last.Started, last.EngineEnded, last.Ended)
	}
}

// A refused job is the node's error, and nothing is left of it.
func TestRunRefused(t *testing.T) {
	ctx, n, _ := startNode(t)
	c := api.NewClient(n.APIAddr(), nil)
	defer c.Close()
	for sql, want := range map[string]error{
		"SELECT nope FROM range(3)":    plan.ErrQuery,
		"FROM '/no/such/file.parquet'": plan.ErrNotFound,
		"SET x = 1":                    plan.ErrQuery,
		"":                             plan.ErrQuery,
	} {
		var id plan.JobID
		var err error
		for st, e := range c.Run(ctx, &api.JobSpec{Query: api.Query{SQL: sql, Dir: "/"}}) {
			if err = e; e == nil {
				id = st.ID
			}
		}
		if !errors.Is(err, want) || plan.AsError(err).Node != n.ID() {
			t.Errorf("%q: %v, want %v", sql, err, want)
		}
		if st, err := c.Job(ctx, id); err == nil && st.State != api.Failed {
			t.Errorf("%q: the job is %s", sql, st.State)
		}
	}
}

// TestPlanLimits: a plan that comes over HTTP is read within its limits.
func TestPlanLimits(t *testing.T) {
	ctx, n, _ := startNode(t)
	for name, c := range map[string]struct{ plan, want string }{
		"a field that is not known": {`{"nodes":[{"id":"a","sql":{"query":"SELECT 1"},"cache":true}],"sink":{"input":"a","collect":{}}}`, `unknown field \"cache\"`},
		"nested too deep":           {strings.Repeat(`{"nodes":[`, 40) + strings.Repeat(`]}`, 40), "nested deeper"},
	} {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+n.APIAddr()+"/v1/jobs", strings.NewReader(`{"plan":`+c.plan+`}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", n.Authorization())
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode/100 != 4 || !strings.Contains(string(b), c.want) {
			t.Errorf("%s: HTTP %d, %v: %s", name, resp.StatusCode, err, b)
		}
	}
}
