package scenario

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pondmesh/pond/fs/faults"
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
		{"name: a\njobs: q\n", "s.yaml:2: a list is expected here"},
		{"name: a\njobs: {name: q, sql: SELECT 1}\n", "s.yaml:2: a list is expected here"},
		{"name: a\njobs:\n  - q\n", "s.yaml:3: a mapping is expected here"},
		{"- name: a\n", "s.yaml:1: a mapping is expected here"},
		{"# nothing\n", "s.yaml: the file is empty"},
		{"---\n", "s.yaml:2: a mapping is expected here"},
		{"name: a\ntables: lineitem\n" + job, "s.yaml:2: a mapping is expected here"},
		{"name: a\ntables: {t: &x a, u: *x}\n" + job, "s.yaml:2: anchors"},
		{"name: a\ntables: {t: a, t: b}\n" + job, "s.yaml:2: mapping key"},
		{"name: a\ntables: {t: ''}\n" + job, `s.yaml: table "t"`},
		{"name: a\ntables: {a-b: c}\n" + job, `s.yaml: table "a-b"`},
		{"name: ../a\n" + job, `s.yaml: name "../a"`},
		{"name: a\njobs: [{name: a/b, sql: SELECT 1}]\n", `s.yaml: job "a/b"`},
		{"name: a\nnodes: -1\n" + job, "s.yaml: nodes: -1 is not 1 to 16"},
		{"name: a\nslots: -1\n" + job, "s.yaml: slots: -1"},
		{"name: a\nrows: 100_000_001\n" + job, "s.yaml: rows: 100000001 is not 1 to 100000000"},
		{"name: a\nlimit: -3s\n" + job, `s.yaml:2: "-3s" is no duration`},
		{"name: a\nlimit: [3s]\n" + job, "s.yaml:2: one value is expected here"},
		{"name: a\ndraw: 3-1\n" + job, `s.yaml:2: "3-1" is no count`},
		{"name: a\n" + job + "faults: [{do: kill, for: 1s-2562047h}]\n", "s.yaml:3: for: 1s to 2562047h0m0s is not within 0s and 24h"},
		{"name: a\n" + job + "faults: [{do: kill, for: 0s-5s}]\n", "s.yaml:3: for: 0s means until the job has ended: begin with more, such as 1s-5s"},
		{"name: a\n" + job + "faults: [{do: kill, count: 17, for: 1s}]\n", "s.yaml:3: count: 17 is not 1 to 16"},
		{"name: a\n" + job + "faults: [{do: kill, gossip: true, for: 1s}]\n", "s.yaml:3: way and gossip"},
		{"name: a\ndriver: netns\n" + job + "faults: [{do: delay, for: 5s}]\n", "s.yaml:4: delay takes late"},
		{"name: a\ndriver: netns\n" + job + "faults: [{do: lose, loss: 101, for: 5s}]\n", "s.yaml:4: lose takes loss"},
		{"name: a\ndriver: netns\n" + job + "faults: [{do: cut, who: all}]\n", "s.yaml:4: cut takes 3 of 3 nodes away"},
		{"name: a\ndriver: netns\n" + job + "faults: [{do: lose, loss: 100, count: 2}]\n", "s.yaml:4: lose takes 2 of 3 nodes away"},
		{"name: a\nnodes: 5\n" + job + "draw: 2\nfaults: [{do: kill, count: 2}, {do: stop}, {do: leave}]\n", "s.yaml: the faults may take 3 of 5 nodes away"},
		{"name: a\n" + job + "faults:\n" + strings.Repeat("  - {do: join}\n", FaultsMax+1), "s.yaml: 33 faults: 32 at most"},
		{strings.Repeat("#", FileBytesMax+1), "s.yaml: larger than 1048576 bytes"},
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
	for _, text := range []string{"random", "0", "0.25", "1", "stage 0", "term 2", "copied 1"} {
		var m Moment
		if err := m.UnmarshalText([]byte(text)); err != nil || m.String() != text {
			t.Errorf("%s is read as %v, %v", text, m, err)
		}
	}
	for _, text := range []string{"", "NaN", "-0.1", "stage", "stage -1", "stage 1 ", "term x", "copied", "copied -1"} {
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

// What is drawn has something to strike: publications belong to jobs that write, folders
// are exchanged where there are some, and a successor needs a predecessor's end.
func TestPlanStrikes(t *testing.T) {
	s := mustParse(t, `name: a
jobs:
  - {name: rows, sql: SELECT 1}
  - {name: new, sql: SELECT 1, into: files}
  - {name: more, sql: SELECT 1, into: append}
faults:
  - {do: kill, who: successor, at: term 2, for: 1s}
  - {do: inject, point: publish-seal, what: eio, who: coordinator, at: 0}
  - {do: inject, point: publish-swap, what: eio, who: coordinator, at: 0}
  - {do: kill, who: coordinator, for: 1s}
  - {do: engine}
  - {do: inject, point: term-cas-done, what: drop, who: coordinator, at: 0}
  - {do: inject, point: segment-commit, what: crash, who: coordinator, at: 0, for: 1s}
draw: 1-2
`)
	drawn := map[string]int{}
	for seed := range uint64(500) {
		p := s.Plan(seed)
		deposed := slices.ContainsFunc(p.Faults, func(f Fault) bool { return f.deposes() })
		for i, f := range p.Faults {
			drawn[p.Job.Name+" "+string(f.Who)+" "+string(f.Point)]++
			if i > 0 && f.Deadly() && p.Faults[0].Who != Anyone {
				t.Errorf("seed %d: who waits for its death is struck by another: %+v", seed, p.Faults)
			}
			if f.Who == Successor && !deposed || p.Job.Into == Result && (f.Point != "" && !f.Deadly() || f.At.Share == 1) || p.Job.Into != Append && f.Point == faults.PublishSwap {
				t.Errorf("seed %d: job %s, %+v", seed, p.Job.Name, p.Faults)
			}
		}
	}
	if drawn["new coordinator publish-seal"] == 0 || drawn["more coordinator publish-swap"] == 0 || drawn["rows successor "] == 0 {
		t.Errorf("drawn: %v", drawn)
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

// What a program says is checked as a file is: nothing that Validate takes goes wrong
// when it is drawn.
func TestMistakesInGo(t *testing.T) {
	for want, spoil := range map[string]func(*Scenario){
		"draw: 3-1 is no count":         func(s *Scenario) { s.Draw = Count{3, 1} },
		"draw: 0-1 is no count":         func(s *Scenario) { s.Draw = Count{0, 1} },
		"draw: -1-0 is no count":        func(s *Scenario) { s.Draw = Count{-1, 0} },
		"limit: -1s is negative":        func(s *Scenario) { s.Setup.Limit = Duration(-time.Second) },
		"for: 2s to 1s is not within":   func(s *Scenario) { s.Faults[0].For = Span{Duration(2 * time.Second), Duration(time.Second)} },
		"for: -1s to 0s is not within":  func(s *Scenario) { s.Faults[0].For = Span{Duration(-time.Second), 0} },
		`at "1.5": use random, a share`: func(s *Scenario) { s.Faults[0].At = Moment{On: Share, Share: 1.5} },
		`at "NaN": use random`:          func(s *Scenario) { s.Faults[0].At = Moment{On: Share, Share: math.NaN()} },
		`at "term -1": use random`:      func(s *Scenario) { s.Faults[0].At = Moment{On: Term, N: -1} },
		"lose takes loss":               func(s *Scenario) { s.Faults[0].Loss = -1 },
		"delay takes late":              func(s *Scenario) { s.Faults[0].Late = 1 },
	} {
		s := mustParse(t, whole)
		spoil(s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, not %s", err, want)
		}
	}
}

// A plan that was changed by hand says what is left to chance.
func TestMistakesInPlans(t *testing.T) {
	for want, spoil := range map[string]func(*Plan){
		"its moment, duration or node is left to chance": func(p *Plan) { p.Faults[0].Node = p.Setup.Nodes },
		"duration or node is left":                       func(p *Plan) { p.Faults[0].For.Max++ },
		"asked: there is no node 5":                      func(p *Plan) { p.Asked = 5 },
		"asked: there is no node -1":                     func(p *Plan) { p.Asked = -1 },
		"has no sql":                                     func(p *Plan) { p.Job.SQL = " " },
		"nodes: 99":                                      func(p *Plan) { p.Setup.Nodes = 99 },
		"do \"\"":                                        func(p *Plan) { p.Faults[0].Do = "" },
	} {
		p := mustParse(t, whole).Plan(3)
		spoil(p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, not %s", err, want)
		}
	}
}

func drawFault(t *rapid.T) Fault {
	var lasts Span // until the job has ended
	if rapid.Bool().Draw(t, "ends") {
		low := rapid.Int64Range(1, int64(ForMax)).Draw(t, "min")
		lasts = Span{Duration(low), Duration(rapid.Int64Range(low, int64(ForMax)).Draw(t, "max"))}
	}
	f := Fault{
		Do: rapid.SampledFrom(actions).Draw(t, "do"), Who: rapid.SampledFrom(targets).Draw(t, "who"), Count: rapid.IntRange(0, 3).Draw(t, "count"),
		For: lasts, At: Moment{On: rapid.SampledFrom([]Event{Random, Share, Stage, Term, Copied}).Draw(t, "on")},
	}
	switch f.At.On {
	case Share:
		f.At.Share = rapid.Float64Range(0, 1).Draw(t, "share")
	case Stage, Term:
		f.At.N = rapid.IntRange(0, 100).Draw(t, "n")
	}
	switch {
	case f.Do == Lose:
		f.Loss = rapid.IntRange(1, 100).Draw(t, "loss")
	case f.Do == Inject:
		f.Injected, f.Late = drawInjected(t)
	case f.Do == Delay:
		f.Late = Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "late"))
	}
	if f.Network() {
		f.Way = rapid.SampledFrom([]Way{Both, In, Out}).Draw(t, "way")
		f.Gossip = rapid.Bool().Draw(t, "gossip")
	}
	return f
}

func drawInjected(t *rapid.T) (in Injected, late Duration) {
	place := rapid.SampledFrom(faults.Places()).Draw(t, "place")
	in = Injected{Point: place.Point, What: rapid.SampledFrom(place.Takes).Draw(t, "what"), Times: rapid.IntRange(0, 9).Draw(t, "times"), Chance: rapid.IntRange(0, 100).Draw(t, "chance")}
	if rapid.Bool().Draw(t, "skips") {
		in.Skip.Min = rapid.IntRange(1, 9).Draw(t, "skip")
		in.Skip.Max = rapid.IntRange(in.Skip.Min, 9).Draw(t, "to")
	}
	if in.What == faults.Delay {
		late = Duration(rapid.Int64Range(int64(time.Millisecond), int64(faults.LateMax)).Draw(t, "later"))
	}
	return in, late
}

// What is to be injected is checked as the node checks it.
func TestInject(t *testing.T) {
	parse := func(fault string) (*Scenario, error) {
		return Parse("", []byte("name: a\njobs: [{name: q, sql: SELECT 1}]\nfaults: [{"+fault+"}]\n"))
	}
	s, err := parse("do: inject, point: blocks, what: delay, late: 500ms, skip: 2-4, times: 3, chance: 50")
	if err != nil {
		t.Fatal(err)
	}
	skips := map[int]bool{}
	for seed := range uint64(50) {
		o := s.Plan(seed).Faults[0].Order(seed)
		skips[o.Skip] = true
		if o.Skip = 0; o != (faults.Order{Point: faults.Blocks, Do: faults.Delay, Times: 3, Chance: 50, Seed: seed, Late: 500}) {
			t.Fatalf("seed %d: %+v", seed, o)
		}
	}
	if len(skips) != 3 || !skips[2] || !skips[3] || !skips[4] {
		t.Errorf("skipped: %v", skips)
	}
	for fault, want := range map[string]string{
		"do: inject":                                        `there is no point ""`,
		"do: inject, point: report, what: eio":              "use one of crash, delay, drop, double",
		"do: inject, point: report, what: delay":            "delay takes how late",
		"do: kill, point: report, what: drop":               "are of inject",
		"do: inject, point: publish, what: crash, who: all": "takes 3 of 3 nodes away",
	} {
		if _, err := parse(fault); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", fault, err)
		}
	}
}

