package peers

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/mesh"
)

// otherNode answers for jobs as a node does that knows these, and no others.
func otherNode(t *testing.T, id mesh.NodeID, known ...api.JobStatus) mesh.Member {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/jobs/{id}", func(w http.ResponseWriter, r *http.Request) {
		for _, s := range known {
			if string(s.ID) == r.PathValue("id") {
				_ = json.NewEncoder(w).Encode(s)
				return
			}
		}
		w.WriteHeader(http.StatusNotFound)
		_ = json.NewEncoder(w).Encode(api.FromError(NoJob(plan.JobID(r.PathValue("id")))))
	})
	mux.HandleFunc("GET /v1/specs", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(known) })
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	host, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return mesh.Member{ID: id, Host: host, API: n}
}

// A job is found wherever it is, on whoever runs it rather than on who only has its
// record; and who is asked in vain says why.
func TestFind(t *testing.T) {
	queued := api.JobStatus{ID: "recorded", State: api.Queued, Submitted: 1}
	runs := api.JobStatus{ID: "runs", State: api.Running, Submitted: 2, Coordinator: "b"}
	ended := api.JobStatus{ID: "ended", State: api.Failed, Submitted: 3, Coordinator: "c"}
	waiting := api.JobStatus{ID: "runs", State: api.Queued, Submitted: 2}
	a, b, c := otherNode(t, "a", queued, waiting), otherNode(t, "b", runs), otherNode(t, "c", ended)
	gone := otherNode(t, "gone")
	gone.API = 1 // nobody listens
	members := []mesh.Member{{ID: "self"}, a, b, c, gone}
	p := &Peers{
		Self: "self", View: func() *mesh.View { return &mesh.View{Members: members} },
		Here: func() []api.JobStatus {
			return []api.JobStatus{{ID: "here", State: api.Running, Submitted: 4, Coordinator: "self"}}
		},
		API: api.NewPeer(nil, nil, nil), Log: slog.New(slog.DiscardHandler),
	}
	defer p.API.Close()
	for id, want := range map[plan.JobID]string{"recorded": a.APIAddr(), "runs": b.APIAddr(), "ended": c.APIAddr(), "none": ""} {
		if addr, ok := p.Node(t.Context(), id); addr != want || ok != (want != "") {
			t.Errorf("%s is at %q, want %q", id, addr, want)
		}
	}
	all, err := p.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var order []plan.JobID
	for _, s := range all {
		order = append(order, s.ID)
		if s.Error != nil || s.ID == "runs" && s.State != api.Running {
			t.Errorf("%+v", s)
		}
	}
	if len(order) != 4 || order[0] != "here" || order[3] != "recorded" {
		t.Errorf("jobs in order: %v", order)
	}
	if err := p.WhyNot(t.Context(), "recorded"); !errors.Is(err, plan.ErrUnavailable) {
		t.Errorf("a job that nobody coordinates at the moment: %v", err)
	}
	if err := p.WhyNot(t.Context(), "none"); !errors.Is(err, plan.ErrNotFound) {
		t.Errorf("a job that nobody knows: %v", err)
	}
	if _, err := p.Live(t.Context()); err == nil {
		t.Error("what lives is known although a node does not answer")
	}
	members = members[:4]
	live, err := p.Live(t.Context())
	if err != nil || len(live) != 3 || !live["here"] || !live["runs"] || !live["recorded"] {
		t.Errorf("live: %v, %v", live, err)
	}
}

// TestHomes: three nodes keep a job's record, none of them on its way out, and
// every other one is there to be asked.
func TestHomes(t *testing.T) {
	v := &mesh.View{}
	for i, id := range []mesh.NodeID{"a", "b", "c", "d", "e"} {
		v.Members = append(v.Members, mesh.Member{ID: id, Host: "h", API: i + 1})
	}
	v.Members[4].State = mesh.Leaving
	p := &Peers{Self: "b", View: func() *mesh.View { return v }}
	for range 100 {
		id := p.OwnJobID()
		homes, others := p.Homes(id)
		if len(homes) != 3 || len(others) != 2 || homes[0] != v.Members[1] || slices.Contains(homes, v.Members[4]) {
			t.Fatalf("job %s: homes %v, others %v", id, homes, others)
		}
	}
	p.Self = "e" // which is leaving: an id is found all the same
	if id := p.OwnJobID(); id == "" {
		t.Error("no id")
	}
}
