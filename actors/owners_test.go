//go:build duckdb_arrow

package actors_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/auth"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/shuffle"
	"github.com/pondmesh/pond/shuffle/transfer"
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

// TestResultsOfOthers: rows are read from a node that holds them by the job's owner and by
// admins, though somebody else knows their segments. A user that runs the same statement
// gets rows that are that user's.
func TestResultsOfOthers(t *testing.T) {
	ctx, n, _ := startNode(t)
	type client struct {
		*api.Client
		blocks *transfer.Client
		rows   *api.ResultReader
	}
	as := func(id auth.Identity) client {
		c := api.NewPondClient(api.ClientConfig{Addrs: []string{n.APIAddr()}, Token: n.TokenOf(id)})
		blocks := transfer.NewClient(transfer.ClientConfig{Authorization: c.Authorization, RetriesMax: -1})
		t.Cleanup(func() { blocks.Close(); c.Close() })
		return client{c, blocks, api.NewResultReader(c, blocks)}
	}
	run := func(c client) *api.ResultInfo {
		var last *api.JobStatus
		for st, err := range c.Run(ctx, &api.JobSpec{Query: api.Query{SQL: "SELECT i, 'secret' AS s FROM range(1000) t(i)", Dir: "/"}}) {
			if err != nil {
				t.Fatal(err)
			}
			last = st
		}
		if last.State != api.Succeeded || len(last.Result.Parts) != 1 {
			t.Fatalf("%+v", last)
		}
		last.Result.First = nil // which goes to whom the job is: others only know where the rows are
		return last.Result
	}
	ann, bob, eve := as(auth.Identity{User: "ann", Role: auth.Submit}), as(auth.Identity{User: "bob", Role: auth.Submit}), as(auth.Identity{User: "eve", Role: auth.Admin})
	anns := run(ann)
	if again := run(ann); again.Parts[0].Segment != anns.Parts[0].Segment {
		t.Error("the owner's own rows are made again")
	}
	bobs := run(bob)
	if bobs.Parts[0].Segment == anns.Parts[0].Segment {
		t.Error("a user's result is another user's segment")
	}
	for name, test := range map[string]struct {
		of   client
		info *api.ResultInfo
		want error
	}{"the owner": {ann, anns, nil}, "an admin": {eve, anns, nil}, "another": {bob, anns, plan.ErrDenied}, "the other's own": {bob, bobs, nil}, "of the other's": {ann, bobs, plan.ErrDenied}} {
		result, err := test.of.rows.Open(ctx, test.info, nil)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if err != nil {
			if pe := plan.AsError(err); !strings.Contains(pe.Hint, "admin") {
				t.Errorf("%s: %#v", name, pe)
			}
			id, err := shuffle.ParseSegmentID(test.info.Parts[0].Segment)
			if err != nil {
				t.Fatal(err)
			}
			stream, err := test.of.blocks.Fetch(ctx, n.APIAddr(), []transfer.Want{{Segment: id, Partition: transfer.AllPartitions}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Next(); !errors.Is(err, transfer.ErrDenied) || !errors.Is(api.FetchError(ctx, err), plan.ErrDenied) {
				t.Errorf("%s: blocks of it: %v", name, err)
			}
			stream.Close()
			continue
		}
		rows := int64(0)
		for rec, err := range result.All(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			rows += rec.NumRows()
		}
		if rows != 1000 {
			t.Errorf("%s: %d rows", name, rows)
		}
	}
}
