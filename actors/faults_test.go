package actors

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/metrics"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/setup"
	"github.com/pondmesh/pond/fs/faults"
	"github.com/pondmesh/pond/mesh"
)

const chaosKey = "a key of this test"

// faultyNode is a node as far as its API needs one, at which faults can be armed with a
// key; "": none can.
func faultyNode(t *testing.T, key string) *Node {
	t.Helper()
	n := &Node{id: "n", cfg: setup.Config{Secret: bytes.Repeat([]byte{1}, 32)}, log: slog.New(slog.DiscardHandler), metrics: metrics.New(func() metrics.Gauges { return metrics.Gauges{} })}
	if key != "" {
		var err error
		if n.cfg.Faults, err = faults.New(key, n.log); err != nil {
			t.Fatal(err)
		}
	}
	view := &mesh.View{}
	n.peers = &peers.Peers{View: func() *mesh.View { return view }}
	n.up.Store(true)
	return n
}

// Where no fault can be armed, and to who does not have the key, the routes for faults
// are not told from routes that do not exist.
func TestFaultRoutesAreHidden(t *testing.T) {
	ask := func(n *Node, method, path, key, body string) (int, string) {
		r := httptest.NewRequest(method, "http://127.0.0.1"+path, strings.NewReader(body))
		r.Header.Set(api.ChaosKeyHeader, key)
		w := httptest.NewRecorder()
		newEdge(n).Handler().ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	const order = `{"point": "report", "do": "drop"}`
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		code, body := ask(faultyNode(t, ""), method, "/v1/nothing", "", order)
		body = strings.ReplaceAll(body, "/v1/nothing", "/v1/faults")
		for name, c := range map[string]struct{ of, shown string }{"no key": {"", chaosKey}, "no key shown": {chaosKey, ""}, "another key": {chaosKey, chaosKey + "."}} {
			n := faultyNode(t, c.of)
			if gotCode, got := ask(n, method, "/v1/faults", c.shown, order); gotCode != code || got != body || code != http.StatusNotFound {
				t.Errorf("%s, %s: %d %s; a route that does not exist: %d %s", name, method, gotCode, got, code, body)
			}
			if n.cfg.Faults != nil && len(n.cfg.Faults.States()) > 0 {
				t.Errorf("%s: armed", name)
			}
		}
	}
}

// With the key faults are armed, told of and disarmed; what makes no sense is refused.
func TestFaultRoutes(t *testing.T) {
	n := faultyNode(t, chaosKey)
	s := httptest.NewServer(newEdge(n).Handler())
	defer s.Close()
	p := api.NewPeer(nil, n.cfg.Secret, nil).At(strings.TrimPrefix(s.URL, "http://"))
	o := faults.Order{Point: faults.Report, Do: faults.Drop, Times: 2}
	if err := p.ArmFault(t.Context(), chaosKey, o); err != nil {
		t.Fatal(err)
	}
	n.cfg.Faults.At(faults.Report)
	for _, ask := range []func() ([]faults.State, error){
		func() ([]faults.State, error) { return p.Faults(t.Context(), chaosKey) },
		func() ([]faults.State, error) { return p.DisarmFaults(t.Context(), chaosKey) },
	} {
		if got, err := ask(); err != nil || len(got) != 1 || got[0] != (faults.State{Order: o, Passed: 1, Fired: 1}) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if got, err := p.Faults(t.Context(), chaosKey); err != nil || len(got) != 0 {
		t.Errorf("disarmed: %+v, %v", got, err)
	}
	if err := p.ArmFault(t.Context(), chaosKey, faults.Order{Point: faults.Report, Do: faults.EIO}); plan.KindOf(err) != plan.KindUser || !strings.Contains(err.Error(), "use one of") {
		t.Errorf("a report with a disk's error: %v", err)
	}
	if err := p.ArmFault(t.Context(), chaosKey+".", o); plan.KindOf(err) != plan.KindNotFound {
		t.Errorf("another key: %v", err)
	}
}
