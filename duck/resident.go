//go:build duckdb_arrow

package duck

import (
	"os"
	"strconv"
	"strings"
)

// resident is the bytes of memory that this process has now; 0 where the system
// does not say.
func resident() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(f[1], 10, 64) // no number: unknown, 0
	return pages * int64(os.Getpagesize())
}
