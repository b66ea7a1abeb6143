package plan

import "testing"

// TestBuilder checks when two stages are one: alike and certain to come out
// alike, unless they are told apart.
func TestBuilder(t *testing.T) {
	stage := func(sql string, deterministic bool) *Stage {
		return &Stage{Query: sql, Deterministic: deterministic, Exchange: Exchange{Kind: Single, Partitions: 1}, Tasks: Tasks{N: 1}}
	}
	first := NewBuilder("a", "salt", Result{})
	for i, c := range []struct {
		about string
		s     *Stage
		x     Identity
		want  int
	}{
		{"a stage", stage("SELECT 1", true), Identity{}, 0},
		{"another", stage("SELECT 2", true), Identity{}, 1},
		{"the first again", stage("SELECT 1", true), Identity{}, 0},
		{"its number says nothing", stage("SELECT 1", true), Identity{Number: 7}, 0},
		{"its twin", stage("SELECT 1", true), Identity{Twin: 1}, 2},
		{"it reads a file", stage("SELECT 1", true), Identity{Files: []File{{Path: "f"}}}, 3},
		{"it calls a function", stage("SELECT 1", true), Identity{Functions: []string{"f@1"}}, 4},
		{"it calls it twice", stage("SELECT 1", true), Identity{Functions: []string{"f@1", "f@1"}}, 4},
		{"it writes files", stage("SELECT 1", true), Identity{Once: true}, 5},
		{"it is not certain", stage("SELECT 1", false), Identity{Number: 1}, 6},
		{"another such", stage("SELECT 1", false), Identity{Number: 2}, 7},
	} {
		if got := first.Add(c.s, c.x); got != c.want {
			t.Errorf("%d, %s: stage %d, want %d", i, c.about, got, c.want)
		}
	}
	job := first.Job()
	again := NewBuilder("b", "salt", Result{Ordered: true}, job.Stages...)
	if got := again.Add(stage("SELECT 2", true), Identity{}); got != 1 || len(again.Job().Stages) != len(job.Stages) {
		t.Errorf("a stage that was there is stage %d of %d", got, len(again.Job().Stages))
	}
	if got := again.Add(stage("SELECT 1", false), Identity{Number: 1}); got != len(job.Stages) {
		t.Errorf("an uncertain stage of another job is stage %d", got)
	}
	if len(job.Stages) != 8 {
		t.Errorf("the first job grew to %d stages", len(job.Stages))
	}
	if other := NewBuilder("a", "newer", Result{}); other.Add(stage("SELECT 1", true), Identity{}) != 0 || other.Job().Stages[0].ID == job.Stages[0].ID {
		t.Error("the salt is not in the id")
	}
}

func TestViewsOfAStage(t *testing.T) {
	s := &Stage{Inputs: []Input{{View: "v0"}}}
	if kept := s.Keep("v", "v0"); kept != "v1" || s.NextView("v") != "v2" || len(s.Steps) != 1 || s.Steps[0] != (Step{View: "v1", SQL: `SELECT * FROM "v0"`, Materialize: true}) {
		t.Errorf("%s, %s, %+v", kept, s.NextView("v"), s.Steps)
	}
}

func TestRanges(t *testing.T) {
	for _, c := range []struct {
		ranges, tasks int
		want          string
	}{
		{2, 1, " USING SAMPLE reservoir(65536 ROWS) REPEATABLE (1)"},
		{2, 4, " USING SAMPLE reservoir(25000 ROWS) REPEATABLE (1)"},
		{2, 0, " USING SAMPLE reservoir(65536 ROWS) REPEATABLE (1)"},
		{2, 4000, " USING SAMPLE reservoir(256 ROWS) REPEATABLE (1)"},
		{1000, 10, " USING SAMPLE reservoir(20000 ROWS) REPEATABLE (1)"},
	} {
		if got := SampleClause(c.ranges, c.tasks); got != c.want {
			t.Errorf("%d ranges, %d tasks: %q, want %q", c.ranges, c.tasks, got, c.want)
		}
	}
	before, after := BoundsSQL("c0", 3)
	if got, want := before+"v"+after, "SELECT k FROM (SELECT c0 AS k, row_number() OVER (ORDER BY c0) AS i, count(*) OVER () AS n FROM v) WHERE i * 3 // n <> (i - 1) * 3 // n AND i < n ORDER BY k"; got != want {
		t.Error(got)
	}
}
