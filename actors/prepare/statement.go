package prepare

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/stmt"
	"github.com/pondmesh/pond/duck/glob"
	"github.com/pondmesh/pond/duck/tree"
	"github.com/pondmesh/pond/fs/dataset"
)

// Fill makes the plan of a submitted statement, and the steps of a plan's queries
// over files. The spec's Query is then part of its plan.
func (p *Planner) Fill(ctx context.Context, spec *api.JobSpec) (err error) {
	defer p.recovered(&err)
	q := spec.Query
	spec.Query = api.Query{}
	if q.SQL == "" {
		spec.Plan, err = p.fillSteps(ctx, spec.Plan, q)
		return err
	}
	if spec.Plan != nil {
		return &plan.Error{Kind: plan.KindUser, Op: "submit", Text: "both a statement and a plan are given", Hint: "give one of them"}
	}
	if spec.Statement == "" {
		spec.Statement = q.SQL
	}
	spec.Plan, err = p.PlanSQL(ctx, &q)
	return err
}

// fillSteps is a plan with the steps of each query over files. Whatever the plan says
// of the files of a query's text is left out: the text says it.
func (p *Planner) fillSteps(ctx context.Context, in *plan.Plan, q api.Query) (*plan.Plan, error) {
	if in == nil {
		return nil, &plan.Error{Kind: plan.KindUser, Op: "submit", Text: "there is no statement and no plan", Hint: "give sql or plan"}
	}
	out := *in
	out.Nodes = nil
	known := map[dataset.Ref]*Table{}
	for _, n := range in.Nodes {
		if n.Read != nil {
			var err error
			if n.Read, err = p.pinRead(ctx, n.Read, known); err != nil {
				return nil, err
			}
		}
		if n.SQL == nil || len(n.Inputs) > 0 || p.isDerived(n.SQL) {
			out.Nodes = append(out.Nodes, n)
			continue
		}
		part, err := p.planSQL(ctx, &api.Query{SQL: n.SQL.Query, Dir: q.Dir, Views: slices.Concat(q.Views, n.SQL.Views)}, known)
		if err != nil {
			return nil, err
		}
		if part.Sink.Write != nil {
			return nil, &plan.Error{Kind: plan.KindUser, Op: "plan", Subject: string(n.ID), Text: "a step cannot be a COPY", Hint: "write with the plan's sink"}
		}
		out.Nodes = append(out.Nodes, graft(part, n.ID)...)
	}
	return &out, nil
}

// graft is a plan's steps, renamed so that the one whose rows it wants is id.
func graft(part *plan.Plan, id plan.NodeID) []plan.Node {
	rename := func(old plan.NodeID) plan.NodeID {
		if old == part.Sink.Input {
			return id
		}
		return id + "/" + old
	}
	nodes := make([]plan.Node, len(part.Nodes))
	for i, n := range part.Nodes {
		nodes[i] = n
		nodes[i].ID = rename(n.ID)
		nodes[i].Inputs = make([]plan.NodeID, len(n.Inputs))
		for k, in := range n.Inputs {
			nodes[i].Inputs[k] = rename(in)
		}
	}
	return nodes
}

// PlanSQL makes a plan of one query, or of what writes the rows of one.
func (p *Planner) PlanSQL(ctx context.Context, req *api.Query) (*plan.Plan, error) {
	return p.planSQL(ctx, req, map[dataset.Ref]*Table{})
}

