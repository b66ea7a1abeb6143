package sched

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/mesh/offers"
)

var update = flag.Bool("update", false, "write what the scripts print into them")

// TestScripts runs testdata/*.txt. A script is blocks of commands, each followed
// by ---- and what the Decider answered; comments start with #. The commands are
// those of script.do.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			got := runScript(t, string(b))
			if *update {
				if err := os.WriteFile(f, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(b) {
				t.Errorf("%s\n%s\nrun with -update and read the difference", f, firstDifference(string(b), got))
			}
		})
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d:\n  want %s\n  got  %s", i+1, w[i], g[i])
		}
	}
	return fmt.Sprintf("%d lines wanted, got %d", len(w), len(g))
}

// runScript returns the script with what its commands printed.
func runScript(t *testing.T, text string) string {
	s := &script{t: t, names: map[string]int{}}
	var out strings.Builder
	inAnswer, any := false, false
	flush := func() {
		if any {
			out.WriteString("----\n" + s.printed.String())
			s.printed.Reset()
			any = false
		}
	}
	for i, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		switch {
		case line == "----":
			flush()
			inAnswer = true
		case line == "":
			flush()
			inAnswer = false
			out.WriteString("\n")
		case inAnswer:
		default:
			out.WriteString(line + "\n")
			if !strings.HasPrefix(line, "#") {
				any = true
				s.line = i + 1
				s.do(strings.Fields(line))
			}
		}
	}
	flush()
	return out.String()
}

// script is a job under test and what its answers are called.
type script struct {
	t        *testing.T
	line     int
	job      plan.Job
	names    map[string]int
	config   Config
	d        *Decider
	now      int64
	lineages []uint64
	printed  strings.Builder
}

func (s *script) fatal(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("line %d: "+format, append([]any{s.line}, args...)...)
}

// options splits key=value words from the others.
func options(words []string) ([]string, map[string]string) {
	var plain []string
	kv := map[string]string{}
	for _, w := range words {
		if k, v, ok := strings.Cut(w, "="); ok {
			kv[k] = v
		} else {
			plain = append(plain, w)
		}
	}
	return plain, kv
}

func (s *script) num(v string, or int64) int64 {
	if v == "" {
		return or
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		s.fatal("%v", err)
	}
	return n
}

func (s *script) nums(v string) []int64 {
	var out []int64
	for _, x := range strings.Split(v, ",") {
		if x != "" {
			out = append(out, s.num(x, 0))
		}
	}
	return out
}

// task reads scan/0; attempt scan/0#1.
func (s *script) task(v string) plan.TaskID {
	st, p, ok := strings.Cut(v, "/")
	if !ok {
		s.fatal("%q is no task", v)
	}
	return plan.TaskID{Stage: plan.StageID(st), Partition: int(s.num(p, 0))}
}

func (s *script) attempt(v string) plan.AttemptID {
	t, n, ok := strings.Cut(v, "#")
	if !ok {
		s.fatal("%q is no attempt", v)
	}
	return plan.AttemptID{Task: s.task(t), Attempt: int(s.num(n, 0))}
}

func (s *script) tasks(v string) []plan.TaskID {
	var out []plan.TaskID
	for _, x := range strings.Split(v, ",") {
		if x != "" {
			out = append(out, s.task(x))
		}
	}
	return out
}

func (s *script) err(kind, lost string) *plan.Error {
	k := plan.ParseKind(kind)
	if k.String() != kind {
		s.fatal("%q is no kind", kind)
	}
	return &plan.Error{Kind: k, Op: "run", Text: kind + " trouble", Lost: s.tasks(lost)}
}

// addStage: stage NAME [tasks=N] [reads=A,B] [how=partition] [memory=N]
// [bounds=A] [nondet] [files] [partitions=N] [fit=BYTES]
func (s *script) addStage(w []string, kv map[string]string) {
	st := &plan.Stage{ID: plan.StageID(w[0]), Name: w[0], Deterministic: !slices.Contains(w, "nondet"),
		Tasks: plan.Tasks{N: int(s.num(kv["tasks"], 0))}, Memory: s.num(kv["memory"], 0)}
	if kv["reads"] != "" {
		r := &plan.Read{How: plan.ReadPartition}
		if kv["how"] != "" {
			r.How = plan.How(kv["how"])
		}
		for _, n := range strings.Split(kv["reads"], ",") {
			r.Stages = append(r.Stages, s.names[n])
		}
		st.Inputs = append(st.Inputs, plan.Input{View: "t", Read: r})
	}
	if f, ok := kv["calls"]; ok {
		st.Steps = append(st.Steps, plan.Step{SQL: "SELECT 1", Func: &plan.FuncCall{Name: f}})
	}
	if f, ok := kv["sql"]; ok {
		st.Query = "SELECT " + f + "(x) FROM t"
	}
	if b, ok := kv["bounds"]; ok {
		st.Exchange = plan.Exchange{Kind: plan.Range, Bounds: s.names[b]}
	}
	if bs := s.nums(kv["bytes"]); len(bs) > 0 {
		sc := &plan.Scan{}
		for _, b := range bs {
			sc.Splits = append(sc.Splits, []plan.Piece{{Bytes: b}})
		}
		st.Inputs = append(st.Inputs, plan.Input{View: "f", Scan: sc})
	}
	st.Exchange.Partitions = int(s.num(kv["partitions"], 1))
	if target := s.num(kv["fit"], 0); target > 0 {
		st.Tasks.Fit = &plan.Fit{Target: target, Least: 1, Slots: 2, Split: []int{0}}
	}
	if slices.Contains(w, "files") {
		s.job.Result.Write = &plan.Write{Path: "out"}
		st.Exchange = plan.Exchange{Kind: plan.Files, Write: s.job.Result.Write}
	}
	s.names[w[0]] = len(s.job.Stages)
	s.job.Stages = append(s.job.Stages, st)
}

