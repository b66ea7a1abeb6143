package prepare

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/stmt"
	"github.com/pondmesh/pond/duck/lexer"
	"github.com/pondmesh/pond/duck/tree"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/fs/object"
)

// Tables are what statements name and nothing in them, nor a view, binds: datasets.
type Tables interface {
	// Table is a version of a dataset, by its name in lower case; 0: as it is now; nil:
	// there is no dataset.
	Table(ctx context.Context, name string, version uint64) (*Table, error)
}

// Table is one version of a dataset.
type Table struct {
	Path    string        // what it is called where a file is named, its version in it
	Empty   bool          // it has no files
	Columns []plan.Column // in their order
	Folders []string      // those among them that stand in key=value folders
}

// view is the table under its name. Its columns have the types that it was written with,
// and their order, whatever DuckDB would see in the names of folders.
func (t *Table) view(name string) plan.View {
	if t.Empty {
		return plan.View{Name: name, SQL: t.nothing(nil)}
	}
	columns := make([]string, len(t.Columns))
	var types []string
	own := "" // a column that the files have, not their names
	for i, c := range t.Columns {
		columns[i] = lexer.QuoteName(c.Name)
		if strings.EqualFold(c.Name, plan.FileName) {
			own = ", filename = false"
		}
		if _, cast, _ := plan.Stored(c.Type); cast {
			columns[i] = fmt.Sprintf("CAST(%s AS %s) AS %s", columns[i], c.Type, columns[i])
		}
		if slices.ContainsFunc(t.Folders, func(f string) bool { return strings.EqualFold(f, c.Name) }) {
			types = append(types, lexer.QuoteText(c.Name)+": "+lexer.QuoteText(c.Type))
		}
	}
	args := ", hive_partitioning = false"
	if len(types) > 0 {
		args = ", hive_partitioning = true, hive_types = {" + strings.Join(types, ", ") + "}"
	}
	return plan.View{Name: name, SQL: "SELECT " + strings.Join(columns, ", ") + " FROM read_parquet(" + lexer.QuoteText(t.Path) + args + own + ")"}
}

// nothing is a query with columns of the table's, all if none are named, and no rows.
func (t *Table) nothing(names []string) string {
	columns := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = fmt.Sprintf("CAST(NULL AS %s) AS %s", c.Type, lexer.QuoteName(c.Name))
	}
	list := "*"
	if len(names) > 0 {
		list = quoteNames(names)
	}
	return "SELECT " + list + " FROM (SELECT " + strings.Join(columns, ", ") + ") WHERE false"
}

func quoteNames(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = lexer.QuoteName(n)
	}
	return strings.Join(quoted, ", ")
}

// tableOf is the table of which a read reads files, named by their URLs; nil: they are of
// none, or of several that differ.
func (p *Planner) tableOf(ctx context.Context, r *plan.ReadOp, urls []string) (t *Table, err error) {
	if p.Tables == nil || r.Format != plan.Parquet {
		return nil, nil
	}
	known := map[dataset.Ref]bool{}
	for _, url := range urls {
		ref, err := dataset.Parse(url)
		if err != nil { // another's file
			return nil, nil
		}
		if ref.Path = ""; known[ref] {
			continue
		}
		next, err := p.Tables.Table(ctx, ref.Name, ref.Version)
		if err != nil || next == nil || len(next.Columns) == 0 {
			return nil, err
		}
		if t != nil && !(slices.Equal(t.Columns, next.Columns) && slices.Equal(t.Folders, next.Folders) && !t.Empty && !next.Empty) {
			return nil, nil
		}
		known[ref], t = true, next
	}
	return t, nil
}

