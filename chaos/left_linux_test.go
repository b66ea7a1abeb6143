package chaos

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/api"
)

// What is left behind is found: a process of a node that has ended, a file, a port.
func TestLeft(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := noStrays(dir, nil); err != nil {
		t.Errorf("nothing runs: %v", err)
	}
	p, err := spawn(ctx, []string{"POND_ENGINE_DIR=" + dir + "/node-1/engine-1"}, "", "sleep", "60")
	if err != nil {
		t.Fatal(err)
	}
	if err := noStrays(dir, map[int]bool{os.Getpid(): true}); err != nil {
		t.Errorf("the child of one that lives: %v", err)
	}
	if err := noStrays(dir, nil); err == nil || !strings.Contains(err.Error(), strconv.Itoa(p.PID())) {
		t.Errorf("a process is left: %v", err)
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if err := noStrays(dir, nil); err != nil {
		t.Errorf("it has ended: %v", err)
	}
	if err := nothingIn(filepath.Join(dir, "none")); err != nil {
		t.Errorf("no folder: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "note"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := nothingIn(dir); err == nil || !strings.Contains(err.Error(), "note") {
		t.Errorf("a file is left: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := free(l.Addr().String()); err == nil {
		t.Error("a port is taken, and said to be free")
	}
}

// A process that keeps goroutines, or files, is found, and not one that has connections;
// when they have gone it is well again.
func TestGrown(t *testing.T) {
	here := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "# TYPE go_goroutines gauge\ngo_goroutines %d\n", runtime.NumGoroutine())
	}))
	defer here.Close()
	node := api.NewPeer(nil, nil, nil).At(here.Listener.Addr().String())
	look := func() usage {
		t.Helper()
		u, err := use(t.Context(), node, os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	first := look()
	if first.goroutines < 2 || first.files < 3 {
		t.Fatalf("it has %+v", first)
	}
	leak := make(chan struct{})
	for range goroutinesGrowth + 20 {
		go func() { <-leak }()
	}
	if err := look().grown(first); err == nil || !strings.Contains(err.Error(), "goroutines") {
		t.Errorf("a leak of goroutines: %v", err)
	}
	close(leak)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := Await(ctx, func(context.Context) error { return look().grown(first) }); err != nil {
		t.Errorf("they have ended: %v", err)
	}
	for _, c := range []struct {
		files, goroutines int
		leaks             bool
	}{{0, 0, false}, {0, goroutinesGrowth, false}, {0, goroutinesGrowth + 1, true}, {20, 20*goroutinesOfFile + goroutinesGrowth, false}, {-20, goroutinesGrowth + 1, true}, {filesGrowth + 1, 0, true}} {
		u := usage{first.files + c.files, first.goroutines + c.goroutines}
		if err := u.grown(first); (err != nil) != c.leaks {
			t.Errorf("%d files and %d goroutines more: %v", c.files, c.goroutines, err)
		}
	}
}