// planSQL is PlanSQL with datasets that were looked up.
func (p *Planner) planSQL(ctx context.Context, req *api.Query, known map[dataset.Ref]*Table) (*plan.Plan, error) {
	s, err := stmt.Parse(req.SQL)
	if err != nil {
		return nil, err
	}
	out := &plan.Plan{Sink: plan.Sink{Input: "sql"}}
	switch s.Kind {
	case stmt.Query:
		out.Sink.Collect = &plan.CollectOp{}
	case stmt.Copy:
		out.Sink.Write = s.Write
		if !strings.HasPrefix(s.Write.Path, plan.DatasetScheme) {
			s.Write.Path = strings.TrimSuffix(placeOf(req.Dir).Absolute(s.Write.Path), "/")
		}
	case stmt.CreateTable, stmt.Insert:
		out.Sink.Write = s.Write
	default:
		return nil, &plan.Error{Kind: plan.KindUser, Op: "plan", Text: "a query or a COPY of one can be planned, no other statement",
			Hint: "run it with: pondnode sql"}
	}
	if req.Dir != "" && !filepath.IsAbs(req.Dir) {
		return nil, &plan.Error{Kind: plan.KindUser, Op: "plan", Subject: req.Dir, Text: "the folder in which names of files begin is itself relative", Hint: "give an absolute one"}
	}
	q, err := p.statement(req.Dir, req.Views)
	if err != nil {
		return nil, err
	}
	q.datasets = known
	text, err := q.written(ctx, s)
	if err != nil {
		return nil, err
	}
	op, err := q.step(ctx, text)
	if err != nil {
		return nil, err
	}
	if err := q.checkFolders(ctx, op, out.Sink.Write); err != nil {
		return nil, err
	}
	out.Nodes = []plan.Node{{ID: "sql", SQL: op}}
	if q.dynamic {
		// DuckDB plans no such query; it makes a table of it, which is then read.
		out.Nodes[0].ID = "pivot"
		out.Nodes = append(out.Nodes, plan.Node{ID: "sql", Inputs: []plan.NodeID{"pivot"}, Project: &plan.ProjectOp{}})
	}
	return out, nil
}

// derive is a plan whose queries over files may read what their texts name, and
// nothing else, whoever made the plan. A query over other steps names no files.
func (p *Planner) derive(ctx context.Context, in *plan.Plan) (*plan.Plan, error) {
	out := *in
	out.Nodes = slices.Clone(in.Nodes)
	for i := range out.Nodes {
		n := &out.Nodes[i]
		switch {
		case n.SQL == nil:
		case len(n.Inputs) > 0:
			n.SQL = &plan.SQLOp{Query: n.SQL.Query}
		default:
			if p.isDerived(n.SQL) {
				continue
			}
			q, err := p.statement("", n.SQL.Views)
			if err != nil {
				return nil, err
			}
			if n.SQL, err = q.step(ctx, n.SQL.Query); err != nil {
				return nil, err
			}
		}
	}
	return &out, nil
}

// isDerived reports whether this node has made a step from its text, not long ago.
func (p *Planner) isDerived(op *plan.SQLOp) bool {
	_, ours := p.derived.get(stepKey(op))
	return ours
}

// stepKey is a step with all that is said of its files.
func stepKey(op *plan.SQLOp) memoKey {
	return sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q", op.Query, op.Access, op.Lax, op.Views))
}

// statement makes a query's text mean the same on every node, and finds the views
// that it needs.
type statement struct {
	p     *Planner
	place tree.Place
	views map[string]plan.View // by name in lower case
	// datasets are those that were looked up; nil: there is none.
	datasets map[dataset.Ref]*Table
	// dynamic: there was a query that DuckDB gives no syntax tree of.
	dynamic bool
	// blind: of such a query datasets cannot be looked up now.
	blind bool
}

// statement begins to make a query's text mean the same on every node.
func (p *Planner) statement(dir string, views []plan.View) (*statement, error) {
	q := &statement{p: p, place: placeOf(dir), views: map[string]plan.View{}, datasets: map[dataset.Ref]*Table{}}
	for _, v := range views {
		if err := plan.CheckSQL(v.SQL); err != nil {
			with := *plan.AsError(err)
			with.Subject = "view " + v.Name
			return nil, &with
		}
		q.views[strings.ToLower(v.Name)] = v
	}
	return q, nil
}

