package exec

import (
	"testing"

	"github.com/pondmesh/pond/actors/plan"
)

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
		task := &task{a: Attempt{Memory: c.memory}, threads: c.threads, frugal: c.frugal}
		if got := task.copyOptions(&c.write)["row_group_size"]; got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
