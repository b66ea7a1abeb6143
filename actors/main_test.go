//go:build duckdb_arrow

package actors_test

import (
	"os"
	"slices"
	"testing"

	"github.com/pondmesh/pond/actors/isolate"
	"github.com/pondmesh/pond/actors/process"
)

// Tests that want engine processes have a node start this program; with unconfined as
// its argument it leaves out what the kernel enforces.
const (
	engineProgram = "/proc/self/exe"
	unconfined    = "unconfined"
)

// TestMain makes this program an engine process when it is started as one. Else it does
// not ask, so that nodes that say nothing have their engines in this process.
func TestMain(m *testing.M) {
	if process.Check() == nil {
		os.Exit(m.Run())
	}
	serve := isolate.Serve
	if slices.Contains(os.Args, unconfined) {
		serve = isolate.Unconfined
	}
	process.Main(serve)
}
