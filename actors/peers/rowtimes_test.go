package peers

import (
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/mesh"
)

// Rows were read from the first time that one of their holders knows of to the last:
// nodes that hold none are not asked, and one that does not answer changes nothing.
func TestWithRowTimes(t *testing.T) {
	holder := func(id mesh.NodeID, first, last int64) mesh.Member {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/jobs/j/read" {
				t.Errorf("%s is asked for %s", id, r.URL.Path)
			}
			_ = json.NewEncoder(w).Encode(api.RowTimes{First: first, Last: last})
		}))
		t.Cleanup(srv.Close)
		addr := srv.Listener.Addr().(*net.TCPAddr)
		return mesh.Member{ID: id, Host: addr.IP.String(), API: addr.Port}
	}
	self, gone := mesh.Member{ID: "self", Host: "127.0.0.1", API: 1}, mesh.Member{ID: "gone", Host: "127.0.0.1", API: 2} // nobody listens
	late, early, never, other := holder("late", 50, 90), holder("early", 30, 60), holder("never", 0, 0), holder("other", 1, 1000)
	p := &Peers{Self: "self", API: api.NewPeer(nil, nil, nil), Log: slog.New(slog.DiscardHandler), View: func() *mesh.View {
		return &mesh.View{Members: []mesh.Member{self, gone, late, early, never, other}}
	}}
	defer p.API.Close()
	part := func(m mesh.Member, others ...mesh.Member) api.ResultPart {
		r := api.ResultPart{Addr: m.APIAddr()}
		for _, o := range others {
			r.Others = append(r.Others, o.APIAddr())
		}
		return r
	}
	for name, c := range map[string]struct {
		parts       []api.ResultPart
		first, last int64
	}{
		"no rows":       {nil, 0, 0},
		"nobody":        {[]api.ResultPart{part(never)}, 0, 0},
		"here":          {[]api.ResultPart{part(self)}, 40, 70},
		"elsewhere":     {[]api.ResultPart{part(late), part(never)}, 50, 90},
		"several":       {[]api.ResultPart{part(self), part(late), part(never)}, 40, 90},
		"second holder": {[]api.ResultPart{part(late, early)}, 30, 90},
		"one is not up": {[]api.ResultPart{part(gone), part(early)}, 30, 60},
		"none is there": {[]api.ResultPart{part(gone)}, 0, 0},
		"not in a view": {[]api.ResultPart{{Addr: "127.0.0.1:3"}}, 0, 0},
	} {
		s := &api.JobStatus{ID: "j", Result: &api.ResultInfo{Parts: c.parts}}
		got := p.WithRowTimes(t.Context(), s, func(id plan.JobID) api.RowTimes {
			if id != "j" {
				t.Errorf("asked for job %s", id)
			}
			return api.RowTimes{First: 40, Last: 70}
		})
		if got.FirstRow != c.first || got.LastRow != c.last || got.ID != "j" || s.FirstRow != 0 {
			t.Errorf("%s: from %d to %d, want %d to %d", name, got.FirstRow, got.LastRow, c.first, c.last)
		}
	}
	if s := (&api.JobStatus{ID: "j"}); p.WithRowTimes(t.Context(), s, nil) != s {
		t.Error("a job without a result is looked for")
	}
}
