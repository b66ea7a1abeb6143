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
		busy   bool
		waited time.Duration
		want   bool
	}{{false, tidyPause, true}, {true, tidyPause, false}, {true, tidyMax - 1, false}, {true, tidyMax, true}} {
		if got := mayStart(c.busy, c.waited); got != c.want {
			t.Errorf("busy %t, after %v: %t", c.busy, c.waited, got)
		}
	}
}
