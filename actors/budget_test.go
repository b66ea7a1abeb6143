//go:build duckdb_arrow

package actors

import (
	"testing"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/mesh"
)

func TestCapacity(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		name    string
		members []mesh.Member
		slots   int
		target  int64
	}{
		{"nobody", nil, 0, 128 * mib},
		{"much memory", []mesh.Member{{Slots: 4, Memory: 64 << 30}}, 4, 128 * mib},
		{"just enough", []mesh.Member{{Slots: 2, Memory: 2 << 30}}, 2, 128 * mib},
		{"a little less", []mesh.Member{{Slots: 2, Memory: 2<<30 - 1}}, 2, 64 * mib},
		{"the smallest decides", []mesh.Member{{Slots: 8, Memory: 64 << 30}, {Slots: 1, Memory: 70 * mib}}, 9, 8 * mib},
		{"who is leaving does not", []mesh.Member{{Slots: 1, Memory: 8 << 30}, {Slots: 1, Memory: 70 * mib, State: mesh.Leaving}}, 1, 128 * mib},
		{"nor who runs nothing", []mesh.Member{{Slots: 1, Memory: 8 << 30}, {Memory: 70 * mib}}, 1, 128 * mib},
		{"next to nothing", []mesh.Member{{Slots: 64, Memory: 64 * mib}}, 64, mib},
	} {
		slots, target := capacity(&mesh.View{Members: c.members})
		if slots != c.slots || target != c.target {
			t.Errorf("%s: %d slots, %d bytes; want %d, %d", c.name, slots, target, c.slots, c.target)
		}
	}
}

func TestRowGroups(t *testing.T) {
	for _, c := range []struct {
		name    string
		memory  int64
		threads int
		frugal  bool
		write   plan.Write
		want    string
	}{
		{"enough", 4 << 30, 2, false, plan.Write{Format: plan.Parquet}, ""},
		{"enough, second try", 4 << 30, 1, true, plan.Write{Format: plan.Parquet}, "30720"},
		{"little", 70 << 20, 1, false, plan.Write{Format: plan.Parquet}, "22528"},
		{"less a thread", 70 << 20, 2, false, plan.Write{Format: plan.Parquet}, "10240"},
		{"least", 8 << 20, 4, true, plan.Write{Format: plan.Parquet}, "8192"},
		{"other formats", 8 << 20, 4, true, plan.Write{Format: plan.CSV}, ""},
		{"the user's", 8 << 20, 4, true, plan.Write{Format: plan.Parquet, Options: map[string]string{"ROW_GROUP_SIZE": "77"}}, "77"},
		{"the user's bytes", 8 << 20, 4, true, plan.Write{Format: plan.Parquet, Options: map[string]string{"row_group_size_bytes": "77"}}, ""},
	} {
		task := &task{a: &attempt{memory: c.memory}, threads: c.threads, frugal: c.frugal}
		if got := task.copyOptions(&c.write)["row_group_size"]; got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
