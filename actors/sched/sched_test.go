package sched

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
)

// TestPure: what the package may not import, it cannot come to depend on.
func TestPure(t *testing.T) {
	allowed := []string{"errors", "fmt", "hash/fnv", "iter", "slices", "strconv", "strings", "github.com/pondmesh/pond/actors/plan", "github.com/pondmesh/pond/mesh/offers"}
	for f, tree := range sources(t, parser.ImportsOnly) {
		for _, i := range tree.Imports {
			if p, _ := strconv.Unquote(i.Path.Value); !slices.Contains(allowed, p) {
				t.Errorf("%s imports %s: sched is pure", f, p)
			}
		}
	}
}

func TestHeapSorts(t *testing.T) {
	h := heap[int]{less: func(a, b int) bool { return a < b }}
	var want []int
	for range 500 {
		v := rand.IntN(100)
		h.push(v)
		want = append(want, v)
	}
	slices.Sort(want)
	for i, w := range want {
		if got := h.pop(); got != w {
			t.Fatalf("item %d is %d, want %d", i, got, w)
		}
	}
}

func TestMedianIsAtMostAQuarterHigh(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		var h histogram
		var all []int64
		top := int64(1) << rng.IntN(40)
		for range 1 + rng.IntN(50) {
			v := rng.Int64N(top)
			h.add(v)
			all = append(all, v)
		}
		slices.Sort(all)
		true_ := all[(len(all)-1)/2]
		if m := h.median(); m < true_ || m > true_+true_/4 {
			t.Fatalf("seed %d: median of %v is %d, got %d", seed, all, true_, m)
		}
	}
	if (&histogram{}).median() != 0 || bucketOf(1<<62) >= 256 {
		t.Error("edges")
	}
}

func TestBackoffIsBounded(t *testing.T) {
	c := Config{}.withDefaults()
	for n, want := range map[int]int64{1: 500, 2: 1000, 3: 2000, 7: 30_000, 1000: 30_000} {
		if got := c.backoff(n); got != want {
			t.Errorf("backoff(%d) = %d, want %d", n, got, want)
		}
	}
}

