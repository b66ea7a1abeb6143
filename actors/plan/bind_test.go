package plan

import (
	"testing"
)

func TestBind(t *testing.T) {
	s := &Stage{ID: "abc", Steps: []Step{{View: "v1", SQL: "SELECT {partition}, '{partition}', {'partition': 1}"}}, Query: "SELECT {partitions} -- {seed}"}
	steps, query := s.Bind(3, 8)
	if got, want := steps[0].SQL, "SELECT 3, '{partition}', {'partition': 1}"; got != want {
		t.Errorf("step %q, want %q", got, want)
	}
	if got, want := query, "SELECT 8 -- {seed}"; got != want {
		t.Errorf("query %q, want %q", got, want)
	}
	if s.Steps[0].SQL == steps[0].SQL {
		t.Error("Bind changed the stage")
	}
	seeds := map[string]bool{}
	s.Query = "{seed}"
	for p := range 100 {
		_, q := s.Bind(p, 100)
		if _, again := s.Bind(p, 100); again != q {
			t.Fatalf("the seed of partition %d changed", p)
		}
		seeds[q] = true
	}
	if len(seeds) < 100 {
		t.Errorf("100 partitions have %d seeds", len(seeds))
	}
}
