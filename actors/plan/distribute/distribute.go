package distribute

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/lexer"
	"github.com/pondmesh/pond/duck/logical"
)

// distribute makes pieces of the tree, and stages of the pieces.
func (p *planner) distribute() (*Compiled, error) {
	q, o := p.q, p.o
	read, err := p.size(q.Tree.Root)
	switch {
	case err != nil:
		return nil, err
	case !o.Force && read < o.LocalBytes:
		return nil, &errSingleTask{fmt.Sprintf("it reads %.1f MiB, and below %.0f MiB one task is quicker", mib(read), mib(o.LocalBytes))}
	}
	p.input, p.parts = read, o.sizing().TasksFor(read)
	switch {
	case o.Partitions > 0:
		p.parts = o.Partitions
	case o.Force:
		p.parts = max(p.parts, o.Parallelism)
	}
	r, err := p.plan(q.Tree.Root, true)
	if err != nil {
		return nil, err
	}
	if q.Write != nil && q.Write.Single {
		r = p.gather(r, "one file is to be written", true)
	}
	ex, result := single, plan.Result{Ordered: r.stable}
	if q.Write != nil {
		w := *q.Write
		ex = plan.Exchange{Kind: plan.Files, Write: &w, Grouped: p.manyFolders(r)}
		if r, err = p.byFolder(r, ex.Grouped); err != nil {
			return nil, err
		}
		ex.Partitions, result.Write = max(r.n, 1), &w
	}
	last := p.cut(r, label(r.op), ex, true)
	last.names = q.Tree.Names
	job, err := p.stages(last, result)
	if err != nil {
		return nil, err
	}
	out := &Compiled{Job: job, q: q, facts: p.facts, o: o, sides: map[int]*draft{}, ways: p.ways}
	for _, d := range p.drafts {
		if d.index >= 0 && d.of != nil && d.before == "" && d != last && (d.ex.Kind == plan.Hash || d.ex.Kind == plan.Single) {
			out.sides[d.index] = d
		}
	}
	return out, nil
}

