package scenario

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

const whole = `name: swarm
about: anything, at any moment
nodes: 5
memory: 256MiB
rows: 1_000
limit: 2m
flags: [--log-level, debug]
tables:
  lineitem: data/l*.parquet
jobs:
  - {name: group, sql: "SELECT k, count(*) AS n FROM events GROUP BY k"}
  - {name: sort, sql: "SELECT * FROM events ORDER BY k", into: files, order: k}
faults:
  - {do: kill, who: coordinator, for: 1s-10s}
  - {do: stop, who: worker, at: stage 1, for: 30s}
  - {do: leave, at: 0.5, for: 2s}
  - {do: kill, who: successor, at: term 2, for: 5s}
  - {do: kill, who: all, at: 1, for: 1s}
  - {do: join, count: 2}
draw: 1-3
`

func mustParse(t *testing.T, text string) *Scenario {
	t.Helper()
	s, err := Parse("s.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParse(t *testing.T) {
	s := mustParse(t, whole)
	want := Setup{Driver: Process, Nodes: 5, Memory: "256MiB", Slots: slotsDefault, Flags: []string{"--log-level", "debug"},
		Rows: 1000, Tables: map[string]string{"lineitem": "data/l*.parquet"}, Limit: Duration(2 * time.Minute)}
	if !reflect.DeepEqual(s.Setup, want) || s.Name != "swarm" || s.Draw != (Count{1, 3}) || len(s.Jobs) != 2 {
		t.Errorf("read %+v", s)
	}
	want1 := Fault{Do: Stop, Who: Worker, At: Moment{On: Stage, N: 1}, For: Span{Duration(30 * time.Second), Duration(30 * time.Second)}, line: 15}
	if got := s.Faults[1]; got != want1 {
		t.Errorf("the second fault is %+v, not %+v", got, want1)
	}
	if f := s.Faults[2]; f.Who != Anyone || f.At != (Moment{On: Share, Share: 0.5}) {
		t.Errorf("the third fault is %+v", f)
	}
	short := mustParse(t, "name: a\njobs: [{name: q, sql: SELECT 1}]\n")
	if short.Setup.Nodes != nodesDefault || short.Setup.Rows != rowsDefault || short.Setup.Limit != limitDefault {
		t.Errorf("defaults: %+v", short.Setup)
	}
}

// Each mistake is told with its line, where it has one.
func TestMistakes(t *testing.T) {
	const job = "jobs: [{name: q, sql: SELECT 1}]\n"
	for _, c := range []struct{ text, want string }{
		{"", "s.yaml: the file is empty"},
		{"name: a\nnode: 3\n" + job, `s.yaml:2: unknown key "node"; known here: about, draw, driver, faults,`},
		{"name: a\njobs:\n  - {name: q, sql: SELECT 1, query: x}\n", `s.yaml:3: unknown key "query"`},
		{"name: a\n" + job + "faults:\n  - do: kill\n    whom: all\n", `s.yaml:5: unknown key "whom"`},
		{"name: a\nname: b\n" + job, "s.yaml:2: mapping key"},
		{"name: a\nnodes: three\n" + job, "s.yaml:2: cannot unmarshal"},
		{"name: a\nlimit: 3\n" + job, `s.yaml:2: "3" is no duration`},
		{"name: a\ndraw: 0\n" + job, `s.yaml:2: "0" is no count`},
		{"name: a\njobs: q\n", "s.yaml:2: a list or a mapping is expected here"},
		{"name: a\n  jobs: [\n", "s.yaml:2: mapping values are not allowed"},
		{"name: &a b\n" + job, "s.yaml:1: anchors"},
		{"name: a\n" + job + "---\nname: b\n", "s.yaml: a second document"},
		{"name: a b\n" + job, `s.yaml: name "a b"`},
		{"name: a\n", "s.yaml: 0 jobs"},
		{"name: a\nnodes: 99\n" + job, "s.yaml: nodes: 99 is not 1 to 16"},
		{"name: a\nmemory: much\n" + job, `s.yaml: memory "much"`},
		{"name: a\ndriver: cloud\n" + job, `s.yaml: driver "cloud"`},
		{"name: a\ntables: {events: x}\n" + job, `s.yaml: table "events"`},
		{"name: a\njobs: [{name: q}]\n", "s.yaml: job q has no sql"},
		{"name: a\njobs: [{name: q, sql: SELECT 1, into: here}]\n", `s.yaml: job q: into "here"`},
		{"name: a\njobs: [{name: q, sql: SELECT 1, order: k}]\n", "s.yaml: job q: order"},
		{"name: a\njobs: [{name: q, sql: a}, {name: q, sql: b}]\n", `s.yaml: two jobs are called "q"`},
		{"name: a\n" + job + "faults: [{do: explode}]\n", `s.yaml:3: do "explode"`},
		{"name: a\n" + job + "faults: [{do: kill, who: me}]\n", `s.yaml:3: who "me"`},
		{"name: a\n" + job + "faults: [{do: kill, at: noon}]\n", `s.yaml:3: "noon" is no moment`},
		{"name: a\n" + job + "faults: [{do: kill, at: 1.5}]\n", `s.yaml:3: "1.5" is no moment`},
		{"name: a\n" + job + "faults: [{do: kill, for: 5s-1s}]\n", `s.yaml:3: "5s-1s" ends before it begins`},
		{"name: a\n" + job + "faults: [{do: cut, for: 5s}]\n", "s.yaml:3: cut needs driver: netns"},
		{"name: a\ndriver: netns\n" + job + "faults: [{do: lose, for: 5s}]\n", "s.yaml:4: lose takes loss"},
		{"name: a\ndriver: netns\n" + job + "faults: [{do: cut, way: up, for: 5s}]\n", `s.yaml:4: way "up"`},
		{"name: a\n" + job + "faults: [{do: kill, who: all}]\n", "s.yaml:3: kill takes 3 of 3 nodes away"},
		{"name: a\n" + job + "faults: [{do: kill}, {do: stop}]\n", "s.yaml: the faults may take 2 of 3 nodes away"},
		{"name: a\n" + job + "draw: 2\nfaults: [{do: join}]\n", "s.yaml: draw: 2 of 1 faults"},
	} {
		_, err := Parse("s.yaml", []byte(c.text))
		var e *Error
		if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q:\n got %v\nwant %s", c.text, err, c.want)
		}
	}
}

