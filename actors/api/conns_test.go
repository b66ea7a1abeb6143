package api

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/plan"
)

// A node that takes connections and answers nothing holds up nobody once it is
// lost, and is called again once it is back.
func TestConnsOfLostNode(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	thaw, asked := make(chan struct{}), make(chan struct{}, 8)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-thaw:
			_, _ = io.WriteString(w, `{"node":"n"}`)
		case <-r.Context().Done():
		}
	})}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	addr := l.Addr().String()
	conns := NewConns()
	c := NewPeer(nil, nil, conns.Dial).At(addr)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)

	failed := make(chan error)
	go func() {
		_, err := c.Version(ctx)
		failed <- err
	}()
	<-asked
	conns.Cut(addr)
	if err := <-failed; !errors.Is(err, plan.ErrUnavailable) {
		t.Errorf("a question to a node that is lost: %v", err)
	}
	if _, err := c.Version(ctx); !errors.Is(err, plan.ErrUnavailable) || len(asked) > 0 {
		t.Errorf("a question to a node that was lost: %v, asked %d times", err, len(asked))
	}
	conns.Mend(addr)
	close(thaw)
	if v, err := c.Version(ctx); err != nil || v.Node != "n" {
		t.Errorf("a question to a node that is back: %v, %v", v, err)
	}
	c.Close()
	if conns.mu.Lock(); len(conns.open) != 0 {
		t.Errorf("%d addresses have connections after all were closed", len(conns.open))
	}
	conns.mu.Unlock()
}
