package prepare

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/glob"
	"github.com/pondmesh/pond/duck/lexer"
	"github.com/pondmesh/pond/duck/tree"
	"github.com/pondmesh/pond/fs/object"
)

// Statements name objects that are elsewhere by their URLs. A plan names them by paths
// (object.Path), one a version: from here on they are files like others, until a node
// has them read.

// Objects finds what URLs and patterns of them mean.
type Objects interface {
	Find(ctx context.Context, pattern string) ([]object.Object, error)
}

// locate is a plan whose reads of URLs are reads of objects as they are now.
func (p *Planner) locate(ctx context.Context, in *plan.Plan) (*plan.Plan, error) {
	out := *in
	out.Nodes = slices.Clone(in.Nodes)
	empty := map[plan.NodeID]bool{} // reads of datasets without files
	for i := range out.Nodes {
		n := &out.Nodes[i]
		var err error
		switch {
		case n.Read != nil && slices.ContainsFunc(n.Read.Paths, object.IsRemote):
			err = p.locateRead(ctx, n)
			empty[n.ID] = err == nil && n.SQL != nil
		case n.Project != nil && len(n.Inputs) > 0 && empty[n.Inputs[0]]:
			n.Project = ofNoFiles(n.Project)
		case n.SQL != nil && slices.ContainsFunc(n.SQL.Access, object.IsRemote):
			n.SQL, err = p.locateSQL(ctx, n.SQL)
		}
		if err != nil && soleQuery(in) == nil {
			te := *plan.AsError(err)
			te.Op = fmt.Sprintf("step %q: %s", n.ID, cmp.Or(te.Op, "read"))
			return nil, &te
		}
		if err != nil {
			return nil, err
		}
	}
	return &out, nil
}

// locateRead has a step read objects. Of a dataset it is the table, which may have no files.
func (p *Planner) locateRead(ctx context.Context, n *plan.Node) error {
	r := *n.Read
	t, err := p.tableOf(ctx, &r, n.Read.Paths)
	if err != nil {
		return err
	}
	if t != nil && t.Empty {
		columns := ofNoFiles(&plan.ProjectOp{Filename: r.Options.Filename, RowNumber: r.Options.RowNumber}).Columns
		query := t.nothing(r.Options.Columns)
		if len(columns) > 0 {
			query = "SELECT " + strings.Join(columns, ", ") + " FROM (" + query + ")"
		}
		n.Read, n.SQL = nil, &plan.SQLOp{Query: query}
		return nil
	}
	r.Options.Hive = r.Options.Hive || t != nil && len(t.Folders) > 0
	r.Paths = nil
	l := locator{p: p, ctx: ctx, known: map[string][]string{}}
	for _, pattern := range n.Read.Paths {
		paths, err := l.paths(pattern)
		if err != nil {
			return err
		}
		r.Paths = append(r.Paths, paths...)
	}
	n.Read = &r
	return nil
}

// ofNoFiles is a project of what comes from files, where there are none.
func ofNoFiles(p *plan.ProjectOp) *plan.ProjectOp {
	if !p.Filename && !p.RowNumber {
		return p
	}
	out := &plan.ProjectOp{Columns: slices.Clone(p.Columns)}
	if len(out.Columns) == 0 {
		out.Columns = []string{"*"}
	}
	if p.RowNumber {
		out.Columns = append(out.Columns, "CAST(NULL AS BIGINT) AS "+plan.RowNumber)
	}
	if p.Filename {
		out.Columns = append(out.Columns, "CAST(NULL AS VARCHAR) AS "+plan.FileName)
	}
	return out
}

// namedFiles is SQL for the column filename of what is read over a network, of which plans
// name a file by its path; none for other files.
func namedFiles(like string) string {
	if !strings.HasPrefix(like, object.Root) {
		return ""
	}
	return object.NameSQL(plan.FileName)
}

// locateSQL is a query, and its views, over objects. A pattern becomes a list.
func (p *Planner) locateSQL(ctx context.Context, op *plan.SQLOp) (*plan.SQLOp, error) {
	l := locator{p: p, ctx: ctx, known: map[string][]string{}}
	out := &plan.SQLOp{Lax: op.Lax, Told: op.Told}
	for _, v := range op.Views {
		l.views = append(l.views, v.Name)
	}
	var err error
	if out.Query, err = l.text(op.Query); err != nil {
		return nil, err
	}
	for _, v := range op.Views {
		if v.SQL, err = l.text(v.SQL); err != nil {
			return nil, err
		}
		out.Views = append(out.Views, v)
	}
	for _, pattern := range op.Access {
		paths, err := l.paths(pattern)
		if err != nil {
			return nil, err
		}
		out.Access = append(out.Access, paths...)
	}
	slices.Sort(out.Access)
	out.Access = slices.Compact(out.Access)
	return out, nil
}

// locator finds each pattern's objects once.
type locator struct {
	p     *Planner
	ctx   context.Context
	known map[string][]string
	views []string
}

// paths are those of a pattern's objects; of a pattern of files the pattern itself.
func (l *locator) paths(pattern string) ([]string, error) {
	if !object.IsRemote(pattern) {
		return []string{pattern}, nil
	}
	if known, ok := l.known[pattern]; ok {
		return known, nil
	}
	if l.p.Objects == nil {
		return nil, fileError([]string{pattern}, glob.ErrName)
	}
	if err := l.p.rules.Check().Read(pattern); err != nil {
		return nil, err
	}
	list, err := l.p.Objects.Find(l.ctx, pattern)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(list))
	for i, o := range list {
		if out[i], err = o.Path(); err != nil {
			return nil, &plan.Error{Kind: plan.KindUser, Op: "read", Subject: o.Name, Text: err.Error(), Hint: "give it a plainer name"}
		}
	}
	l.known[pattern] = out
	return out, nil
}

