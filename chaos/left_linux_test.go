package chaos

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
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