func TestABadPlanFails(t *testing.T) {
	twice := &plan.Stage{ID: "s", Tasks: plan.Tasks{N: 1}}
	for name, job := range map[string]*plan.Job{"no stages": {}, "an id twice": {Stages: []*plan.Stage{twice, twice}}} {
		d := New(job, Config{})
		d.Step(Tick{1})
		if f := d.finish; f == nil || f.Status != Failure || plan.KindOf(f.Err) != plan.KindInternal {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// TestDeterministic: the same events give the same actions.
func TestDeterministic(t *testing.T) {
	for seed := range uint64(30) {
		a, b := newWorld(seed), newWorld(seed)
		a.run()
		b.run()
		if x, y := strings.Join(a.trace, "\n"), strings.Join(b.trace, "\n"); x != y {
			t.Fatalf("seed %d: %s", seed, firstDifference(x, y))
		}
	}
}

// shuffleJob is maps × reduces, both on nodes of four slots.
func shuffleJob(maps, reduces int) *plan.Job {
	return &plan.Job{Stages: []*plan.Stage{
		{ID: "map", Deterministic: true, Tasks: plan.Tasks{N: maps}},
		{ID: "reduce", Deterministic: true, Tasks: plan.Tasks{N: reduces},
			Inputs: []plan.Input{{Read: &plan.Read{Stages: []int{0}, How: plan.ReadPartition}}}},
	}}
}

// drive runs a job on nodes that do each task at once, one in 50 of which fails,
// loses a node on the way, and returns how it ended and how many steps it took.
func drive(tb testing.TB, job *plan.Job, nodes, parts int) (d *Decider, steps int) {
	d = New(job, Config{})
	now := int64(1)
	var out []Action
	step := func(e Event) {
		steps++
		out = append(out, d.Step(e)...)
	}
	name := func(i int) NodeID { return NodeID("n" + strconv.Itoa(i)) }
	boots := make([]int, nodes)
	boot := func(i int) Boot { return Boot(strconv.Itoa(boots[i])) }
	index := map[NodeID]int{}
	for i := range nodes {
		index[name(i)] = i
		step(NodeUp{Node: name(i), Boot: boot(i), Slots: 4})
	}
	sizes := plan.SegmentInfo{Bytes: make([]int64, parts)}
	for i := range sizes.Bytes {
		sizes.Bytes[i] = int64(i % 7 << 10)
	}
	for round := 0; ; round++ {
		now += 200
		step(Tick{now})
		for i := range nodes {
			step(Pull{name(i), boot(i), 4})
		}
		acts := out
		out = nil
		for _, a := range acts {
			switch a := a.(type) {
			case Run:
				if i := index[a.Node]; a.Boot != boot(i) {
					continue
				} else if (a.Partition+a.Attempt.Attempt)%50 == 0 {
					step(Failed{a.Attempt, a.Node, a.Boot, &plan.Error{Kind: plan.KindResource}})
				} else {
					step(Done{a.Attempt, a.Node, a.Boot, a.Lineage, Output{Segment: "s", Rows: 1, Bytes: 1 << 20, Parts: sizes}, nil})
				}
			case Finish:
				if a.Status != Succeeded {
					tb.Fatalf("%v: %v", a.Status, a.Err)
				}
				return d, steps
			}
		}
		if round == 20 {
			step(NodeLost{name(0), boot(0)})
			boots[0]++
			step(NodeUp{Node: name(0), Boot: boot(0), Slots: 4})
		}
		if round > 1_000_000 {
			tb.Fatal("does not end")
		}
	}
}

// TestWorkPerStepIsSmall counts comparisons in queues: O(log n) a task.
func TestWorkPerStepIsSmall(t *testing.T) {
	const tasks = 100_000
	job := shuffleJob(tasks, 100)
	compared := 0
	d := New(job, Config{})
	q := &d.stages[0].queue
	q.less = func(a, b *task) bool { compared++; return heavier(a, b) }
	d.Step(NodeUp{Node: "a", Slots: 100})
	d.Step(Tick{1})
	for n := 0; n < tasks; {
		var runs []Run
		for _, a := range d.Step(Pull{"a", "", 100}) {
			runs = append(runs, a.(Run))
		}
		for _, r := range runs {
			n++
			d.Step(Done{r.Attempt, "a", "", 0, Output{Segment: strconv.Itoa(n)}, nil})
		}
	}
	if budget := tasks * 2 * 18; compared > budget {
		t.Errorf("%d comparisons for %d tasks, at most %d expected", compared, tasks, budget)
	}
}

// TestNoStepLooksAtAllTasks: how often a stage's tasks are all looked at does not grow
// with how many they are.
func TestNoStepLooksAtAllTasks(t *testing.T) {
	for _, tasks := range []int{1_000, 10_000, 50_000} {
		d, steps := drive(t, shuffleJob(tasks, tasks), 100, 0)
		for _, s := range d.stages {
			if s.looks == 0 || s.looks > 10 {
				t.Errorf("%d tasks, %d steps: all tasks of %s were looked at %d times", tasks, steps, s.plan.ID, s.looks)
			}
		}
	}
}

// TestLooksAreCounted: who looks at all tasks does so through all, which the test above
// counts. Elsewhere they are named only to have one of them, or their number, which is no
// loop's bound.
func TestLooksAreCounted(t *testing.T) {
	for f, tree := range sources(t, parser.SkipObjectResolution) {
		for _, decl := range tree.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || slices.Contains([]string{"all", "makeTasks", "weigh"}, fn.Name.Name) { // weigh: those that a task reads
				continue
			}
			fine := map[ast.Node]bool{}
			of := func(n ast.Expr) {
				if s, ok := n.(*ast.SelectorExpr); ok {
					fine[s] = true
				}
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.IndexExpr:
					of(n.X)
				case *ast.CallExpr:
					if name, ok := n.Fun.(*ast.Ident); ok && name.Name == "len" {
						of(n.Args[0])
					}
				case *ast.BinaryExpr:
					if id, ok := n.Y.(*ast.Ident); ok && id.Name == "nil" {
						of(n.X)
					}
				case *ast.ForStmt:
					if ofTasks(n.Cond) {
						t.Errorf("%s: %s loops over all tasks, not through all", f, fn.Name.Name)
					}
				case *ast.RangeStmt:
					if ofTasks(n.X) {
						t.Errorf("%s: %s loops over all tasks, not through all", f, fn.Name.Name)
					}
				case *ast.SelectorExpr:
					if n.Sel.Name == "tasks" && !fine[n] {
						t.Errorf("%s: %s takes all tasks, not through all", f, fn.Name.Name)
					}
				}
				return true
			})
		}
	}
}

// ofTasks reports whether tasks, or their number, are in an expression.
func ofTasks(n ast.Node) (found bool) {
	if n == nil {
		return false
	}
	ast.Inspect(n, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		found = found || ok && s.Sel.Name == "tasks"
		return true
	})
	return found
}

// sources are the package's files but for its tests.
func sources(t *testing.T, mode parser.Mode) map[string]*ast.File {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*ast.File{}
	for _, f := range names {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		if out[f], err = parser.ParseFile(token.NewFileSet(), f, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func BenchmarkJob(b *testing.B) {
	for _, c := range []struct{ maps, reduces, nodes, parts int }{
		{256, 4096, 16, 4096}, {10_000, 10_000, 100, 0}, {50_000, 50_000, 100, 0}, {50_000, 50_000, 1000, 0},
	} {
		b.Run(fmt.Sprintf("%dx%d on %d nodes", c.maps, c.reduces, c.nodes), func(b *testing.B) {
			steps := 0
			for b.Loop() {
				_, steps = drive(b, shuffleJob(c.maps, c.reduces), c.nodes, c.parts)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(steps), "ns/step")
		})
	}
}
