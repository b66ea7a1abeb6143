//go:build duckdb_arrow

package pond_test

import (
	"os"
	"testing"

	"github.com/pondmesh/pond"
)

// TestMain has the tests' nodes run DuckDB in engine processes, which are this program
// again.
func TestMain(m *testing.M) {
	if pond.Main() {
		return
	}
	os.Exit(m.Run())
}