// text is a query's text with lists of objects in place of patterns.
func (l *locator) text(sql string) (string, error) {
	t, err := l.p.duckdb.Parse(l.ctx, sql)
	if err != nil {
		return "", err
	}
	if t.None {
		return "", notRead("PIVOT", "write what it reads as a view, or SELECT it within WITH … AS MATERIALIZED")
	}
	root, err := tree.Decode(t.JSON)
	if err != nil {
		return "", err
	}
	lists := map[string]string{} // by what stands for them
	named := tree.Mentions(root, plan.FileName)
	for _, s := range tree.FileScans(root, l.views...) {
		if !slices.ContainsFunc(s.Patterns, object.IsRemote) {
			continue
		}
		if _, clear := s.FileNames(); !clear || named && !s.Has(plan.FileName) {
			return "", notNamed(s.Patterns[slices.IndexFunc(s.Patterns, object.IsRemote)])
		}
		list, err := l.list(s)
		if err != nil {
			return "", err
		}
		mark := fmt.Sprintf("%slist-%d", object.Root, len(lists))
		lists[lexer.QuoteText(mark)] = list
		s.Read(mark)
		if err := l.name(s, named); err != nil {
			return "", err
		}
	}
	if len(lists) == 0 {
		return sql, nil
	}
	return l.written(root, lists)
}

// list is the files of a scan as an argument of its reader.
func (l *locator) list(s *tree.FileScan) (string, error) {
	if !readsObjects[s.Function] {
		return "", notRead(s.Function, "use read_parquet, read_csv or read_json")
	}
	var quoted []string
	for _, pattern := range s.Patterns {
		paths, err := l.paths(pattern)
		if err != nil {
			return "", err
		}
		for _, path := range paths {
			if isParquet(path) && !strings.Contains(s.Function, "parquet") {
				return "", notRead(s.Function+" of a .parquet", "use read_parquet")
			}
			if object.IsRemote(pattern) {
				path = plan.EscapeGlob(path)
			}
			quoted = append(quoted, lexer.QuoteText(path))
		}
	}
	if len(quoted) == 1 {
		return quoted[0], nil
	}
	return "[" + strings.Join(quoted, ", ") + "]", nil
}

// name has a scan that tells names of files tell those of the objects. One that was asked
// not to tells none where the query names the column filename: it is one of the files'.
func (l *locator) name(s *tree.FileScan, named bool) error {
	over := "SELECT * FROM scan"
	switch column, _ := s.FileNames(); {
	case column != "":
		column = lexer.QuoteName(column)
		over = fmt.Sprintf("SELECT * REPLACE (%s AS %s) FROM scan", object.NameSQL(column), column)
	case !named:
		return nil
	}
	t, err := l.p.duckdb.Parse(l.ctx, over)
	if err != nil {
		return err
	}
	query, err := tree.Decode(t.JSON)
	if err != nil {
		return err
	}
	return s.Within(query, "scan")
}

func notNamed(name string) error {
	return &plan.Error{Kind: plan.KindUser, Op: "read", Subject: name, Text: "the column filename is not given unasked for what is read over a network",
		Hint: "say read_parquet('…', filename = true) for URLs, or filename = false for a column of that name in the files"}
}

// readsObjects are the readers of objects. The others tell names of files.
var readsObjects = map[string]bool{
	"read_parquet": true, "parquet_scan": true, "read_csv": true, "read_csv_auto": true, "read_json": true, "read_json_auto": true,
	"read_ndjson": true, "read_ndjson_auto": true, "read_json_objects": true, "read_json_objects_auto": true, "read_ndjson_objects": true,
}

func notRead(what, hint string) error {
	return &plan.Error{Kind: plan.KindUser, Op: "read", Subject: what, Text: "it does not read over a network here", Hint: hint}
}

// written is a tree's text, with lists in place of what stands for them: DuckDB writes
// a list as a function's call, and engines want paths spelled out.
func (l *locator) written(root tree.Node, lists map[string]string) (string, error) {
	js, err := tree.Encode(root)
	if err != nil {
		return "", err
	}
	text, err := l.p.duckdb.Deparse(l.ctx, js)
	if err != nil {
		return "", err
	}
	text = strings.TrimSuffix(strings.TrimSpace(text), ";")
	again, err := l.p.duckdb.Parse(l.ctx, text)
	if err != nil {
		return "", err
	}
	if root2, err := tree.Decode(again.JSON); err != nil || !reflect.DeepEqual(tree.Unplaced(root2), tree.Unplaced(root)) {
		return "", notRead("the query", "DuckDB does not write its syntax tree as it read it: write it in other words")
	}
	for mark, list := range lists {
		if strings.Count(text, mark) != 1 {
			return "", notRead("the query", "write it in other words")
		}
		text = strings.Replace(text, mark, list, 1)
	}
	return text, nil
}

// objectFile is the file of an object's path.
func objectFile(path string) (glob.File, bool) {
	o, ok := object.FromPath(path)
	return glob.File{Path: path, Size: o.Size}, ok
}

// nameOf is a path by which files are put in order: that of an object is its name.
func nameOf(path string) string {
	if o, ok := object.FromPath(path); ok {
		return o.Name
	}
	return path
}