// Whatever is valid can be planned; a plan is as valid as its scenario, says the same
// when it is read back, and stays valid as Shrink takes its faults away.
func TestPlanProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &Scenario{Name: "any", Jobs: []Job{{Name: "q", SQL: "SELECT 1"}, {Name: "r", SQL: "SELECT 2", Into: Files}}, Faults: rapid.SliceOfN(rapid.Custom(drawFault), 0, 6).Draw(t, "faults")}
		s.Setup = Setup{Driver: Netns, Nodes: rapid.IntRange(1, NodesMax).Draw(t, "nodes")}
		if n := len(s.Faults); n > 0 && rapid.Bool().Draw(t, "some") {
			s.Draw.Min = rapid.IntRange(1, n).Draw(t, "least")
			s.Draw.Max = rapid.IntRange(s.Draw.Min, n).Draw(t, "most")
		}
		if s.Validate() != nil { // too many nodes away
			return
		}
		p := s.Plan(rapid.Uint64().Draw(t, "seed"))
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		first, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var back Plan
		if err := json.Unmarshal(first, &back); err != nil || !reflect.DeepEqual(&back, p) {
			t.Fatalf("%v\n got %+v\nwant %+v", err, &back, p)
		}
		for less := p; len(less.Faults) > 0; {
			less = less.Without(len(less.Faults) / 2)
			if err := less.Validate(); err != nil {
				t.Fatal(err)
			}
		}
		if again, _ := json.Marshal(p); string(again) != string(first) {
			t.Fatalf("leaving faults out changes the plan\nfrom %s\nto   %s", first, again)
		}
	})
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