// offered is the Go functions of a node.
func offered(names string) offers.Set {
	var list []string
	for _, n := range strings.FieldsFunc(names, func(r rune) bool { return r == ',' }) {
		list = append(list, offers.Func(n))
	}
	set, err := offers.New(list...)
	if err != nil {
		panic(err)
	}
	return set
}

// do runs one command and prints its answer.
func (s *script) do(words []string) {
	w, kv := options(words)
	cmd, w := w[0], w[1:]
	switch cmd {
	case "stage":
		s.addStage(w, kv)
		return
	case "config":
		s.config = Config{Term: s.num(kv["term"], 0), Near: NodeID(kv["near"]), AttemptsMax: int(s.num(kv["attempts"], 0)),
			MemoryPerTask: s.num(kv["memory"], 0), NoSpeculation: slices.Contains(w, "nospeculation"),
			Copies: plan.Copies(kv["copies"]), CopyAfterMillis: s.num(kv["after"], 0), CopyNodes: int(s.num(kv["nodes"], 0)), CopyRate: s.num(kv["rate"], 0), RanMillis: s.num(kv["ran"], 0)}
		return
	}
	if s.d == nil {
		s.d = New(&s.job, s.config)
	}
	if s.show(cmd, w) {
		return
	}
	s.print(s.d.Step(s.event(cmd, w, kv)))
}

// show prints state; it reports false for other commands.
func (s *script) show(cmd string, w []string) bool {
	switch cmd {
	case "state":
		s.printed.WriteString(s.d.String())
	case "status":
		for _, st := range s.d.Status() {
			fmt.Fprintf(&s.printed, "%s: %d tasks = %d waiting + %d running + %d done (%d reused), %d failed, %d retries, %d rows, %d bytes%s\n",
				st.Name, st.Tasks, st.Waiting, st.Running, st.Done, st.Reused, st.Failed, st.Retries, st.Rows, st.Bytes, map[bool]string{true: ", dropped"}[st.Dropped])
		}
	case "copies":
		made := 0
		for _, st := range s.d.Status() {
			made += st.Copies
		}
		fmt.Fprintf(&s.printed, "%s, %d made\n", s.d.Copies(), made)
	case "cuts":
		for i, x := range s.d.Stage(s.names[w[0]]).Tasks.Specs {
			fmt.Fprintf(&s.printed, "%d: partitions %d to %d, segments %d to %d\n", i, x.Lo, x.Hi-1, x.From, x.To-1)
		}
	case "needed":
		fmt.Fprintln(&s.printed, s.d.Needed(NodeID(w[0])))
	case "inputs":
		in, ok := s.d.Inputs(s.names[w[0]])
		if !ok {
			fmt.Fprintln(&s.printed, "not complete")
		}
		for _, up := range slices.Sorted(maps.Keys(in)) {
			for _, x := range in[up] {
				fmt.Fprintf(&s.printed, "%s at %v\n", x.Attempt, x.Holders)
			}
		}
	case "segments":
		for _, x := range s.d.Segments(s.names[w[0]]) {
			fmt.Fprintf(&s.printed, "%s at %v %s\n", x.Attempt, x.Holders, x.Output.Segment)
		}
	default:
		return false
	}
	return true
}

func (s *script) event(cmd string, w []string, kv map[string]string) Event {
	boot := Boot(kv["boot"])
	switch cmd {
	case "tick":
		if strings.HasPrefix(w[0], "+") {
			s.now += s.num(w[0][1:], 0)
		} else {
			s.now = s.num(w[0], 0)
		}
		return Tick{s.now}
	case "up":
		slots := s.num(kv["slots"], 2)
		return NodeUp{NodeID(w[0]), boot, int(slots), s.num(kv["memory"], slots*1000), offered(kv["offers"])}
	case "lost":
		return NodeLost{NodeID(w[0]), boot}
	case "leaving":
		return NodeLeaving{NodeID(w[0])}
	case "pull":
		return Pull{NodeID(w[0]), boot, int(s.num(w[1], 0))}
	case "alive":
		e := Alive{Node: NodeID(w[0]), Boot: boot}
		for _, x := range w[1:] {
			e.Running = append(e.Running, Running{s.attempt(x), s.lineage(s.attempt(x).Task.Stage, kv)})
		}
		return e
	case "done":
		a := s.attempt(w[0])
		return Done{a, NodeID(w[1]), boot, s.lineage(a.Task.Stage, kv), s.output(a, w[1], kv), nodeIDs(kv["copies"])}
	case "copied": // scan/0#1 of a to b,c, as a, or the node that it is from, was asked
		a := s.attempt(w[0])
		return Copied{a, s.output(a, w[1], kv).Segment, nodeIDs(strings.Join(w[2:], "")), NodeID(kv["from"])}
	case "fail":
		return Failed{s.attempt(w[0]), NodeID(w[1]), boot, s.err(w[2], kv["lost"])}
	case "held":
		return s.held(w, kv)
	case "published":
		if len(w) == 1 {
			return Published{Try: int(s.num(w[0], 0))}
		}
		return Published{int(s.num(w[0], 0)), s.err(w[1], kv["lost"])}
	case "extend": // by the stages since
		return Extend{&s.job}
	case "cancel":
		return Cancel{strings.Join(w, " ")}
	case "deadline":
		return Deadline{Millis: 5000}
	}
	s.fatal("unknown command %q", cmd)
	return nil
}

