//go:build duckdb_arrow

package actors_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors"
	"github.com/pondmesh/pond/actors/sandbox"
	"github.com/pondmesh/pond/actors/setup"
)

const secret = "the secret of the test"

// guarded starts a node, whose engine processes are of a program unless there is none,
// that gives jobs ROOT/in to read and ROOT/out to write. Its
// data folder is ROOT/own, a key of it ROOT/in/tls.key.
func guarded(t *testing.T, program ...string) (context.Context, *actors.Node, string) {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"in/ok.csv", "in/tls.key", "out/old.csv", "own/secret.csv", "away/secret.csv"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, f)), 0o700); err != nil {
			t.Fatal(err)
		}
		content := "s\n" + secret + "\n"
		if f == "in/ok.csv" {
			content = "s\nplain\n"
		}
		if f != "own/secret.csv" {
			if err := os.WriteFile(filepath.Join(root, f), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for link, to := range map[string]string{"in/link": "../away", "in/own": "../own", "in/key.csv": "tls.key", "out/link": "../away", "out/own": "../own"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	n, err := actors.Start(ctx, setup.Config{Dir: root + "/own", Memory: 256 << 20, Slots: 2, Read: []string{root + "/in"}, Write: []string{root + "/out"}, Keys: []string{root + "/in/tls.key"}, Program: program})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	if err := os.WriteFile(filepath.Join(root, "own/secret.csv"), []byte("s\n"+secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return ctx, n, root
}

func call(t *testing.T, ctx context.Context, n *actors.Node, method, path, body string) (int, string) {
	t.Helper()
	return callWith(t, ctx, n, method, path, body, http.Header{})
}

// callWith is call with more headers.
func callWith(t *testing.T, ctx context.Context, n *actors.Node, method, path, body string, more http.Header) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+n.APIAddr()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	more.Set("Content-Type", "application/json")
	more.Set("Authorization", n.Authorization())
	req.Header = more
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

func text(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// query is a plan of one query, with what its maker claims of it.
func query(sql, more string) string {
	return `{"plan":{"nodes":[{"id":"q","sql":{"query":` + text(sql) + more + `}}],"sink":{"input":"q","collect":{}}}}`
}

// over is a plan of a query, and of a step over its rows.
func over(sql, more, step string) string {
	return `{"plan":{"nodes":[{"id":"q","sql":{"query":` + text(sql) + more + `}},{"id":"m","inputs":["q"],` + step + `}],"sink":{"input":"m","collect":{}}}}`
}

// forged are jobs that no client of ours would send. None may succeed.
var forged = map[string]string{
	// What a plan says of files and views.
	"an access list":                 over("SELECT 1 AS x", `,"access":["ROOT/in/ok.csv"]`, `"sql":{"query":"SELECT x, (SELECT content FROM read_text('ROOT/in/ok.csv')) FROM {0}"}`),
	"an access list of a later step": over("SELECT 1 AS x", ``, `"sql":{"query":"SELECT x, (SELECT content FROM read_text('ROOT/in/ok.csv')) FROM {0}","access":["ROOT/in/ok.csv"]}`),
	"an access list, computed":       query("SELECT content FROM read_text('ROOT/in/' || 'ok.csv')", `,"access":["ROOT/in/ok.csv"]`),
	"a whole folder":                 over("SELECT 1 AS x FROM read_text('ROOT/in/') UNION ALL SELECT 1", ``, `"map":{"sql":"x, (SELECT content FROM read_text('ROOT/in/ok.csv'))"}`),
	"the root":                       over("SELECT 1 AS x FROM read_text('/') UNION ALL SELECT 1", `,"access":["/"],"lax":["/"]`, `"map":{"sql":"x, (SELECT content FROM read_text('ROOT/in/ok.csv'))"}`),
	"two statements in a view":       query("FROM v", `,"views":[{"name":"v","sql":"SELECT 1 AS x; COPY (SELECT 1) TO 'ROOT/out/old.csv'"}]`),
	"a pivot and a COPY in a view":   query("FROM v", `,"views":[{"name":"v","sql":"PIVOT (FROM 'ROOT/in/ok.csv') ON s; COPY (SELECT 1) TO 'ROOT/in/ok.csv'"}]`),
	"a view that is no query":        query("FROM v", `,"views":[{"name":"v","sql":"COPY (SELECT 1) TO 'ROOT/out/old.csv'"}]`),
	"two statements":                 query("SELECT 1; COPY (SELECT 1) TO 'ROOT/out/old.csv'", ``),
	"two statements in a map":        over("SELECT 1 AS x", ``, `"map":{"sql":"x FROM range(1)); COPY (SELECT 1) TO 'ROOT/out/old.csv'; SELECT * FROM (SELECT 1"}`),
	"an option that goes on":         `{"plan":{"nodes":[{"id":"q","sql":{"query":"SELECT 1 AS x"}}],"sink":{"input":"q","write":{"path":"ROOT/out/new","format":"csv","options":{"header":"true); COPY (SELECT 1) TO 'ROOT/out/old.csv' (HEADER true"}}}}}`,
	"a folder that is relative":      `{"sql":"FROM 'x.csv'","dir":"../../etc"}`,
	// What is never read.
	"the data folder":             `{"sql":"FROM 'ROOT/own/secret.csv'"}`,
	"the data folder by a link":   `{"sql":"FROM 'ROOT/in/own/secret.csv'"}`,
	"the data folder by dots":     `{"sql":"FROM 'ROOT/in/../own/secret.csv'"}`,
	"the data folder by pattern":  `{"sql":"FROM 'ROOT/i*/own/*.csv'"}`,
	"the data folder by a URL":    `{"sql":"FROM 'file://ROOT/own/secret.csv'"}`,
	"the data folder by a read":   `{"plan":{"nodes":[{"id":"r","read":{"format":"csv","paths":["ROOT/in/own/secret.csv"]}}],"sink":{"input":"r","collect":{}}}}`,
	"the data folder, recursive":  `{"plan":{"nodes":[{"id":"r","read":{"format":"csv","paths":["ROOT/own"],"recursive":true}}],"sink":{"input":"r","collect":{}}}}`,
	"the data folder by a view":   `{"sql":"FROM v","views":[{"name":"v","sql":"FROM 'ROOT/own/secret.csv'"}]}`,
	"a key":                       `{"sql":"SELECT content FROM read_text('ROOT/in/tls.key')"}`,
	"a key by a link":             `{"sql":"FROM 'ROOT/in/key.csv'"}`,
	"a key among others":          `{"sql":"SELECT content FROM read_text('ROOT/in/*')"}`,
	"a process":                   `{"sql":"SELECT content FROM read_text('/proc/self/environ')"}`,
	"a process by a pattern":      `{"sql":"SELECT content FROM read_text('/proc/[s]elf/environ') UNION ALL SELECT error('nothing was read')"}`,
	"a device":                    `{"sql":"SELECT content FROM read_text('/dev/stdin')"}`,
	"outside of the roots":        `{"sql":"FROM 'ROOT/away/secret.csv'"}`,
	"outside of them by a link":   `{"sql":"FROM 'ROOT/in/link/secret.csv'"}`,
	"outside of them by a pivot":  `{"sql":"PIVOT (FROM 'ROOT/in/link/secret.csv') ON s"}`,
	"outside of them, SNIFF":      `{"sql":"FROM sniff_csv('ROOT/away/secret.csv')"}`,
	"outside of them by a name":   `{"sql":"FROM '../away/secret.csv'","dir":"ROOT/in"}`,
	"outside of them in a format": `{"plan":{"nodes":[{"id":"r","read":{"format":"arrow","paths":["ROOT/in/link/secret.csv"]}}],"sink":{"input":"r","collect":{}}}}`,
	// What is never written.
	"to the data folder":           `{"sql":"COPY (SELECT 1) TO 'ROOT/own/x.csv'"}`,
	"to the data folder by a link": `{"sql":"COPY (SELECT 1) TO 'ROOT/out/own/x' (FORMAT csv, PARTITION_BY (a))"}`,
	"over all":                     `{"sql":"COPY (SELECT 1) TO 'ROOT/' (FORMAT csv, OVERWRITE)"}`,
	"outside of the write roots":   `{"sql":"COPY (SELECT 1) TO 'ROOT/in/x.csv'"}`,
	"by a link":                    `{"sql":"COPY (SELECT 1) TO 'ROOT/out/link/x.csv'"}`,
	"by dots":                      `{"sql":"COPY (SELECT 1) TO 'ROOT/out/../away/x.csv'"}`,
	"to a device":                  `{"sql":"COPY (SELECT 1) TO '/dev/shm/x.csv'"}`,
	"by a plan":                    `{"plan":{"nodes":[{"id":"q","sql":{"query":"SELECT 1 AS x"}}],"sink":{"input":"q","write":{"path":"ROOT/own/x","format":"csv","mode":"overwrite"}}}}`,
}

// TestForged: jobs that are made up come to nothing, whether they are submitted,
// recorded and started, or only explained.
func TestForged(t *testing.T) {
	t.Run("in the node's process", func(t *testing.T) { testForged(t) })
	t.Run("in engine processes", func(t *testing.T) { testForged(t, engineProgram) })
	t.Run("where the kernel confines nothing", func(t *testing.T) { testForged(t, engineProgram, unconfined) })
}

func testForged(t *testing.T, program ...string) {
	ctx, n, root := guarded(t, program...)
	before := files(t, root, "in", "out", "away")
	i := 0
	for name, body := range forged {
		body = strings.ReplaceAll(body, "ROOT", root)
		code, said := call(t, ctx, n, http.MethodPost, "/v1/jobs?watch", body)
		if code/100 == 2 && !strings.Contains(said, `"error":{`) || strings.Contains(said, secret) {
			t.Errorf("%s: submitted: HTTP %d: %s", name, code, said)
		}
		i++
		id := fmt.Sprintf("%032x", i)
		record := `{"term":1,"spec":{"id":"` + id + `",` + body[1:] + `}`
		if code, said := call(t, ctx, n, http.MethodPut, "/v1/specs/"+id, record); code/100 != 2 {
			t.Fatalf("%s: HTTP %d: %s", name, code, said)
		}
		code, said = call(t, ctx, n, http.MethodPost, "/v1/jobs/"+id+"/start?term=1", "")
		if code/100 == 2 {
			code, said = call(t, ctx, n, http.MethodGet, "/v1/jobs/"+id+"/watch", "")
			if !strings.Contains(said, `"error":{`) {
				t.Errorf("%s: recorded: HTTP %d: %s", name, code, said)
			}
		}
		_, described := call(t, ctx, n, http.MethodPost, "/v1/describe", body)
		_, explained := call(t, ctx, n, http.MethodPost, "/v1/explain", body)
		if strings.Contains(said+described+explained, secret) {
			t.Errorf("%s: %s %s %s", name, said, described, explained)
		}
	}
	if after := files(t, root, "in", "out", "away"); after != before {
		t.Errorf("files before:\n%s\nafter:\n%s", before, after)
	}
	for _, id := range []string{"..%2f..%2fin%2fx", strings.Repeat("z", 32), "%2e%2e"} {
		plain := strings.NewReplacer("%2f", "/", "%2e", ".").Replace(id)
		if code, said := call(t, ctx, n, http.MethodPut, "/v1/specs/"+id, `{"term":1,"spec":{"id":`+text(plain)+`,"sql":"SELECT 1"}}`); code/100 != 4 && code/100 != 3 {
			t.Errorf("a record of job %s: HTTP %d: %s", id, code, said)
		}
	}
	for _, sql := range []string{"FROM 'ROOT/in/ok.csv'", "COPY (FROM 'ROOT/in/o*.csv') TO 'ROOT/out/new' (FORMAT parquet)", "COPY (SELECT 1) TO 'ROOT/out/x.csv'"} {
		code, said := call(t, ctx, n, http.MethodPost, "/v1/jobs?watch", `{"sql":`+text(strings.ReplaceAll(sql, "ROOT", root))+`}`)
		if !strings.Contains(said, `"succeeded"`) {
			t.Errorf("%s: HTTP %d: %s", sql, code, said)
		}
	}
	if filtered, all := confined(t); len(program) > 0 && strings.Contains(sandbox.Protection(), "Landlock (ABI") && (all == 0 || (filtered == 0) != slices.Contains(program, unconfined)) {
		t.Errorf("%d of %d engine processes are confined", filtered, all)
	}
}

// confinedBy is a process's filters of system calls once it is held to files: it has one
// more then than a blank one.
const confinedBy = "\nSeccomp_filters:\t3\n"

// confined counts the children of this process that are held to files, and all.
func confined(t *testing.T) (filtered, all int) {
	t.Helper()
	list, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range list {
		status, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(status), fmt.Sprintf("\nPPid:\t%d\n", os.Getpid())) {
			continue
		}
		all++
		if strings.Contains(string(status), confinedBy) {
			filtered++
		}
	}
	return filtered, all
}

// files are those outside of the data folder, with their contents.
func files(t *testing.T, root string, dirs ...string) string {
	t.Helper()
	var b strings.Builder
	for _, dir := range dirs {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() && d.Name() == "own" {
				return filepath.SkipDir
			}
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(path)
			fmt.Fprintf(&b, "%s: %s\n", path, content)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}
