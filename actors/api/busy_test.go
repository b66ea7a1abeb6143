package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
)

// A node without room for a request is asked again after a pause, also for what must
// not be done twice; one that refuses the request itself is not.
func TestBusyNode(t *testing.T) {
	for _, c := range []struct {
		name  string
		e     *plan.Error
		busy  int32 // times that the node says so
		asked int32
		kind  plan.Kind
	}{
		{"for a while", &plan.Error{Kind: plan.KindUnavailable, Op: OpReceive, Text: "full"}, 2, 3, 0},
		{"too large", &plan.Error{Kind: plan.KindUser, Op: OpReceive, Text: "more than 1 bytes"}, 9, 1, plan.KindUser},
	} {
		var asked atomic.Int32
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if asked.Add(1) <= c.busy {
				w.WriteHeader(StatusOf(c.e.Kind))
				_ = json.NewEncoder(w).Encode(FromError(c.e))
				return
			}
			w.WriteHeader(http.StatusNoContent)
		}))
		addr := strings.TrimPrefix(srv.URL, "http://")
		for _, client := range []*Client{NewClient(addr, nil), NewPondClient(ClientConfig{Addrs: []string{addr}})} {
			asked.Store(0)
			err := client.Leave(t.Context())
			if plan.KindOf(err) != c.kind && err != nil || err == nil != (c.kind == 0) || asked.Load() != c.asked {
				t.Errorf("%s: asked %d times: %v", c.name, asked.Load(), err)
			}
			client.Close()
		}
		srv.Close()
	}
}