// table is the view of a dataset that a statement reads by its name or its URL; nil: there
// is none.
func (q *statement) table(ctx context.Context, name string) (*plan.View, error) {
	if tree.IsFile(name) {
		return nil, nil
	}
	ref := dataset.Ref{Name: name}
	if dataset.Is(name) {
		var err error
		if ref, err = dataset.Parse(name); err != nil {
			return nil, &plan.Error{Kind: plan.KindUser, Op: "plan", Subject: name, Text: err.Error(), Hint: "a dataset has a name such as pond://sales"}
		}
	}
	t, err := q.dataset(ctx, ref.Name, ref.Version)
	switch {
	case err == nil && t == nil && dataset.Is(name):
		err = noTable(name)
	case t != nil && len(t.Columns) == 0:
		err = onlyFiles(ref.Name)
	}
	if t == nil || err != nil {
		return nil, err
	}
	v := t.below(ref.Path).view(name)
	q.views[name] = v
	return &v, nil
}

// below is the table of some of the files, by their names or a folder's; empty: of all.
func (t *Table) below(path string) *Table {
	if path == "" {
		return t
	}
	out := *t
	out.Path += "/" + path
	return &out
}

// urls has views stand for URLs that are those of tables, or of files of some. It reports
// whether there were any.
func (q *statement) urls(ctx context.Context, urls []string) (more bool, err error) {
	views := maps.Clone(q.place.Views)
	for _, url := range urls {
		ref, err := dataset.Parse(url)
		if err != nil { // what is no dataset's is told when it is looked for
			continue
		}
		t, err := q.dataset(ctx, ref.Name, ref.Version)
		if err != nil {
			return false, err
		}
		if t == nil || len(t.Columns) == 0 {
			continue
		}
		if views == nil {
			views = map[string]string{}
		}
		views[url], more = q.named(t.below(ref.Path)), true
	}
	q.place.Views = views
	return more, nil
}

// named is the name of a view of a table, by which it can be told from those that differ in
// case only.
func (q *statement) named(t *Table) string {
	name := strings.ToLower(t.Path)
	for n := 2; ; n++ {
		v := t.view(name)
		old, taken := q.views[name]
		if !taken || old == v {
			q.views[name] = v
			return name
		}
		name = fmt.Sprintf("%s #%d", strings.ToLower(t.Path), n)
	}
}

// dataset is a version of a dataset, 0 for the newest: the same one however often the
// statement names it.
func (q *statement) dataset(ctx context.Context, name string, version uint64) (t *Table, err error) {
	if q.p.Tables == nil || q.blind {
		return nil, nil
	}
	ref := dataset.Ref{Name: name, Version: version}
	t, ok := q.datasets[ref]
	if !ok {
		t, err = q.p.Tables.Table(ctx, name, version)
		switch {
		case err == nil:
			q.datasets[ref] = t
		case q.dynamic && ctx.Err() == nil: // any word may be a name: DuckDB says which it misses
			q.blind, err = true, nil
		}
	}
	return t, err
}

// pin has URLs among files which say no version stand for such as do. It reports whether
// there were any.
func (q *statement) pin(ctx context.Context, files []tree.File) (more bool, err error) {
	pins := maps.Clone(q.place.Pins)
	for _, f := range files {
		ref, err := dataset.Parse(f.Path)
		if err != nil || ref.Version > 0 { // what is no dataset's is told when it is looked for
			continue
		}
		t, err := q.dataset(ctx, ref.Name, 0)
		if err != nil {
			return false, err
		}
		if t == nil {
			continue
		}
		now, err := dataset.Parse(t.Path)
		if err != nil {
			return false, err
		}
		if pins == nil {
			pins = map[string]string{}
		}
		ref.Version = now.Version
		pins[f.Path], more = ref.String(), true
	}
	q.place.Pins = pins
	return more, nil
}

// pinRead is a read of files in which datasets have a version: whoever goes on with the
// job reads the same.
func (p *Planner) pinRead(ctx context.Context, r *plan.ReadOp, known map[dataset.Ref]*Table) (*plan.ReadOp, error) {
	if !slices.ContainsFunc(r.Paths, dataset.Is) {
		return r, nil
	}
	q := &statement{p: p, datasets: known}
	files := make([]tree.File, len(r.Paths))
	for i, path := range r.Paths {
		files[i].Path = path
	}
	if _, err := q.pin(ctx, files); err != nil {
		return nil, err
	}
	out := *r
	out.Paths = slices.Clone(r.Paths)
	for i, path := range out.Paths {
		out.Paths[i] = cmp.Or(q.place.Pins[path], path)
	}
	return &out, nil
}

