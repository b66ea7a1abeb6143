package jobs

import (
	"testing"
	"time"
)

// TestLease: looks, each after some time, with what was heard so far.
func TestLease(t *testing.T) {
	type look struct {
		after    time.Duration
		renewals int64
		ended    bool
	}
	const tick = lookMax / 4
	for _, test := range []struct {
		name  string
		max   time.Duration
		looks []look
	}{
		{"none needed", 0, []look{{tick, 0, false}, {time.Hour, 0, false}}},
		{"never renewed", 4 * tick, []look{{0, 0, false}, {tick, 0, false}, {3 * tick, 0, false}, {tick, 0, true}}},
		{"renewed in time", 4 * tick, []look{{0, 0, false}, {4 * tick, 0, false}, {tick, 1, false}, {4 * tick, 1, false}, {tick, 1, true}}},
		{"this process was stopped for an hour", 6 * tick, []look{{0, 3, false}, {tick, 3, false}, {time.Hour, 3, false}, {tick, 4, false}}},
		{"it stopped, and nobody came back", 6 * tick, []look{{0, 3, false}, {time.Hour, 3, false}, {tick, 3, false}, {tick, 3, false}, {tick, 3, true}}},
		{"a job that was planned for long", 4 * tick, []look{{time.Hour, 0, false}, {tick, 0, false}}},
	} {
		l, now := lease{max: test.max}, time.Unix(1_000_000, 0)
		for i, k := range test.looks {
			now = now.Add(k.after)
			if got := l.ended(now, k.renewals); got != k.ended {
				t.Errorf("%s: look %d: ended is %v", test.name, i, got)
			}
		}
	}
}
