//go:build duckdb_arrow

package actors_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// TestRowsRoute: a job's rows in each format, asked for in each way, before the job
// has ended too.
func TestRowsRoute(t *testing.T) {
	ctx, n, _ := startNode(t)
	c := api.NewClient(n.APIAddr(), nil)
	defer c.Close()
	submit := func(query string) string {
		spec := &api.JobSpec{ID: api.NewJobID(), Plan: &plan.Plan{Nodes: []plan.Node{{ID: "sql", SQL: &plan.SQLOp{Query: query}}}, Sink: plan.Sink{Input: "sql", Collect: &plan.CollectOp{}}}}
		if _, err := c.Submit(ctx, spec); err != nil {
			t.Fatal(err)
		}
		return string(spec.ID)
	}
	get := func(path, accept string) (status int, kind, body string) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.APIAddr()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", n.Authorization())
		if accept != "" {
			req.Header.Set("Accept", accept)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header.Get("Content-Type"), string(b)
	}
	id := submit("SELECT i, sum(i) AS s FROM range(2) t(i) GROUP BY i ORDER BY i")
	const lines, csv = "{\"i\":0,\"s\":0}\n{\"i\":1,\"s\":1}\n", "i,s\n0,0\n1,1\n"
	for _, test := range []struct{ query, accept, kind, body string }{
		{"", "", "application/x-ndjson", lines},
		{"", "*/*", "application/x-ndjson", lines},
		{"", "text/csv", "text/csv", csv},
		{"", "text/html, application/x-ndjson;q=0.5, text/csv;q=0.8", "text/csv", csv},
		{"", "application/json", "application/json", "["},
		{"?format=csv", "application/json", "text/csv", csv},
		{"?format=json", "", "application/json", "["},
		{"?format=jsonl", "", "application/x-ndjson", lines},
	} {
		status, kind, body := get("/v1/jobs/"+id+"/rows"+test.query, test.accept)
		if status != http.StatusOK || !strings.HasPrefix(kind, test.kind) || !strings.HasPrefix(body, test.body) {
			t.Errorf("%q %q: %d %s %q", test.query, test.accept, status, kind, body)
		}
	}
	_, kind, body := get("/v1/jobs/"+id+"/rows?format=arrow", "")
	r, err := ipc.NewReader(strings.NewReader(body))
	if err != nil || kind != "application/vnd.apache.arrow.stream" || !r.Next() || r.RecordBatch().Column(1).ValueStr(1) != "1" {
		t.Errorf("arrow: %v, %s", err, kind)
	}
	for _, test := range []struct {
		path, accept, says string
		status             int
	}{
		{"/v1/jobs/" + id + "/rows?format=parquet", "", "arrow, csv, json or jsonl", http.StatusUnprocessableEntity},
		{"/v1/jobs/" + id + "/rows", "image/png", "image/png", http.StatusUnprocessableEntity},
		{"/v1/jobs/" + string(api.NewJobID()) + "/rows", "", "no node of the pond knows this job", http.StatusNotFound},
		{"/v1/jobs/" + submit("SELECT error('broken')") + "/rows", "", "broken", http.StatusUnprocessableEntity},
	} {
		if status, _, body := get(test.path, test.accept); status != test.status || !strings.Contains(body, test.says) {
			t.Errorf("%s: %d %s", test.path, status, body)
		}
	}
}
