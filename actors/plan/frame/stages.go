package frame

import (
	"regexp"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/lexer"
)

// stages writes the exits that the last one depends on as stages of a job.
func (c *compiler) stages(last *exit, result plan.Result) (*plan.Job, error) {
	b := plan.NewBuilder(c.o.JobID, c.o.Salt, result)
	prefix := c.viewPrefix()
	for _, e := range reachable(last) {
		w := &stageWriter{c: c, e: e, prefix: prefix, names: map[*view]string{}, refs: map[*view]int{}}
		if err := w.write(); err != nil {
			return nil, err
		}
		e.index = b.Add(w.s, w.depends)
	}
	return b.Job(), nil
}

// viewPrefix starts every view's name. No text of the user's contains it, so a CTE
// of theirs never hides a view of ours.
func (c *compiler) viewPrefix() string {
	all := texts(c.plan)
	prefix := "v"
	for regexp.MustCompile(`(?i)\b` + prefix + `[0-9]+\b`).MatchString(all) {
		prefix += "_"
	}
	return prefix
}

// texts is all SQL of the plan.
func texts(p *plan.Plan) string {
	var b strings.Builder
	add := func(texts ...string) {
		for _, s := range texts {
			b.WriteString(s + "\n")
		}
	}
	for i := range p.Nodes {
		n := &p.Nodes[i]
		switch {
		case n.SQL != nil:
			add(n.SQL.Query)
			for _, v := range n.SQL.Views {
				add(v.Name, v.SQL)
			}
		case n.Map != nil:
			add(n.Map.SQL)
		case n.FlatMap != nil:
			add(n.FlatMap.SQL)
		case n.Filter != nil:
			add(n.Filter.SQL)
		case n.Project != nil:
			add(n.Project.Columns...)
		case n.Sort != nil:
			add(n.Sort.By...)
		case n.PartialSort != nil:
			add(n.PartialSort.By...)
		case n.Repartition != nil:
			add(n.Repartition.Keys...)
		}
	}
	return b.String()
}

// stageWriter writes one exit as a stage.
type stageWriter struct {
	c      *compiler
	e      *exit
	prefix string
	names  map[*view]string // each view's view
	refs   map[*view]int    // how often each is scanned in this stage
	s      *plan.Stage
	// depends holds the inputs of the stage's id besides the stage.
	depends plan.Identity
}

func (w *stageWriter) write() error {
	e := w.e
	all := within(e.root)
	for _, v := range all {
		for i, a := range v.args {
			w.refs[a] += v.text.Reads(i)
		}
	}
	w.refs[e.root]++
	w.s = &plan.Stage{
		Name: e.name(), Exchange: e.ex, Tasks: plan.Tasks{N: e.n}, Ordered: e.ordered,
		Deterministic: e.repeatable,
	}
	if e.n > plan.MaxPartitions {
		return plan.Refuse("", "consolidate or repartition before", "%s would have %d tasks, more than the %d allowed", w.s.Name, e.n, plan.MaxPartitions)
	}
	if e.bounds != nil {
		w.s.Exchange.Bounds = e.bounds.index
	}
	for _, v := range all {
		w.add(v)
	}
	if w.s.Query == "" {
		w.s.Query = "SELECT * FROM " + lexer.QuoteName(w.names[e.root])
	}
	keys := w.c.words(e.ex.Keys...)
	w.mark(keys, false)
	if e.ex.Kind == plan.User {
		w.depends.Functions = append(w.depends.Functions, e.ex.Func+"@"+w.c.o.Functions[strings.ToLower(e.ex.Func)])
	}
	w.depends.Once, w.depends.Number = e.perJob, e.root.id
	return nil
}

// mark records the effect of a view's traits on the stage.
func (w *stageWriter) mark(t traits, inOrder bool) {
	if t.volatile || t.unordered {
		w.s.Deterministic = false
	}
	w.s.Ordered = w.s.Ordered || inOrder
	w.depends.Functions = append(w.depends.Functions, t.versions...)
}

// add writes a view down as an input, a step, or the query.
func (w *stageWriter) add(v *view) {
	w.mark(v.traits, v.inOrder)
	if w.s.Gathered == "" {
		w.s.Gathered = v.why
	}
	w.s.Access = append(w.s.Access, v.access...)
	for _, view := range v.views {
		w.s.Steps = append(w.s.Steps, plan.Step{View: view.Name, SQL: view.SQL})
	}
	w.depends.Files = append(w.depends.Files, v.facts...)
	if v.text == nil {
		w.input(v)
		return
	}
	names := make([]string, len(v.args))
	for i, a := range v.args {
		names[i] = w.names[a]
	}
	sql := v.text.Render(names)
	twice := w.refs[v] > 1
	if v == w.e.root && !twice && v.fn == nil && !v.table {
		w.s.Query = sql
		return
	}
	st := plan.Step{View: w.s.NextView(w.prefix), SQL: sql, Func: v.fn, Materialize: twice || v.volatile || v.table}
	w.names[v] = st.View
	w.s.Steps = append(w.s.Steps, st)
}

// input writes a scan, literal or read down. A stream that is scanned twice is
// kept in a table.
func (w *stageWriter) input(v *view) {
	in := plan.Input{View: w.s.NextView(w.prefix)}
	switch {
	case v.scan != nil:
		scan := *v.scan
		in.Scan = &scan
		w.depends.Files = append(w.depends.Files, v.files...)
	case v.lit != nil:
		lit := *v.lit
		in.Literal = &lit
	default:
		in.Read = &plan.Read{How: v.read.how, Ordered: v.stable || v.ordered}
		for _, e := range v.read.exits {
			in.Read.Stages = append(in.Read.Stages, e.index)
		}
	}
	w.names[v] = in.View
	w.s.Inputs = append(w.s.Inputs, in)
	if v.scan != nil && v.scan.Format != plan.Arrow || w.refs[v] < 2 {
		return
	}
	w.names[v] = w.s.Keep(w.prefix, in.View)
}

// name describes the exit for people: its operations, and how the rows leave.
func (e *exit) name() string {
	if e.ex.Kind == plan.Single {
		return e.root.label
	}
	return e.root.label + " → " + e.ex.String()
}
