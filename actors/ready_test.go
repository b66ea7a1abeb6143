package actors

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestNotYetUp: who asks a node that still calls its peers is told so, at once.
func TestNotYetUp(t *testing.T) {
	n := faultyNode(t, "")
	served := newEdge(n).Handler()
	for up, code := range map[bool]int{false: http.StatusServiceUnavailable, true: http.StatusUnauthorized} {
		n.up.Store(up)
		w := httptest.NewRecorder()
		served.ServeHTTP(w, httptest.NewRequest("GET", "http://127.0.0.1/v1/members", nil))
		if w.Code != code {
			t.Errorf("up: %v: %d %s", up, w.Code, w.Body)
		}
	}
}