// size is the work of all scans, in bytes. A tree that draws seeded random numbers is
// not taken apart: they come in the order of the rows.
func (p *planner) size(root logical.Operator) (bytes int64, err error) {
	logical.Walk(root, func(op logical.Operator) bool {
		if strings.Contains(seeds(op), "setseed") {
			err = &errSingleTask{"it sets the seed of its random numbers"}
		}
		if g, ok := op.(*logical.Get); ok {
			files := slices.Clone(p.facts.Tables[g.Source].Files)
			for _, path := range g.Files {
				files = append(files, p.facts.Files[path])
			}
			bytes += work(g, p.prune(g, files))
		}
		return true
	})
	return bytes, err
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// seeds are the names of an operator's volatile functions.
func seeds(op logical.Operator) string {
	var names []string
	var visit func(x logical.Expr)
	visit = func(x logical.Expr) {
		if f, ok := x.(*logical.Func); ok {
			names = append(names, f.Name)
		}
		for _, c := range logical.Children(x) {
			visit(c)
		}
	}
	for _, x := range logical.Exprs(op) {
		visit(x)
	}
	return strings.Join(names, " ")
}

// stages writes the drafts that the last one depends on as stages of a job.
func (p *planner) stages(last *draft, result plan.Result) (*plan.Job, error) {
	var there []*plan.Stage
	if p.old != nil {
		there = p.old.Stages
	}
	b := plan.NewBuilder(p.o.JobID, p.o.Salt, result, there...)
	var write func(d *draft) error
	write = func(d *draft) error {
		if d.index >= 0 {
			return nil
		}
		if d.bounds != nil {
			if err := write(d.bounds); err != nil {
				return err
			}
		}
		for _, l := range p.leavesOf(d.root) {
			for _, up := range l.from {
				if err := write(up); err != nil {
					return err
				}
			}
		}
		s, files, err := p.stage(d)
		if err == nil {
			d.index = b.Add(s, plan.Identity{Files: files, Once: d.ex.Kind == plan.Files, Number: d.number, Twin: d.twin})
		}
		return err
	}
	if err := write(last); err != nil {
		return nil, err
	}
	return b.Job(), nil
}

// leavesOf lists a piece's leaves, each once.
func (p *planner) leavesOf(root logical.Operator) []*leaf {
	var out []*leaf
	logical.Walk(root, func(op logical.Operator) bool {
		if v, ok := op.(*logical.View); ok && !slices.Contains(out, p.leaves[v]) {
			out = append(out, p.leaves[v])
		}
		return true
	})
	return out
}

// stage writes a draft as a stage, and lists the files that it reads.
func (p *planner) stage(d *draft) (*plan.Stage, []plan.File, error) {
	s := &plan.Stage{Name: d.label, Exchange: d.ex, Tasks: plan.Tasks{N: d.n}, Ordered: d.ordered, Optimized: !recursive(d.root)}
	if d.bounds != nil {
		s.Exchange.Bounds = d.bounds.index
	}
	if d.n > plan.MaxPartitions {
		return nil, nil, &errSingleTask{fmt.Sprintf("a stage would have %d tasks", d.n)}
	}
	var files []plan.File
	steady := d.ordered
	leaves := p.leavesOf(d.root)
	if f := p.fit(d, leaves); f != nil {
		s.Tasks = plan.Tasks{Fit: f}
	}
	for _, l := range leaves {
		files = append(files, l.write(s)...)
		steady = steady && (l.scan != nil || l.ordered)
	}
	var err error
	if s.Query, err = d.query(); err != nil {
		return nil, nil, err
	}
	if p.keep(s, d, leaves, s.Query) {
		if s.Query, err = d.query(); err != nil {
			return nil, nil, err
		}
	}
	s.Access, s.Reads = filesOf(d.root), readsOf(p.q, d.root)
	for _, path := range s.Access {
		files = append(files, p.facts.Files[path])
	}
	if namesFiles(d.root) {
		s.Access = append(s.Access, p.q.Access...)
		files = append(files, allFiles(p.facts)...)
	}
	s.Deterministic = d.repeatable && !d.nondeterministic && !anyVolatile(d.root) && (steady || !nondeterministic(d.root))
	return s, files, nil
}

// viewPrefix begins the names of views: DuckDB's own plan has no text of the
// user's in which such a name could stand.
const viewPrefix = "v"

// query is the draft's SELECT.
func (d *draft) query() (string, error) {
	if d.names != nil {
		return logical.RenderPlan(&logical.Plan{Root: d.root, Names: d.names})
	}
	sql, err := logical.RenderTree(d.root)
	return d.before + sql + d.after, err
}

// write adds a leaf to a stage: an input, and for a scan a step that names the
// columns by position. It gives the view its name.
func (l *leaf) write(s *plan.Stage) []plan.File {
	in := plan.Input{View: s.NextView(viewPrefix)}
	l.view.Name = in.View
	if l.scan == nil {
		in.Read = &plan.Read{How: l.how, Ordered: l.ordered}
		for _, d := range l.from {
			in.Read.Stages = append(in.Read.Stages, d.index)
		}
		if s.Gathered == "" {
			s.Gathered = l.why
		}
		s.Inputs = append(s.Inputs, in)
		return nil
	}
	scan := l.scan.scan
	in.Scan = &scan
	s.Inputs = append(s.Inputs, in)
	list := make([]string, len(l.scan.list))
	for i, c := range l.scan.list {
		list[i] = c + " AS " + logical.ColumnName(i)
	}
	if len(list) == 0 {
		list = []string{"1 AS c0"}
	}
	sql := "SELECT " + strings.Join(list, ", ") + " FROM " + lexer.QuoteName(in.View)
	if len(l.scan.where) > 0 {
		sql += " WHERE " + strings.Join(l.scan.where, " AND ")
	}
	l.view.Name = s.NextView(viewPrefix)
	s.Steps = append(s.Steps, plan.Step{View: l.view.Name, SQL: sql})
	return l.scan.files
}

// recursive reports whether a recursive query stands in a tree. DuckDB 1.5.6 crashes
// on an ASOF join over one whose joins it may not put in order itself.
func recursive(root logical.Operator) bool {
	found := false
	logical.Walk(root, func(op logical.Operator) bool {
		_, ok := op.(*logical.RecursiveCTE)
		found = found || ok
		return !found
	})
	return found
}

// keep stores inputs that the query reads more than once in tables, and reports
// whether it did: the query must then be rendered again.
func (p *planner) keep(s *plan.Stage, d *draft, leaves []*leaf, query string) bool {
	again := recursive(d.root)
	kept := false
	for _, l := range leaves {
		name := regexp.MustCompile(`\b` + l.view.Name + `\b`)
		if !again && (l.scan != nil || len(name.FindAllString(query, 2)) < 2) {
			continue
		}
		l.view.Name, kept = s.Keep(viewPrefix, l.view.Name), true
	}
	return kept
}
