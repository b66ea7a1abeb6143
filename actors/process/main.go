package process

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"runtime"
	"sync/atomic"

	"github.com/pondmesh/pond/actors/plan"
)

// What tells a program that it is an engine process.
const (
	envEngine = "POND_ENGINE"
	envDir    = "POND_ENGINE_DIR"
	envConfig = "POND_ENGINE_CONFIG"
	socketFd  = 3
)

// Child is what an engine process knows when it starts.
type Child struct {
	Node   Caller // takes its calls, while it works on a request
	Dir    string // its own folder
	Config string // as its Pool's
	Log    *slog.Logger
}

// Open makes an engine process ready: it returns what answers the node's requests.
// Requests wait for it.
type Open func(ctx context.Context, c Child) (Handler, error)

// Main does the work of an engine process when this program was started as one, until
// the node ends it or is gone, and reports whether it was: the program then returns
// from main. It must be called first thing there, before flags are looked at.
func Main(open Open) bool {
	if os.Getenv(envEngine) == "" {
		called.Store(true)
		return false
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil)) // the node reads it
	sock, err := unixConn(os.NewFile(socketFd, "node"))
	if err != nil {
		log.Error("this is no engine process of a node", "err", err)
		return true
	}
	ready := make(chan struct{})
	var handle Handler
	c := NewConn(sock, func(ctx context.Context, method string, body []byte, files []*os.File) ([]byte, []*os.File, error) {
		if method == methodAlive {
			return nil, nil, nil
		}
		<-ready
		if handle == nil {
			return nil, nil, plan.AsError(err)
		}
		return handle(ctx, method, body, files)
	}, log)
	go func() {
		handle, err = open(c.ctx, Child{Node: c, Dir: os.Getenv(envDir), Config: os.Getenv(envConfig), Log: log})
		close(ready)
	}()
	<-c.Done()
	return true
}

// called is whether this program calls Main: only then another of it is an engine
// process. It is about the program, and so cannot be anybody's field.
var called atomic.Bool

// Program is what Config.Program is to be: this program, as it is on disk now or was
// when it started. It is nil for one that does not call Main first.
func Program() []string {
	if !called.Load() {
		return nil
	}
	if runtime.GOOS == "linux" {
		return []string{"/proc/self/exe"} // this very file, though an upgrade has replaced it
	}
	path, err := os.Executable()
	if err != nil {
		return nil
	}
	return []string{path}
}

// ErrNotMain is the error of a node that is started in an engine process.
var ErrNotMain = errors.New("this process was started to be an engine process, but its program did not call pond.Main first thing in main")

// Check is ErrNotMain in an engine process: its program would start nodes without end.
func Check() error {
	if os.Getenv(envEngine) != "" {
		return ErrNotMain
	}
	return nil
}
