//go:build duckdb_arrow

package actors_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/setup"
)

// hostile are the statements that a locked engine must refuse, those aside that harm
// nobody else: ROOT/job is what jobs may read and write, the secret stands beside it.
func hostile(t *testing.T, root string) (out []string) {
	t.Helper()
	text, err := os.ReadFile("../duck/testdata/hostile.sql")
	if err != nil {
		t.Fatal(err)
	}
	harmful, _, found := strings.Cut(string(text), "--- Limits and settings.")
	for line := range strings.Lines(harmful) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "--") {
			out = append(out, strings.NewReplacer("ROOT", root, `\n`, "\n").Replace(line))
		}
	}
	if !found || len(out) < 50 {
		t.Fatalf("%d hostile statements", len(out))
	}
	return out
}

// requests are the ways in which somebody may have a node run a statement that its planner
// would not have let through.
var requests = []func(sql, root string) string{
	func(sql, root string) string {
		return query(sql, `,"access":["`+root+`/job/ok.csv","`+root+`/secret.csv"]`)
	},
	func(sql, root string) string { return query("FROM v", `,"views":[{"name":"v","sql":`+text(sql)+`}]`) },
	func(sql, root string) string {
		return query("FROM v", `,"views":[{"name":"v","sql":`+text("SELECT 1 AS x; "+sql)+`}]`)
	},
	func(sql, root string) string {
		return `{"sql":` + text("SELECT 1; "+sql) + `,"dir":"` + root + `/job"}`
	},
	func(sql, root string) string {
		return over("SELECT 1 AS x", `,"access":["/"]`, `"sql":{"query":`+text("SELECT * FROM {0}, ("+sql+")")+`,"access":["`+root+`/"]}`)
	},
}

// TestHostileRequests: the statements that an engine refuses come to nothing as a forged
// job, as a record that another node puts, and as work that another node grants with an
// access list of its own: nothing is told of what stands outside, and nothing written.
func TestHostileRequests(t *testing.T) {
	t.Run("in the node's process", func(t *testing.T) { testHostile(t) })
	t.Run("in engine processes", func(t *testing.T) { testHostile(t, engineProgram) })
	t.Run("where the kernel confines nothing", func(t *testing.T) { testHostile(t, engineProgram, unconfined) })
}

func testHostile(t *testing.T, program ...string) {
	ctx, n, root := besideSecret(t, program...)
	before := files(t, root, ".")
	if code, said := callAs(t, ctx, n, "evil.example", "/v1/jobs?watch", `{"sql":"COPY (SELECT 1) TO '`+root+`/job/foreign.csv'"}`); code != http.StatusForbidden {
		t.Errorf("by a foreign name: HTTP %d: %s", code, said)
	}
	for i, sql := range hostile(t, root) {
		body := requests[i%len(requests)](sql, root)
		code, said := call(t, ctx, n, http.MethodPost, "/v1/jobs?watch", body)
		if code/100 == 2 && !strings.Contains(said, `"error":{`) || strings.Contains(said, secret) {
			t.Errorf("%s: submitted: HTTP %d: %s", body, code, said)
		}
		id := fmt.Sprintf("%032x", i+1)
		if code, said := call(t, ctx, n, http.MethodPut, "/v1/specs/"+id, `{"term":1,"spec":{"id":"`+id+`",`+body[1:]+`}`); code/100 != 2 {
			t.Fatalf("%s: recorded: HTTP %d: %s", body, code, said)
		}
		if code, said = call(t, ctx, n, http.MethodPost, "/v1/jobs/"+id+"/start?term=1", ""); code/100 == 2 {
			code, said = call(t, ctx, n, http.MethodGet, "/v1/jobs/"+id+"/watch", "")
		}
		if code/100 == 2 && !strings.Contains(said, `"error":{`) || strings.Contains(said, secret) {
			t.Errorf("%s: recorded: HTTP %d: %s", body, code, said)
		}
		for name, p := range granted(sql, root) {
			if err := n.RunGiven(ctx, p); err == nil || strings.Contains(err.Error(), secret) {
				t.Errorf("%s: granted as %s: %v", sql, name, err)
			}
		}
	}
	if after := files(t, root, "."); after != before {
		t.Errorf("files before:\n%s\nafter:\n%s", before, after)
	}
	p := packetOf("SELECT count(*) AS n FROM read_csv('"+root+"/job/ok.csv')", root+"/job/ok.csv")
	if err := n.RunGiven(ctx, p); err != nil {
		t.Errorf("what may be read: %v", err)
	}
}

// packetOf is what a coordinator would send for a stage of one task.
func packetOf(sql string, access ...string) *api.Packet {
	s := &plan.Stage{ID: "s0", Query: sql, Access: access, Exchange: plan.Exchange{Kind: plan.Single, Partitions: 1}, Tasks: plan.Tasks{N: 1}}
	return &api.Packet{ID: api.NewJobID(), Job: &plan.Job{Stages: []*plan.Stage{s}}, Tasks: 1, Access: access}
}

// granted is a statement in the places of a packet whose text a node runs.
func granted(sql, root string) map[string]*api.Packet {
	ok := root + "/job/ok.csv"
	out := map[string]*api.Packet{"a query": packetOf(sql, ok), "a query that may read the secret": packetOf(sql, ok, root+"/secret.csv"), "a query that may read all": packetOf(sql, "/")}
	step := packetOf("SELECT * FROM f", ok)
	step.Job.Stages[0].Steps = []plan.Step{{View: "f", SQL: sql}}
	out["a step"] = step
	return out
}

// besideSecret starts a node that gives jobs ROOT/job to read and to write. Its data folder
// is ROOT/own.
func besideSecret(t *testing.T, program ...string) (context.Context, *actors.Node, string) {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"secret.csv": secret, "secret.parquet": secret, "secret.db": secret, "job/ok.csv": "plain", "job12/secret.csv": secret, "outside/secret.csv": secret} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("s\n"+content+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(root, filepath.Join(root, "job/link")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	n, err := actors.Start(ctx, setup.Config{Dir: root + "/own", Memory: 256 << 20, Slots: 2, Read: []string{root + "/job"}, Write: []string{root + "/job"}, Program: program})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return ctx, n, root
}

// callAs submits a job under a name of the node.
func callAs(t *testing.T, ctx context.Context, n *actors.Node, host, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+n.APIAddr()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	req.Header.Set("Authorization", n.Authorization())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}
