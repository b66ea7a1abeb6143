package journal

import (
	"fmt"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// It is known of so many jobs, the latest, when their rows were first and last read.
func TestReads(t *testing.T) {
	r := reads{}
	r.note("a", 1)
	for i := range readsMax - 1 {
		r.note(plan.JobID(fmt.Sprint(i)), int64(2+i))
	}
	r.note("a", 10_000)
	r.note("b", 10_001)
	if len(r) != readsMax || r["a"] != (api.RowTimes{First: 1, Last: 10_000}) || r["b"] != (api.RowTimes{First: 10_001, Last: 10_001}) {
		t.Errorf("%d jobs, a: %+v, b: %+v", len(r), r["a"], r["b"])
	}
	if _, known := r["0"]; known {
		t.Error("the one that was read longest ago is known still")
	}
}