// told begin statements that tell of a query.
var told = map[string]bool{"summarize": true, "describe": true, "desc": true, "show": true}

// step is a query, its files' names absolute, with the views that it reads, each
// after those that it needs itself.
func (q *statement) step(ctx context.Context, sql string) (*plan.SQLOp, error) {
	r, err := q.resolve(ctx, sql)
	if err != nil {
		return nil, err
	}
	op := &plan.SQLOp{Query: r.text}
	reads(op, r.files)
	if told[stmt.FirstWord(op.Query)] {
		op.Query = "SELECT * FROM (" + op.Query + ")" // a query as any other
	}
	if err := q.add(ctx, op, r.tables, map[string]bool{}); err != nil {
		return nil, err
	}
	slices.Sort(op.Access)
	op.Access = slices.Compact(op.Access)
	slices.Sort(op.Lax)
	op.Lax = slices.Compact(op.Lax)
	q.p.derived.put(stepKey(op), struct{}{}, 0)
	return op, nil
}

// placeOf is where a statement's files are looked up. Home is the node's user's, as
// it is to DuckDB.
func placeOf(dir string) tree.Place {
	home, _ := os.UserHomeDir() // without one, ~ is the root's
	return tree.Place{Dir: dir, Home: home}
}

// reads adds the files' names to a step as readers expand them now: a folder may
// be a file tomorrow.
func reads(op *plan.SQLOp, files []tree.File) {
	for _, f := range files {
		pattern := glob.Below(f.Path, f.Suffix)
		op.Access = append(op.Access, pattern)
		if f.Lax {
			op.Lax = append(op.Lax, pattern)
		}
	}
}

// add appends the views and datasets among tables. under are those that are being added.
func (q *statement) add(ctx context.Context, op *plan.SQLOp, tables, under map[string]bool) error {
	for _, name := range slices.Sorted(maps.Keys(tables)) { // the same query gives the same plan
		v, ok := q.views[name]
		if !ok {
			t, err := q.table(ctx, name)
			if err != nil {
				return err
			}
			if t == nil {
				continue
			}
			v = *t
		}
		if slices.ContainsFunc(op.Views, func(w plan.View) bool { return w.Name == v.Name }) {
			continue
		}
		if under[name] {
			return &plan.Error{Kind: plan.KindUser, Op: "plan", Subject: "view " + v.Name, Text: "the view reads itself", Hint: "give one of the views another name"}
		}
		r, err := q.resolve(ctx, v.SQL)
		if err != nil {
			return err
		}
		reads(op, r.files)
		under[name] = true
		if err := q.add(ctx, op, r.tables, under); err != nil {
			return err
		}
		delete(under, name)
		op.Views = append(op.Views, v)
	}
	return nil
}

// resolve makes the names of files absolute, and of one version, and finds the tables.
func (q *statement) resolve(ctx context.Context, sql string) (*resolved, error) {
	r, err := q.absolute(ctx, sql)
	if err != nil {
		return nil, err
	}
	views, err := q.urls(ctx, r.urls)
	if err != nil {
		return nil, err
	}
	pins, err := q.pin(ctx, r.files)
	if err != nil || !pins && !views {
		return r, err
	}
	return q.absolute(ctx, sql)
}

// absolute makes the names of files absolute, and finds the tables. Only the names
// in the text change if DuckDB then reads the right files; else DuckDB writes the
// text anew.
func (q *statement) absolute(ctx context.Context, sql string) (*resolved, error) {
	names := slices.Sorted(maps.Keys(q.views))
	key := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", sql, q.place, names))
	if r, ok := q.p.resolved.get(key); ok {
		return r, nil
	}
	t, err := q.p.duckdb.Parse(ctx, sql)
	if err != nil {
		return nil, err
	}
	if t.None {
		return q.loose(sql, names)
	}
	r, err := q.read(ctx, sql, t.JSON, names)
	if err == nil {
		q.p.resolved.put(key, r, len(sql)+len(r.text))
	}
	return r, err
}

