package prepare_test

import (
	"testing"

	"github.com/pondmesh/pond/actors/prepare"
)

func TestCapacity(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		name   string
		nodes  []prepare.NodeSize
		slots  int
		target int64
		sort   int64
	}{
		{"nobody", nil, 0, 128 * mib, 128 * mib},
		{"much memory", []prepare.NodeSize{{Slots: 4, Memory: 64 << 30}}, 4, 128 * mib, 128 * mib},
		{"just enough", []prepare.NodeSize{{Slots: 2, Memory: 2 << 30}}, 2, 128 * mib, 16 * mib},
		{"a little less", []prepare.NodeSize{{Slots: 2, Memory: 2<<30 - 1}}, 2, 64 * mib, 8 * mib},
		{"the smallest decides", []prepare.NodeSize{{Slots: 8, Memory: 64 << 30}, {Slots: 1, Memory: 70 * mib}}, 9, 8 * mib, mib},
		{"not who runs nothing", []prepare.NodeSize{{Slots: 1, Memory: 8 << 30}, {Memory: 70 * mib}}, 1, 128 * mib, 128 * mib},
		{"next to nothing", []prepare.NodeSize{{Slots: 64, Memory: 64 * mib}}, 64, mib, mib},
	} {
		if got := prepare.CapacityOf(c.nodes...); got.Slots != c.slots || got.TargetBytes != c.target || got.SortBytes != c.sort {
			t.Errorf("%s: %+v; want %d slots, %d bytes, %d sorted", c.name, got, c.slots, c.target, c.sort)
		}
	}
}

// TestPivotTime: only a query that may have a PIVOT has the time to run one.
func TestPivotTime(t *testing.T) {
	for query, want := range map[string]bool{"PIVOT t ON a USING sum(b)": true, "FROM (PIVOT_WIDER t ON a USING sum(b))": true, "SELECT a FROM t": false} {
		if got := prepare.PivotTime(query) > 0; got != want {
			t.Errorf("%s: %t", query, got)
		}
	}
}