func TestMoments(t *testing.T) {
	for _, text := range []string{"random", "0", "0.25", "1", "stage 0", "term 2"} {
		var m Moment
		if err := m.UnmarshalText([]byte(text)); err != nil || m.String() != text {
			t.Errorf("%s is read as %v, %v", text, m, err)
		}
	}
	for _, text := range []string{"", "NaN", "-0.1", "stage", "stage -1", "stage 1 ", "term x"} {
		if err := new(Moment).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is read", text)
		}
	}
}

// A seed is one plan, whose faults are a subset of the scenario's, in order; all
// seeds together draw everything.
func TestPlan(t *testing.T) {
	s := mustParse(t, whole)
	sizes, jobs, asked, done, edges := map[int]bool{}, map[string]bool{}, map[int]bool{}, map[Fault]bool{}, map[float64]int{}
	for seed := range uint64(500) {
		p := s.Plan(seed)
		if again := s.Plan(seed); !reflect.DeepEqual(p, again) {
			t.Fatalf("seed %d is %+v, then %+v", seed, p, again)
		}
		if err := p.Validate(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		sizes[len(p.Faults)], jobs[p.Job.Name], asked[p.Asked] = true, true, true
		last := -1
		for _, f := range p.Faults {
			i := slices.IndexFunc(s.Faults, func(o Fault) bool { return o.line == f.line })
			if i <= last || f.For.Min < s.Faults[i].For.Min || f.For.Max > s.Faults[i].For.Max {
				t.Fatalf("seed %d: %+v is drawn of %+v", seed, f, s.Faults[i])
			}
			if last = i; i == 0 {
				edges[f.At.Share]++
			}
			done[Fault{Do: f.Do, Who: f.Who}] = true
		}
	}
	if len(sizes) != 3 || len(jobs) != 2 || len(asked) != 5 || len(done) != 6 {
		t.Errorf("drawn: %v faults, jobs %v, asked %v, %v", sizes, jobs, asked, done)
	}
	if edges[0] < 10 || edges[1] < 10 || len(edges) < 20 {
		t.Errorf("moments: %v", edges)
	}
}

// A plan survives its record; what chance would have to settle does not.
func TestPlanJSON(t *testing.T) {
	p := mustParse(t, whole).Plan(7)
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var back Plan
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	for i := range p.Faults {
		p.Faults[i].line = 0
	}
	if err := back.Validate(); err != nil || !reflect.DeepEqual(&back, p) {
		t.Errorf("%v\n got %+v\nwant %+v", err, &back, p)
	}
	back.Faults[0].At = Moment{}
	if back.Validate() == nil {
		t.Error("a plan with a random moment is valid")
	}
	if less := p.Without(0); len(less.Faults) != len(p.Faults)-1 || len(p.Faults) == len(less.Faults) {
		t.Errorf("without one of %d faults there are %d", len(p.Faults), len(less.Faults))
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := Parse("", b); err == nil {
			s.Plan(1)
		} else if e := (*Error)(nil); !errors.As(err, &e) {
			t.Errorf("%v is no *Error", err)
		}
	})
}
