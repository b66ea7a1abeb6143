package prepare

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/distribute"
	"github.com/pondmesh/pond/duck"
	"github.com/pondmesh/pond/duck/lexer"
	"github.com/pondmesh/pond/duck/tree"
)

// DuckDB writes no plan down that scans CSV or JSON. So such scans are planned
// over empty tables of the same columns, and tasks read the files: every task
// binds the reader over all the files, as one DuckDB would, and takes its own.

// placeholders plan text files as tables.
type placeholders struct {
	e      *duck.Engine // locked to the query's files
	files  map[string]plan.File
	views  []string // names that hide files
	tables map[string]distribute.Table
	byKey  map[string]string // scans to names of tables
	odd    []string          // columns that files have and tables lack, or the other way about
}

// errWhole is why a query is not distributed.
type errWhole struct{ why string }

func (e *errWhole) Error() string { return e.why }

// textQuery is a query over tables that stand in for its text files.
type textQuery struct {
	sql    string
	views  []plan.View
	tables map[string]distribute.Table // by logical.Get.Source
}

// usePlaceholders makes the tables. It is nil when the query reads no text files; an
// *errWhole says why they cannot be planned so.
func usePlaceholders(ctx context.Context, e *duck.Engine, sql string, views []plan.View, files map[string]plan.File) (*textQuery, error) {
	if !anyText(files) {
		return nil, nil
	}
	s := &placeholders{e: e, files: files, tables: map[string]distribute.Table{}, byKey: map[string]string{}}
	for _, v := range views {
		s.views = append(s.views, v.Name)
	}
	q := &textQuery{tables: s.tables}
	var roots []tree.Node
	for i, text := range append([]string{sql}, sqlOf(views)...) {
		root, err := s.parse(ctx, text)
		if err != nil {
			return nil, err
		}
		scans := tree.TextScans(root, s.views...)
		if len(scans) > 0 {
			if text, err = s.replaced(ctx, root, scans); err != nil {
				return nil, err
			}
		}
		roots = append(roots, root)
		if i == 0 {
			q.sql = text
		} else {
			q.views = append(q.views, plan.View{Name: views[i-1].Name, SQL: text})
		}
	}
	if len(s.tables) == 0 {
		return nil, nil
	}
	for _, root := range roots {
		if tree.Mentions(root, s.odd...) {
			return nil, &errWhole{"it reads what only a reader of files knows: " + strings.Join(s.odd, ", ")}
		}
	}
	return q, nil
}

// anyText reports whether one of the files may be a text file: by its name, as
// DuckDB sees it. One that a query names a reader for against its name is then not
// planned, and the query runs whole.
func anyText(files map[string]plan.File) bool {
	for path := range files {
		if !isParquet(path) {
			return true
		}
	}
	return false
}

func sqlOf(views []plan.View) []string {
	out := make([]string, len(views))
	for i, v := range views {
		out[i] = v.SQL
	}
	return out
}

func (s *placeholders) parse(ctx context.Context, sql string) (tree.Node, error) {
	js, err := s.e.Parse(ctx, sql)
	if err != nil {
		return nil, &errWhole{"DuckDB gives no syntax tree of it: " + err.Error()}
	}
	return tree.Decode(js)
}

// replaced is the text of a tree that reads tables in place of scans.
func (s *placeholders) replaced(ctx context.Context, root tree.Node, scans []*tree.TextScan) (string, error) {
	slices.SortFunc(scans, func(a, b *tree.TextScan) int { return strings.Compare(a.Key(), b.Key()) })
	for _, scan := range scans {
		name, ok := s.byKey[scan.Key()]
		if !ok {
			name = fmt.Sprintf("pond_file_%d", len(s.byKey))
			t, err := s.table(ctx, scan, name)
			if err != nil {
				return "", err
			}
			s.byKey[scan.Key()] = name
			s.tables[`"temp"."main".`+lexer.QuoteName(name)] = *t
		}
		scan.Replace("temp", "main", name)
	}
	text, err := s.deparse(ctx, root)
	if err != nil {
		return "", err
	}
	again, err := s.parse(ctx, text)
	if err != nil {
		return "", err
	}
	if !reflect.DeepEqual(tree.Unplaced(again), tree.Unplaced(root)) {
		return "", &errWhole{"DuckDB does not write its syntax tree as it read it"}
	}
	return text, nil
}

func (s *placeholders) deparse(ctx context.Context, root tree.Node) (string, error) {
	js, err := tree.Encode(root)
	if err != nil {
		return "", err
	}
	text, err := s.e.Deparse(ctx, js)
	if err != nil {
		return "", &errWhole{"DuckDB does not write its syntax tree: " + err.Error()}
	}
	return strings.TrimSuffix(strings.TrimSpace(text), ";"), nil
}

// from is a reader's call over files, as it stands in FROM, with more arguments
// as text. Engines want paths spelled out, as DuckDB does not write lists: so a
// list takes a path's place.
func (s *placeholders) from(ctx context.Context, reader tree.Node, files []plan.File, more ...string) (string, error) {
	root, err := s.parse(ctx, "SELECT * FROM t")
	if err != nil {
		return "", err
	}
	tree.Walk(root, func(n tree.Node) {
		if _, ok := n["from_table"]; ok {
			n["from_table"] = reader
		}
	})
	text, err := s.deparse(ctx, root)
	if err != nil {
		return "", err
	}
	list := make([]string, len(files))
	for i, f := range files {
		list[i] = lexer.QuoteText(plan.EscapeGlob(f.Path))
	}
	paths := strings.Join(list, ", ")
	if len(list) > 1 {
		paths = "[" + paths + "]"
	}
	args := strings.Join(append([]string{paths}, more...), ", ")
	return "(" + strings.Replace(text, lexer.QuoteText(anyPath), args, 1) + ")", nil
}

// anyPath is the first text of a reader's call until the files take its place.
const anyPath = "/files"

// filledMax is how many rows a table is given for DuckDB to order joins by.
const filledMax = 50_000

// fill makes the table, with as many rows as the files seem to have: DuckDB
// orders joins by them. Nobody ever reads them.
func (s *placeholders) fill(ctx context.Context, t *distribute.Table, name string) error {
	name = "temp.main." + lexer.QuoteName(name)
	columns, values := make([]string, len(t.Columns)), make([]string, len(t.Columns))
	for i, c := range t.Columns {
		columns[i], values[i] = lexer.QuoteName(c.Name)+" "+c.Type, "NULL"
		if distinctValues[c.Type] {
			values[i] = "i"
		}
	}
	if _, err := s.e.Exec(ctx, "CREATE TEMP TABLE "+name+" ("+strings.Join(columns, ", ")+")"); err != nil {
		return &errWhole{"the types of its files' columns are odd: " + err.Error()}
	}
	_, err := s.e.Exec(ctx, fmt.Sprintf("INSERT INTO %s SELECT %s FROM range(%d) AS r(i)", name, strings.Join(values, ", "), int64(min(t.Rows, filledMax))))
	return engines.Error("plan", err)
}

// distinctValues are types that numbers from 0 can be cast to. DuckDB assumes of
// files that each row has another value.
var distinctValues = map[string]bool{"BIGINT": true, "INTEGER": true, "DOUBLE": true, "VARCHAR": true, "UBIGINT": true, "HUGEINT": true}
