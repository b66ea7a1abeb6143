package process

import (
	"context"
	"log/slog"
	"os"

	"github.com/pondmesh/pond/actors/plan"
)

// What tells a program that it is an engine process.
const (
	envEngine = "POND_ENGINE"
	envDir    = "POND_ENGINE_DIR"
	socketFd  = 3
)

// Open makes an engine process ready: it returns what answers the node's requests.
// node takes its own calls, while it works on one; dir is its own folder.
type Open func(ctx context.Context, node Caller, dir string) (Handler, error)

// Main does the work of an engine process when this program was started as one, until
// the node ends it or is gone, and reports whether it was: the program then returns
// from main. It must be called first thing there, before flags are looked at.
func Main(open Open) bool {
	if os.Getenv(envEngine) == "" {
		return false
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	sock, err := unixConn(os.NewFile(socketFd, "node"))
	if err != nil {
		log.Error("this is no engine process of a node", "err", err)
		return true
	}
	ready := make(chan struct{})
	var handle Handler
	c := NewConn(sock, func(ctx context.Context, method string, body []byte, files []*os.File) ([]byte, []*os.File, error) {
		<-ready
		if handle == nil {
			return nil, nil, plan.AsError(err)
		}
		return handle(ctx, method, body, files)
	}, log)
	go func() {
		handle, err = open(c.ctx, c, os.Getenv(envDir))
		close(ready)
	}()
	<-c.Done()
	return true
}
