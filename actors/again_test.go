//go:build duckdb_arrow

package actors_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/pondmesh/pond/actors/api"
)

// A job that is handed in again, since nobody knows whether it was taken, is the one
// that was: it is not planned once more, though its files are gone. One that was not
// taken is taken.
func TestHandedInAgain(t *testing.T) {
	ctx, n, _ := startNode(t)
	c := api.NewClient(n.APIAddr(), nil)
	defer c.Close()
	file := filepath.Join(t.TempDir(), "a.csv")
	if err := os.WriteFile(file, []byte("x\n1\n2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	id, err := c.NewJobID(ctx)
	if err != nil {
		t.Fatal(err)
	}
	spec := func() *api.JobSpec {
		return &api.JobSpec{ID: id, Query: api.Query{SQL: "FROM '" + file + "'", Dir: "/"}}
	}
	end := func(again bool) (last *api.JobStatus) {
		t.Helper()
		asked := ctx
		if again {
			asked = api.Again(ctx)
		}
		for st, err := range c.Run(asked, spec()) {
			if err != nil {
				t.Fatal(err)
			}
			last = st
		}
		return last
	}
	first := end(true) // nobody has taken it
	if first.State != api.Succeeded || first.Rows != 2 || first.ID != id {
		t.Fatalf("%+v", first)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if again := end(true); again.ID != id || again.Ended != first.Ended {
		t.Errorf("again: %+v, first: %+v", again, first)
	}
	if st, err := c.Submit(api.Again(ctx), spec()); err != nil || st.Ended != first.Ended {
		t.Errorf("without waiting: %+v, %v", st, err)
	}
}

// A submission that broke off takes its job along, unless the client has gone on with
// it by another node.
func TestAbandon(t *testing.T) {
	ctx, n, _ := startNode(t)
	peer := api.NewPeer(nil, nil, nil).At(n.APIAddr())
	defer peer.Close()
	for _, claimed := range []bool{true, false} {
		id, err := peer.NewJobID(ctx)
		if err != nil {
			t.Fatal(err)
		}
		spec := &api.JobSpec{ID: id, Query: api.Query{SQL: "SELECT sum(a.range * b.range) AS s FROM range(3000000) a, range(3000000) b", Dir: "/"}}
		if _, err := peer.Submit(ctx, spec); err != nil {
			t.Fatal(err)
		}
		if claimed {
			if _, err := peer.Submit(api.Again(ctx), spec); err != nil {
				t.Fatal(err)
			}
		}
		other := *spec
		other.SQL += " -- only the id is the same"
		for _, of := range []*api.JobSpec{&other, spec} {
			if err := of.Seal(); err != nil {
				t.Fatal(err)
			}
			if err := peer.Abandon(ctx, of); err != nil {
				t.Fatal(err)
			}
			if st, err := peer.Job(ctx, id); of == &other && (err != nil || st.State.Ended()) {
				t.Errorf("another submission's end ends the job: %+v, %v", st, err)
			}
		}
		st, err := peer.Job(ctx, id)
		if err != nil || claimed == st.State.Ended() {
			t.Errorf("claimed: %v: %+v, %v", claimed, st, err)
		}
		if _, err := peer.Cancel(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
}
