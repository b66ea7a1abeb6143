package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/auth"
	"github.com/pondmesh/pond/actors/plan"
)

// TestLines: a line says who, whence, what and which files, as far as this node has found
// them out itself.
func TestLines(t *testing.T) {
	const secret = "SELECT 'secret'"
	hash := sha256.Sum256([]byte(secret))
	sum := hex.EncodeToString(hash[:])[:16]
	long := strings.Repeat("a", 300)
	copied := &plan.Plan{
		Nodes: []plan.Node{
			{Read: &plan.ReadOp{Paths: []string{"/b", "/a"}}},
			{SQL: &plan.SQLOp{Access: []string{"/a", "/d", "/e", long}}},
			{SQL: &plan.SQLOp{Access: []string{"/claimed"}}, Inputs: []plan.NodeID{"x"}},
		},
		Sink: plan.Sink{Write: &plan.Write{Path: "/out"}},
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	ann := auth.Identity{User: "ann", Role: auth.Submit}
	for name, c := range map[string]struct {
		ctx  context.Context
		by   auth.Identity
		spec *api.JobSpec
		err  error
		want map[string]any // beside from
	}{
		"taken": {t.Context(), ann, &api.JobSpec{ID: "1", User: "carl", Query: api.Query{SQL: secret}}, nil,
			map[string]any{"user": "ann", "role": "submit", "job": "1", "statement": sum, "outcome": "taken"}},
		"for somebody": {t.Context(), auth.Identity{Role: auth.Node}, &api.JobSpec{ID: "1", User: "carl"}, nil,
			map[string]any{"user": "carl", "role": "node", "job": "1", "statement": "", "outcome": "taken"}},
		"planned": {t.Context(), ann, &api.JobSpec{ID: "1", Plan: copied, Digest: "sealed"}, nil,
			map[string]any{"user": "ann", "role": "submit", "job": "1", "statement": "", "files": 5.0, "reads": []any{"/a", "/b", "/d", "/e"}, "writes": "/out", "outcome": "taken"}},
		"its client's word": {t.Context(), ann, &api.JobSpec{ID: "1", Plan: copied}, nil,
			map[string]any{"user": "ann", "role": "submit", "job": "1", "statement": "", "outcome": "taken"}},
		"no job": {t.Context(), ann, nil, plan.ErrDenied,
			map[string]any{"user": "ann", "role": "submit", "job": "", "statement": "", "outcome": "refused", "why": "denied"}},
		"endless names": {t.Context(), auth.Identity{User: long}, &api.JobSpec{ID: plan.JobID(long)}, errors.New("broken"),
			map[string]any{"user": long[:256] + "…", "role": auth.Role(0).String(), "job": long[:256] + "…", "statement": "", "outcome": "refused", "why": "internal"}},
		"its client left": {gone, ann, &api.JobSpec{ID: "1"}, context.Canceled,
			map[string]any{"user": "ann", "role": "submit", "job": "1", "statement": "", "outcome": "abandoned"}},
	} {
		var text bytes.Buffer
		r := httptest.NewRequest("POST", "/v1/jobs", nil)
		noted := New(r, c.by, c.spec)
		if c.spec != nil {
			c.spec.SQL = "" // as planning leaves it
		}
		noted.End(c.ctx, slog.New(slog.NewJSONHandler(&text, nil)), c.err)
		got := map[string]any{}
		if err := json.Unmarshal(text.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if got["msg"] != "audit" || got["from"] != r.RemoteAddr || strings.Contains(text.String(), "secret") {
			t.Errorf("%s: %s", name, &text)
		}
		for _, k := range []string{"time", "level", "msg", "from"} {
			delete(got, k)
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n%v\nwant\n%v", name, got, c.want)
		}
	}
}
