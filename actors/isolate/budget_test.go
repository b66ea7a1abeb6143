package isolate

import "testing"

// What processes may have is within the node's memory, and what attempts count on is
// within that.
func TestBudget(t *testing.T) {
	for _, memory := range []int64{128 << 20, 256 << 20, 1 << 30, 64 << 30} {
		b := Budget(memory)
		for _, slots := range []int64{1, 2, 16} {
			granted := memory / slots
			limit, inside := b.Limit(granted), b.Inside(granted)
			if limit*slots > b.Processes() || b.Processes() >= memory || inside <= granted/4 || inside > limit*3/4 {
				t.Errorf("%d MiB, %d slots: a process has %d, its attempt %d", memory>>20, slots, limit>>20, inside>>20)
			}
		}
		if b.Limit(memory) != b.Processes() {
			t.Errorf("%d MiB: all of it is %d, of %d", memory>>20, b.Limit(memory), b.Processes())
		}
	}
	if b := Budget(64 << 30); b.Limit(1<<30) < 1<<30*99/100 {
		t.Errorf("much memory: %d of 1024 MiB", b.Limit(1<<30)>>20)
	}
}
