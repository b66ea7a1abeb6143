//go:build duckdb_arrow

package actors_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors"
	"github.com/pondmesh/pond/actors/api"
)

// as makes a request as a node does that passes it on for somebody.
func as(t *testing.T, n *actors.Node, who, method, path, body string) (int, string) {
	t.Helper()
	return callWith(t, t.Context(), n, method, path, body, http.Header{api.CallerHeader: {who}})
}

const (
	alice, bob, eve = "pond://submit/alice", "pond://submit/bob", "pond://admin/eve"
	reader          = "pond://read/bob"
)

// TestOwnersOnly: what a job runs, reads, says and gives is for its owner and admins;
// others may know that it is there.
func TestOwnersOnly(t *testing.T) {
	_, n, _ := startNode(t)
	submit := func(who, body string) (int, *api.JobStatus, string) {
		code, said := as(t, n, who, "POST", "/v1/jobs", body)
		st := new(api.JobStatus)
		_ = json.Unmarshal([]byte(said), st)
		return code, st, said
	}
	const spec = `{"id":"000102030405060708090a0b0c0d0e0f","sql":"SELECT 'secret' AS x","statement":"SELECT 'secret' AS x","name":"secret","owner":"bob","user":"bob"}`
	code, st, said := submit(alice, spec)
	if code != http.StatusOK || st.Owner != "alice" {
		t.Fatalf("HTTP %d: %s", code, said)
	}
	path := "/v1/jobs/" + string(st.ID)
	for who, want := range map[string]int{alice: http.StatusOK, eve: http.StatusOK, bob: http.StatusForbidden} {
		for _, of := range []string{"GET /rows", "GET /spec", "GET /explain", "POST /renew", "POST /cancel"} {
			method, rest, _ := strings.Cut(of, " ")
			code, said := as(t, n, who, method, path+rest, "")
			if want == http.StatusOK && code == http.StatusNoContent {
				code = want
			}
			if code != want || want == http.StatusForbidden && strings.Contains(said, "secret") {
				t.Errorf("%s, %s: HTTP %d: %s", who, of, code, said)
			}
		}
	}
	const failed = "/v1/jobs/ffff02030405060708090a0b0c0d0e0f"
	submit(alice, `{"id":"ffff02030405060708090a0b0c0d0e0f","sql":"SELECT error('secret')","statement":"SELECT error('secret')"}`) // its answer may be the failure
	if _, said := as(t, n, alice, "GET", failed+"/watch", ""); !strings.Contains(said, `"failed"`) {
		t.Fatal(said)
	}
	for _, list := range []string{"/v1/jobs", path, path + "/watch", failed, failed + "/watch"} {
		for who, sees := range map[string]bool{alice: true, eve: true, bob: false, reader: false} {
			code, said := as(t, n, who, "GET", list, "")
			if code != http.StatusOK || !strings.Contains(said, `"owner":"alice"`) || strings.Contains(said, "secret") != sees || strings.Contains(said, `"hidden":true`) == sees ||
				!sees && strings.Contains(said, `"segment"`) {
				t.Errorf("%s, %s: HTTP %d: %s", who, list, code, said)
			}
		}
	}
	// The same submission by another is another one, also when it says that it comes again.
	for _, again := range []string{"", "1"} {
		for who, want := range map[string]int{alice: http.StatusOK, bob: http.StatusConflict} {
			code, said := callWith(t, t.Context(), n, "POST", "/v1/jobs", spec, http.Header{api.CallerHeader: {who}, api.AgainHeader: {again}})
			if code != want || code != http.StatusOK && strings.Contains(said, "secret") {
				t.Errorf("handed in again by %s: HTTP %d: %s", who, code, said)
			}
		}
	}
}