// written is the query whose rows a statement puts into a table.
func (q *statement) written(ctx context.Context, s *stmt.Statement) (string, error) {
	switch {
	case s.Kind == stmt.Insert:
		return q.inserted(ctx, s)
	case s.Kind == stmt.CreateTable && len(s.Columns) > 0:
		return fmt.Sprintf("SELECT * FROM (%s\n) AS q(%s)", s.Query, quoteNames(s.Columns)), nil
	}
	return s.Query, nil
}

// inserted is an INSERT's query with the table's columns.
func (q *statement) inserted(ctx context.Context, s *stmt.Statement) (string, error) {
	name := strings.TrimPrefix(s.Write.Path, plan.DatasetScheme)
	t, err := q.dataset(ctx, name, 0)
	switch {
	case err == nil && t == nil:
		err = noTable(name)
	case t != nil && len(t.Columns) == 0:
		err = onlyFiles(name)
	}
	if err != nil {
		return "", err
	}
	op, err := q.step(ctx, s.Query)
	if err != nil {
		return "", err
	}
	shape, err := q.p.shape(ctx, op)
	if err != nil {
		return "", err
	}
	s.Write.PartitionBy = t.Folders
	return stmt.InsertQuery(s, shape.Columns, t.Columns)
}

// checkFolders refuses, before anything runs, what a dataset cannot have folders by. Of a
// query whose columns are in the data its tasks tell.
func (q *statement) checkFolders(ctx context.Context, op *plan.SQLOp, w *plan.Write) error {
	if w == nil || !dataset.Is(w.Path) || len(w.PartitionBy) == 0 || q.dynamic {
		return nil
	}
	shape, err := q.p.shape(ctx, op)
	if err != nil {
		return err
	}
	for _, c := range shape.Columns {
		if slices.ContainsFunc(w.PartitionBy, func(name string) bool { return strings.EqualFold(name, c.Name) }) {
			if err := plan.CheckFolder(c); err != nil {
				return err
			}
		}
	}
	return nil
}

func noTable(name string) error {
	return &plan.Error{Kind: plan.KindNotFound, Op: "plan", Subject: name, Text: fmt.Sprintf("Catalog Error: Table with name %s does not exist!", name), Hint: "SHOW TABLES lists those there are"}
}

// onlyFiles is the error of a dataset without columns.
func onlyFiles(name string) error {
	url := dataset.Ref{Name: name}.String()
	return &plan.Error{Kind: plan.KindUser, Op: "plan", Subject: name, Text: "the dataset holds files, and is no table: they are not all Parquet of the same columns", Hint: "read some by their names: FROM '" + url + "/FILE'; pondnode fs ls " + url + " lists them"}
}

// shape binds a step's query, confined to the files that it names.
func (p *Planner) shape(ctx context.Context, op *plan.SQLOp) (Shape, error) {
	var access []string
	if slices.ContainsFunc(op.Access, object.IsRemote) {
		var err error
		if op, err = p.locateSQL(ctx, op); err != nil {
			return Shape{}, err
		}
	}
	if len(op.Access) > 0 {
		var err error
		if _, access, err = p.facts(ctx, &plan.Source{Node: "sql", Access: op.Access, Lax: op.Lax}); err != nil {
			return Shape{}, err
		}
	}
	return p.duckdb.Describe(ctx, op, access)
}

// Describe names and types a query's columns. DuckDB binds it, confined to the
// files that it names; only what PIVOT is to find in the data is run.
func (p *Planner) Describe(ctx context.Context, req *api.Query) (*api.Description, error) {
	planned, err := p.PlanSQL(ctx, req)
	if err != nil {
		return nil, err
	}
	op := *planned.Nodes[0].SQL
	op.Told = req.Told
	shape, err := p.shape(ctx, &op)
	if err != nil {
		return nil, err
	}
	return &api.Description{Plan: planned, Columns: shape.Columns, Dynamic: shape.Dynamic}, nil
}
