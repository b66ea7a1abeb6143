//go:build duckdb_arrow

package isolate

import (
	"os"
	"testing"

	"github.com/pondmesh/pond/actors/process"
)

// TestMain makes this program an engine process when it is started as one.
func TestMain(m *testing.M) {
	if process.Main(Serve) {
		return
	}
	os.Exit(m.Run())
}
