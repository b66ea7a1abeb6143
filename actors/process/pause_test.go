package process

import (
	"runtime"
	"testing"
	"time"
)

// Memory is looked at again before all cores together can have come near its limit.
func TestPause(t *testing.T) {
	second := growth * int64(runtime.NumCPU()) // what may be taken in one
	for _, c := range []struct {
		name          string
		memory, limit int64
		want          time.Duration
	}{
		{"no limit", second, 0, lookBusy},
		{"far below", 0, 100 * second, lookBusy},
		{"a tenth of a second below", second * 6 / 10, second, 100 * time.Millisecond},
		{"near", second * 7 / 10, second, lookNear},
		{"beyond", 2 * second, second, lookNear},
	} {
		if got := pause(c.memory, c.limit).Round(time.Millisecond); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// A blank process is started once nothing runs beside it, or has been awaited for long.
func TestMayStart(t *testing.T) {
	for _, c := range []struct {
		name          string
		ready         int
		busy          bool
		waited, quiet time.Duration
		want          bool
	}{
		{"none is ready", 0, false, tidyPause, 0, true},
		{"none is ready, a request runs", 0, true, tidyPause, tidyPause, false},
		{"none is ready, a request runs for long", 0, true, tidyMax - 1, tidyMax - 1, false},
		{"none is ready, awaited for long", 0, true, tidyMax, 0, true},
		{"one is ready, a request just went", 1, false, tidyPause, tidyQuiet - 1, false},
		{"one is ready, all is quiet", 1, false, tidyQuiet, tidyQuiet, true},
		{"one is ready, requests come and go", 1, true, tidyMax, 0, true},
	} {
		if got := mayStart(c.ready, c.busy, c.waited, c.quiet); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}
