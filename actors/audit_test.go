//go:build duckdb_arrow

package actors_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/setup"
	"github.com/pondmesh/pond/mesh/logtest"
)

// audits are the audit lines that a log has had since it was read last.
func audits(t *testing.T, log *logtest.Buffer) []map[string]any {
	t.Helper()
	var out []map[string]any
	for line := range strings.Lines(log.Take()) {
		m := map[string]any{}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if m["msg"] == "audit" && m["level"] == "INFO" {
			delete(m, "time")
			delete(m, "msg")
			delete(m, "level")
			out = append(out, m)
		}
	}
	return out
}

// TestAudit: every submission leaves one line, whatever comes of it, that says who,
// whence, what and which files, and nothing of the statement itself.
func TestAudit(t *testing.T) {
	log := new(logtest.Buffer)
	n, err := actors.Start(t.Context(), setup.Config{Dir: t.TempDir(), Memory: 256 << 20, Slots: 2, Log: slog.New(slog.NewJSONHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	dir := t.TempDir()
	var reads []any
	for i := range 6 {
		file := filepath.Join(dir, fmt.Sprintf("%d.csv", i))
		if err := os.WriteFile(file, []byte("secret\n1\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		reads = append(reads, file)
	}
	six := "SELECT secret FROM read_csv(" + strings.ReplaceAll(fmt.Sprintf("%q", reads), `" "`, `", "`) + ")"
	six = strings.ReplaceAll(six, `"`, "'")
	copied := "COPY (SELECT 'secret' AS x) TO '" + dir + "/out' (FORMAT parquet)"
	sum := func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:])[:16] }
	id := func(i int) string { return fmt.Sprintf("%032x", i) }
	sql := func(i int, s string) string { return `{"id":"` + id(i) + `","sql":` + text(s) + `,"user":"carl"}` }
	for i, test := range []struct {
		who, body string
		code      int
		want      map[string]any
	}{
		{alice, sql(0, "SELECT 'secret' AS x"), http.StatusOK, map[string]any{"user": "alice", "role": "submit", "job": id(0), "statement": sum("SELECT 'secret' AS x"), "files": 0.0, "reads": []any{}, "outcome": "taken"}},
		{"", sql(1, six), http.StatusOK, map[string]any{"user": "carl", "role": "node", "job": id(1), "statement": sum(six), "files": 6.0, "reads": reads[:4], "outcome": "taken"}},
		{eve, sql(2, copied), http.StatusOK, map[string]any{"user": "eve", "role": "admin", "job": id(2), "statement": sum(copied), "files": 0.0, "reads": []any{}, "writes": dir + "/out", "outcome": "taken"}},
		{alice, sql(3, "SELECT secret FROM"), http.StatusUnprocessableEntity, map[string]any{"user": "alice", "role": "submit", "job": id(3), "statement": sum("SELECT secret FROM"), "outcome": "refused", "why": "user"}},
		{bob, sql(0, "SELECT 'secret' AS x"), http.StatusConflict, map[string]any{"user": "bob", "role": "submit", "job": id(0), "statement": sum("SELECT 'secret' AS x"), "files": 0.0, "reads": []any{}, "outcome": "refused", "why": "exists"}},
		{alice, "secret", http.StatusUnprocessableEntity, map[string]any{"user": "alice", "role": "submit", "job": "", "statement": "", "outcome": "refused", "why": "user"}},
		{reader, sql(4, "SELECT 'secret' AS x"), http.StatusForbidden, map[string]any{"user": "bob", "role": "read", "job": "", "statement": "", "outcome": "refused", "why": "denied"}},
	} {
		for _, path := range []string{"/v1/jobs", "/v1/jobs?watch"} {
			header := http.Header{}
			if test.who != "" {
				header.Set(api.CallerHeader, test.who)
			}
			code, said := callWith(t, t.Context(), n, "POST", path, test.body, header)
			if watched := strings.Contains(path, "?") && strings.Contains(said, `"next_id"`); code != test.code && !watched {
				t.Errorf("%d: HTTP %d: %s", i, code, said)
			}
			lines := audits(t, log)
			if len(lines) != 1 {
				t.Errorf("%d, %s: %d lines: %v", i, path, len(lines), lines)
				continue
			}
			if from, _ := lines[0]["from"].(string); !strings.HasPrefix(from, "127.0.0.1:") {
				t.Errorf("%d: from %q", i, from)
			}
			if delete(lines[0], "from"); !reflect.DeepEqual(lines[0], test.want) {
				t.Errorf("%d, %s:\n%v\nwant\n%v", i, path, lines[0], test.want)
			}
		}
	}
}
