package plan

import (
	"fmt"
	"regexp"
	"strings"
)

// stages writes the exits that the last one depends on down as stages. Exits
// that come out the same are one stage.
func (c *compiler) stages(last *exit, result Result) (*Job, error) {
	job := &Job{Result: result}
	prefix := c.viewPrefix()
	byID := map[StageID]int{}
	for _, e := range reachable(last) {
		w := &stageWriter{c: c, e: e, prefix: prefix, names: map[*vert]string{}, refs: map[*vert]int{}}
		s, err := w.stage(job)
		if err != nil {
			return nil, err
		}
		if i, ok := byID[s.ID]; ok {
			e.index = i
			continue
		}
		e.index = len(job.Stages)
		byID[s.ID] = e.index
		job.Stages = append(job.Stages, s)
	}
	return job, nil
}

// viewPrefix starts every view's name. It is one that no text of the user's
// looks like, so that a CTE of theirs never hides a view of ours.
func (c *compiler) viewPrefix() string {
	all := c.plan.texts()
	prefix := "v"
	for regexp.MustCompile(`(?i)\b` + prefix + `[0-9]+\b`).MatchString(all) {
		prefix += "_"
	}
	return prefix
}

// texts is all SQL of the plan.
func (p *Plan) texts() string {
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
	names  map[*vert]string // each vert's view
	refs   map[*vert]int    // how often each is scanned in this stage
	s      *Stage
	facts  identity
}

func (w *stageWriter) stage(job *Job) (*Stage, error) {
	e := w.e
	all := within(e.root)
	for _, v := range all {
		for i, a := range v.args {
			w.refs[a] += v.text.reads(i)
		}
	}
	w.refs[e.root]++
	w.s = &Stage{
		Name: e.name(), Exchange: e.ex, Tasks: Tasks{N: e.n}, Ordered: e.ordered,
		Deterministic: e.repeatable,
	}
	if e.n > MaxPartitions {
		return nil, planErr("", "consolidate or repartition before", "%s would have %d tasks, more than the %d allowed", w.s.Name, e.n, MaxPartitions)
	}
	if e.bounds != nil {
		w.s.Exchange.Bounds = e.bounds.index
	}
	for _, v := range all {
		w.add(v)
	}
	if w.s.Query == "" {
		w.s.Query = "SELECT * FROM " + QuoteIdent(w.names[e.root])
	}
	keys := w.c.words(e.ex.Keys...)
	w.mark(keys, false)
	if e.ex.Kind == User {
		w.facts.Functions = append(w.facts.Functions, e.ex.Func+"@"+w.c.o.Functions[strings.ToLower(e.ex.Func)])
	}
	w.identify(job)
	return w.s, nil
}

// mark notes what a vert's traits do to the stage.
func (w *stageWriter) mark(t traits, inOrder bool) {
	if t.volatile || t.unordered {
		w.s.Deterministic = false
	}
	w.s.Ordered = w.s.Ordered || inOrder
	w.facts.Functions = append(w.facts.Functions, t.versions...)
}

func (w *stageWriter) view() string {
	return fmt.Sprintf("%s%d", w.prefix, len(w.s.Inputs)+len(w.s.Steps))
}

// add writes a vert down as an input, a step, or the query.
func (w *stageWriter) add(v *vert) {
	w.mark(v.traits, v.inOrder)
	if w.s.Gathered == "" {
		w.s.Gathered = v.why
	}
	w.s.Access = append(w.s.Access, v.access...)
	for _, view := range v.views {
		w.s.Steps = append(w.s.Steps, Step{View: view.Name, SQL: view.SQL})
	}
	w.facts.Files = append(w.facts.Files, v.facts...)
	if v.text == nil {
		w.input(v)
		return
	}
	names := make([]string, len(v.args))
	for i, a := range v.args {
		names[i] = w.names[a]
	}
	sql := v.text.render(names)
	twice := w.refs[v] > 1
	if v == w.e.root && !twice && v.fn == nil && !v.table {
		w.s.Query = sql
		return
	}
	st := Step{View: w.view(), SQL: sql, Func: v.fn, Materialize: twice || v.volatile || v.table}
	w.names[v] = st.View
	w.s.Steps = append(w.s.Steps, st)
}

// input writes a scan, literal or read down. A stream that is scanned twice is
// kept in a table.
func (w *stageWriter) input(v *vert) {
	in := Input{View: w.view()}
	switch {
	case v.scan != nil:
		scan := *v.scan
		in.Scan = &scan
		w.facts.Files = append(w.facts.Files, v.files...)
	case v.lit != nil:
		lit := *v.lit
		in.Literal = &lit
	default:
		in.Read = &Read{How: v.read.how, Ordered: v.stable || v.ordered}
		for _, e := range v.read.exits {
			in.Read.Stages = append(in.Read.Stages, e.index)
		}
	}
	w.names[v] = in.View
	w.s.Inputs = append(w.s.Inputs, in)
	if v.scan != nil && v.scan.Format != Arrow || w.refs[v] < 2 {
		return
	}
	st := Step{View: w.view(), SQL: "SELECT * FROM " + QuoteIdent(in.View), Materialize: true}
	w.names[v] = st.View
	w.s.Steps = append(w.s.Steps, st)
}

// name is the exit for people: what it works out, and how the rows leave.
func (e *exit) name() string {
	if e.ex.Kind == Single {
		return e.root.label
	}
	return e.root.label + " → " + e.ex.String()
}

// String is the exchange as explain shows it: "hash(origin) into 8".
func (e Exchange) String() string {
	switch e.Kind {
	case Single, "":
		return "single"
	case Files:
		if e.Write.Single {
			return fmt.Sprintf("%s file %s", e.Write.Format, e.Write.Path)
		}
		return fmt.Sprintf("%s files in %s", e.Write.Format, e.Write.Path)
	}
	var terms []string
	for i, k := range e.Keys {
		switch {
		case e.Kind == Range && k == blobKey:
		case e.Kind == Range:
			terms = append(terms, k+" "+e.Order[i])
		default:
			terms = append(terms, k)
		}
	}
	of := strings.Join(terms, ", ")
	if of != "" {
		of = "(" + of + ")"
	}
	return fmt.Sprintf("%s%s into %d", e.Kind, of, e.Partitions)
}