func nodeIDs(names string) (out []NodeID) {
	for _, n := range strings.FieldsFunc(names, func(r rune) bool { return r == ',' }) {
		out = append(out, NodeID(n))
	}
	return out
}

func (s *script) output(a plan.AttemptID, node string, kv map[string]string) Output {
	o := Output{Segment: fmt.Sprintf("%s@%s", a, node), Rows: s.num(kv["rows"], 1), Bytes: s.num(kv["bytes"], 10), Parts: plan.SegmentInfo{Bytes: s.nums(kv["parts"])}, Sum: uint64(s.num(kv["sum"], 1))}
	if kv["segment"] != "" {
		o.Segment = kv["segment"]
	}
	return o
}

// lineage=L1 is one that was printed so; any other number is itself. Without it, it is
// that of inputs whose sums are as usual.
func (s *script) lineage(id plan.StageID, kv map[string]string) uint64 {
	if _, ok := kv["lineage"]; !ok {
		return s.usual(id)
	}
	l := strings.TrimPrefix(kv["lineage"], "L")
	n := s.num(l, 0)
	if l != kv["lineage"] && n <= int64(len(s.lineages)) {
		return s.lineages[n-1]
	}
	return uint64(n)
}

// usual is the lineage of a stage that reads outputs of sum 1; 0 if it hangs on more
// than sums.
func (s *script) usual(id plan.StageID) uint64 {
	d := New(&s.job, s.config)
	st := d.byID[id]
	if st == nil || st.leaf() || st.plan.Tasks.Fit != nil {
		return 0
	}
	for _, p := range st.deps {
		if p.unstable || !p.shaped() {
			return 0
		}
		for i := range p.tasks {
			p.tasks[i].out.Sum = 1
		}
	}
	return st.hashInputs()
}

// held NODE scan/0#1 scan/1#1 … [reused] [lineage=L1] [tasks=N]
func (s *script) held(w []string, kv map[string]string) Event {
	e := Held{Node: NodeID(w[0]), Boot: Boot(kv["boot"])}
	for _, x := range w[1:] {
		if x == "reused" {
			continue
		}
		a := s.attempt(x)
		e.Segments = append(e.Segments, HeldSegment{Task: a.Task, Attempt: a.Attempt, Tasks: int(s.num(kv["tasks"], 0)),
			Reused: slices.Contains(w, "reused"), Lineage: s.lineage(a.Task.Stage, kv), Output: s.output(a, w[0], kv)})
	}
	return e
}

func (s *script) print(actions []Action) {
	for _, a := range actions {
		fmt.Fprintln(&s.printed, s.describe(a))
	}
}

func (s *script) describe(a Action) string {
	switch a := a.(type) {
	case Run:
		out := fmt.Sprintf("run %s on %s, %d bytes, inputs v%d", a.Attempt, a.Node, a.Memory, a.Version)
		if a.Lineage != 0 {
			i := slices.Index(s.lineages, a.Lineage)
			if i < 0 {
				i = len(s.lineages)
				s.lineages = append(s.lineages, a.Lineage)
			}
			out += fmt.Sprintf(", lineage L%d", i+1)
		}
		if a.Speculative {
			out += ", speculative"
		}
		return out
	case Stop:
		return fmt.Sprintf("stop %s on %s", a.Attempt, a.Node)
	case Offer:
		return fmt.Sprintf("offer %s", a.Node)
	case Release:
		return fmt.Sprintf("release %s (%s) on %s", a.Attempt, a.Segment, a.Node)
	case Copy:
		return fmt.Sprintf("copy %s from %s, %d in all", a.Attempt, a.Node, a.Want)
	case Publish:
		out := fmt.Sprintf("publish, try %d:", a.Try)
		for _, w := range a.Winners {
			out += " " + w.Attempt.String()
		}
		return out
	case Finish:
		if a.Err != nil {
			return fmt.Sprintf("finish: %s (%s): %v", a.Status, plan.KindOf(a.Err), a.Err)
		}
		return fmt.Sprintf("finish: %s, %d rows", a.Status, a.Rows)
	}
	return fmt.Sprintf("%T", a)
}
