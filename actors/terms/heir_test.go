package terms_test

import (
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/terms"
	"github.com/pondmesh/pond/mesh"
)

// TestHeir: the first home takes over as soon as the driver is gone, whatever was
// waited for while it lived; the next ones give it time; a driver starts its own job
// when nobody else does; a living one is asked now and then.
func TestHeir(t *testing.T) {
	all := []mesh.Member{{ID: "a", Boot: "1"}, {ID: "b", Boot: "1"}, {ID: "c", Boot: "1"}}
	rec := &api.Record{Spec: &api.JobSpec{ID: "j"}, Term: 1, Driver: api.Driver{Node: "a", Boot: "1"}, Homes: []string{"a", "b", "c"}}
	begin := time.Unix(1000, 0)
	for _, c := range []struct {
		name, self string
		died       time.Duration // 0: never
		want       []time.Duration
	}{
		{"the first home", "b", 30 * time.Second, []time.Duration{20 * time.Second, 30 * time.Second, 33 * time.Second}},
		{"the second", "c", 30 * time.Second, []time.Duration{20 * time.Second, 33 * time.Second, 36 * time.Second}},
		{"one that lives", "c", 0, []time.Duration{20 * time.Second}},
		{"the driver", "a", 0, []time.Duration{5 * time.Second, 8 * time.Second}},
	} {
		h := terms.NewHeir(rec, begin)
		var got []time.Duration
		for at := time.Duration(0); at < 39*time.Second; at += 500 * time.Millisecond {
			v := &mesh.View{Members: all}
			if c.died > 0 && at >= c.died {
				v.Members = all[1:]
			}
			if h.Due(v, rec, mesh.NodeID(c.self), begin.Add(at)) != terms.Wait {
				got = append(got, at)
			}
		}
		for i, want := range c.want {
			if i >= len(got) || got[i] != want {
				t.Errorf("%s acts at %v, want %v", c.name, got, c.want)
				break
			}
		}
	}
}
