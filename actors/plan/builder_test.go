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

// Whatever its rows or its partitions hang on is in a stage's id: what was made of a
// stage that differs there is not taken for its own. Names, hints and where stages stand
// in their job are not.
func TestWhatIsInAnID(t *testing.T) {
	base := func() *Stage {
		return &Stage{
			Name:   "s",
			Inputs: []Input{{View: "v0", Scan: &Scan{Format: CSV, Splits: [][]Piece{{{Path: "f", Rows: 9, Whole: true}}}}}, {View: "v1", Read: &Read{Stages: []int{0}, How: ReadPartition}}},
			Steps:  []Step{{View: "v2", SQL: "SELECT 1"}}, Query: "FROM v2", Deterministic: true,
			Exchange: Exchange{Kind: Hash, Partitions: 4, Keys: []string{"a"}}, Tasks: Tasks{N: 2}, Access: []string{"f"},
		}
	}
	id := func(b *Builder, s *Stage) StageID {
		job := b.Job()
		return job.Stages[b.Add(s, Identity{Files: []File{{Path: "f", Size: 1, ModTime: 1}}})].ID
	}
	pond := func() *Builder {
		b := NewBuilder("a", "salt", Result{})
		b.Add(&Stage{Query: "SELECT 1", Deterministic: true, Exchange: Exchange{Kind: Single, Partitions: 1}, Tasks: Tasks{N: 1}}, Identity{})
		b.Add(&Stage{Query: "SELECT 2", Deterministic: true, Exchange: Exchange{Kind: Single, Partitions: 1}, Tasks: Tasks{N: 1}}, Identity{})
		return b
	}
	was := id(pond(), base())
	seen := map[StageID]string{was: "the stage itself"}
	for about, change := range map[string]func(*Stage){
		"the name of a view":        func(s *Stage) { s.Inputs[0].View = "w" },
		"an option of the reader":   func(s *Stage) { s.Inputs[0].Scan.Options.Hive = true },
		"where files are cut":       func(s *Stage) { s.Inputs[0].Scan.Splits[0][0].Rows = 8 },
		"which stage it reads":      func(s *Stage) { s.Inputs[1].Read.Stages = []int{1} },
		"both stages that it reads": func(s *Stage) { s.Inputs[1].Read.Stages = []int{0, 1} },
		"their order":               func(s *Stage) { s.Inputs[1].Read.Stages = []int{1, 0} },
		"how it reads":              func(s *Stage) { s.Inputs[1].Read.How = ReadAll },
		"whether in order":          func(s *Stage) { s.Inputs[1].Read.Ordered = true },
		"a step":                    func(s *Stage) { s.Steps[0].SQL = "SELECT 2" },
		"whether a step is kept":    func(s *Stage) { s.Steps[0].Materialize = true },
		"a function":                func(s *Stage) { s.Steps[0].Func = &FuncCall{Name: "f"} },
		"the query":                 func(s *Stage) { s.Query = "FROM v2 LIMIT 1" },
		"whether rows have order":   func(s *Stage) { s.Ordered = true },
		"the kind of its exchange":  func(s *Stage) { s.Exchange.Kind = Random },
		"how many partitions":       func(s *Stage) { s.Exchange.Partitions = 5 },
		"the keys":                  func(s *Stage) { s.Exchange.Keys = []string{"b"} },
		"how many tasks":            func(s *Stage) { s.Tasks.N = 3 },
		"what SQL reaches":          func(s *Stage) { s.Access = nil },
	} {
		s := base()
		change(s)
		got := id(pond(), s)
		if other, ok := seen[got]; ok {
			t.Errorf("%s: the id is that of %s", about, other)
		}
		seen[got] = about
	}
	for about, change := range map[string]func(*Stage){
		"its name":             func(s *Stage) { s.Name = "other" },
		"what its tasks need":  func(s *Stage) { s.Memory = 1 << 20 },
		"why it is one task":   func(s *Stage) { s.Gathered = "so" },
		"who orders its joins": func(s *Stage) { s.Optimized = true },
		"why it was planned":   func(s *Stage) { s.Replanned = "so" },
	} {
		s := base()
		change(s)
		if id(pond(), s) != was {
			t.Errorf("%s is in the id", about)
		}
	}
	moved := NewBuilder("b", "salt", Result{})
	moved.Add(&Stage{Query: "SELECT 2", Deterministic: true, Exchange: Exchange{Kind: Single, Partitions: 1}, Tasks: Tasks{N: 1}}, Identity{})
	moved.Add(&Stage{Query: "SELECT 1", Deterministic: true, Exchange: Exchange{Kind: Single, Partitions: 1}, Tasks: Tasks{N: 1}}, Identity{})
	s := base()
	s.Inputs[1].Read.Stages = []int{1}
	if id(moved, s) != was {
		t.Error("where the stage that it reads stands is in the id")
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