// resolved is a query's text with absolute names of files, and its inputs.
type resolved struct {
	text   string
	files  []tree.File
	urls   []string // which may be those of tables
	tables map[string]bool
}

// read is resolve for what DuckDB gives a tree of.
func (q *statement) read(ctx context.Context, sql string, js []byte, views []string) (*resolved, error) {
	root, err := tree.Decode(js)
	if err != nil {
		return nil, err
	}
	if list, _ := root["statements"].([]any); len(list) != 1 {
		return nil, oneStatement()
	}
	files := tree.AbsoluteFiles(root, q.place, views...)
	r := &resolved{text: sql, urls: files.URLs, tables: tree.Tables(root)}
	if err := unreadable(files); err != nil {
		return nil, err
	}
	if r.files = files.List; !files.Changed {
		return r, nil
	}
	r.text = stmt.Rename(sql, q.rename(r.files), func(_, name string) string { return q.rename(r.files)(name) })
	if q.same(ctx, r.text, root) {
		return r, nil
	}
	if js, err = tree.Encode(root); err == nil {
		r.text, err = q.p.duckdb.Deparse(ctx, js)
	}
	return r, err
}

func oneStatement() error {
	return &plan.Error{Kind: plan.KindUser, Op: "parse", Text: "one statement is expected", Hint: "give one at a time"}
}

// unreadable is the error of files that a pond cannot read as one DuckDB would.
func unreadable(f *tree.Files) error {
	switch {
	case len(f.Unclear) > 0:
		return &plan.Error{Kind: plan.KindUser, Op: "parse", Subject: f.Unclear[0], Text: "which files it reads cannot be told: its path is computed",
			Hint: "write the path as a text, or a list of texts; patterns such as 'folder/*.parquet' may stand in them"}
	case len(f.Databases) > 0:
		return &plan.Error{Kind: plan.KindUser, Op: "parse", Subject: f.Databases[0], Text: "a pond does not read DuckDB's own database files: one process at a time may open them",
			Hint: "write its tables as Parquet with DuckDB: COPY table TO 'table.parquet'"}
	}
	return nil
}

// rename makes names absolute that are then among files.
func (q *statement) rename(files []tree.File) func(string) string {
	return func(name string) string {
		abs := q.place.Absolute(name)
		if slices.ContainsFunc(files, func(f tree.File) bool { return f.Path == abs }) {
			return abs
		}
		return name
	}
}

// same reports whether DuckDB reads text as the tree.
func (q *statement) same(ctx context.Context, text string, root tree.Node) bool {
	t, err := q.p.duckdb.Parse(ctx, text)
	if err != nil || t.None {
		return false
	}
	again, err := tree.Decode(t.JSON)
	if err != nil {
		return false
	}
	return reflect.DeepEqual(tree.Unplaced(again), tree.Unplaced(root))
}

// loose is resolve for what DuckDB gives no tree of though it would run it.
func (q *statement) loose(sql string, views []string) (*resolved, error) {
	if !stmt.MayPivot(sql) {
		return nil, &plan.Error{Kind: plan.KindUser, Op: "parse", Text: "only queries, and COPY of one, run on a pond", Hint: "write a SELECT"}
	}
	if list, rest := stmt.Split(sql); len(list) > 1 || len(list) == 1 && stmt.Trim(rest) != "" {
		return nil, oneStatement()
	}
	r := &resolved{tables: stmt.Identifiers(sql)}
	file := func(reader, name string) string {
		abs := q.place.Absolute(name)
		r.files = append(r.files, tree.FileOf(reader, abs))
		return abs
	}
	table := func(name string) string {
		if !tree.IsFile(name) || slices.Contains(views, strings.ToLower(name)) {
			return name
		}
		return file("", name)
	}
	q.dynamic = true
	r.text = stmt.Rename(sql, table, file)
	return r, nil
}
