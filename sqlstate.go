package pond

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/stmt"
	"github.com/pondmesh/pond/duck/lexer"
)

// viewsMax bounds a session's views.
const viewsMax = 1000

// sqlState is the views and settings that SQL statements leave in a session.
type sqlState struct {
	initial settings // what RESET goes back to

	mu      sync.Mutex
	current settings
	views   []plan.View
}

// settings are those that statements start with.
func (s *sqlState) settings() settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// list is the views there are now.
func (s *sqlState) list() []plan.View {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.views)
}

// at is where the view of that name is, -1 if there is none; the lock is held.
func (s *sqlState) at(name string) int {
	return slices.IndexFunc(s.views, func(v plan.View) bool { return strings.EqualFold(v.Name, name) })
}

func (s *sqlState) has(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at(name) >= 0
}

// put adds a view, or replaces the one of its name.
func (s *sqlState) put(v plan.View, replace bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch i := s.at(v.Name); {
	case i >= 0 && !replace:
		return errViewExists(v.Name)
	case i >= 0:
		s.views[i] = v
	case len(s.views) == viewsMax:
		return failure(plan.KindResource, "sql", v.Name, "drop some with DROP VIEW", "the session has %d views already", viewsMax)
	default:
		s.views = append(s.views, v)
	}
	return nil
}

func errViewExists(name string) error {
	return failure(plan.KindExists, "sql", name, "write CREATE OR REPLACE VIEW", "there is a view of that name")
}

// createView names a query. DuckDB binds it at once, to find mistakes early.
func (s *Session) createView(ctx context.Context, st *stmt.Statement) (*Rows, error) {
	if !st.Replace && s.sql.has(st.View) {
		if st.IfNotExists {
			return &Rows{}, nil
		}
		return nil, errViewExists(st.View)
	}
	d, err := s.bind(ctx, &api.Query{SQL: st.Query})
	if err != nil {
		return nil, err
	}
	op := d.Plan.Nodes[0].SQL
	for _, v := range op.Views {
		if strings.EqualFold(v.Name, st.View) {
			return nil, mistake("sql", st.View, "give it another name", "the view would read itself")
		}
	}
	if d.Dynamic {
		return nil, mistake("sql", st.View, "name them: PIVOT … ON column IN (…)", "a view's columns cannot depend on the data, as those of this PIVOT do")
	}
	if len(st.Columns) > len(d.Columns) {
		return nil, mistake("sql", st.View, "", "the view has more column names than columns")
	}
	v := plan.View{Name: st.View, SQL: op.Query}
	if len(st.Columns) > 0 {
		names := make([]string, len(st.Columns))
		for i, n := range st.Columns {
			names[i] = lexer.QuoteName(n)
		}
		v.SQL = "SELECT * FROM (" + op.Query + ") AS q(" + strings.Join(names, ", ") + ")"
	}
	if err := s.sql.put(v, st.Replace); err != nil {
		return nil, err
	}
	return &Rows{}, nil
}

func (s *Session) dropViews(st *stmt.Statement) (*Rows, error) {
	s.sql.mu.Lock()
	defer s.sql.mu.Unlock()
	for _, name := range st.Names {
		if s.sql.at(name) < 0 && !st.IfExists {
			return nil, failure(plan.KindNotFound, "sql", name, "SHOW VIEWS lists those there are", "there is no view of that name")
		}
	}
	for _, name := range st.Names {
		if i := s.sql.at(name); i >= 0 {
			s.sql.views = slices.Delete(s.sql.views, i, i+1)
		}
	}
	return &Rows{}, nil
}

// dropTables drops datasets, all of which must be there.
func (s *Session) dropTables(ctx context.Context, st *stmt.Statement) (*Rows, error) {
	if !st.IfExists {
		there, err := s.api.Datasets(ctx)
		if err != nil {
			return nil, err
		}
		for _, path := range st.Names {
			name := strings.TrimPrefix(path, plan.DatasetScheme)
			if !slices.ContainsFunc(there, func(d api.Dataset) bool { return d.Name == name }) {
				return nil, failure(plan.KindNotFound, "sql", name, "SHOW TABLES lists those there are", "Catalog Error: Table with name %s does not exist!", name)
			}
		}
	}
	for _, path := range st.Names {
		err := s.api.DropDataset(ctx, strings.TrimPrefix(path, plan.DatasetScheme))
		if err != nil && !(st.IfExists && errors.Is(err, plan.ErrNotFound)) {
			return nil, err
		}
	}
	return &Rows{}, nil
}

// show lists the session's views, and the pond's datasets.
func (s *Session) show(ctx context.Context, st *stmt.Statement) (*Rows, error) {
	views := s.sql.list()
	own := len(views)
	if st.What != stmt.Views {
		there, err := s.api.Datasets(ctx)
		if err != nil {
			return nil, err
		}
		for _, d := range there {
			if s.sql.has(d.Name) { // which the view hides
				continue
			}
			views = append(views, plan.View{Name: d.Name})
		}
	}
	temporary := map[string]bool{}
	for _, v := range views[:own] {
		temporary[v.Name] = true
	}
	slices.SortFunc(views, func(a, b plan.View) int { return strings.Compare(a.Name, b.Name) })
	if st.What != stmt.All {
		t := tableOf(column("name", textType))
		for _, v := range views {
			t.add(v.Name)
		}
		return t.rows(), nil
	}
	t := tableOf(column("database", textType), column("schema", textType), column("name", textType),
		column("column_names", textsType), column("column_types", textsType), column("temporary", boolType))
	for _, v := range views {
		columns, err := s.told(ctx, "FROM "+lexer.QuoteName(v.Name))
		if err != nil {
			e := *plan.AsError(err)
			e.Subject = "table " + v.Name
			return nil, &e
		}
		names, types := make([]string, len(columns)), make([]string, len(columns))
		for i, c := range columns {
			names[i], types[i] = c.Name, c.Type
		}
		database := "pond"
		if temporary[v.Name] {
			database = "temp"
		}
		t.add(database, "main", v.Name, names, types, temporary[v.Name])
	}
	return t.rows(), nil
}

// set is SET and RESET.
func (s *Session) set(st *stmt.Statement) (*Rows, error) {
	var names []string
	for _, x := range settingList {
		name := "pond_" + x.name
		names = append(names, name)
		if strings.EqualFold(name, st.Name) {
			if err := s.sql.set(x, st); err != nil {
				return nil, err
			}
			return &Rows{}, nil
		}
	}
	if instead := inQueries[strings.ToLower(st.Name)]; instead != "" {
		return nil, mistake("sql", st.Name, instead, "a pond's queries mean the same in every session: the setting stays as it is")
	}
	return nil, mistake("sql", st.Name, "a session has "+strings.Join(names, ", ")+"; a node is given its memory and slots when it starts",
		"there is no such setting of a session")
}

func (s *sqlState) set(x setting, st *stmt.Statement) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.Reset {
		x.reset(&s.current, &s.initial)
		return nil
	}
	option, err := x.parse(st.Value)
	if err == nil {
		err = option(&s.current)
	}
	if err != nil {
		return mistake("sql", "pond_"+x.name, "it takes "+x.takes, "it cannot be %s", st.Value)
	}
	return nil
}

// inQueries maps settings of DuckDB that change the meaning of queries to the SQL to
// write instead.
var inQueries = map[string]string{
	"timezone":                               "all nodes run in UTC; write: time AT TIME ZONE 'Europe/Berlin'",
	"calendar":                               "all nodes count days by the Gregorian calendar",
	"default_order":                          "write ASC or DESC in ORDER BY",
	"default_null_order":                     "write NULLS FIRST or NULLS LAST in ORDER BY; the last are NULLs otherwise",
	"null_order":                             "write NULLS FIRST or NULLS LAST in ORDER BY; the last are NULLs otherwise",
	"default_collation":                      "write COLLATE after the text, as in: ORDER BY name COLLATE nocase",
	"integer_division":                       "write a // b",
	"scalar_subquery_error_on_multiple_rows": "write LIMIT 1 in the subquery, after an ORDER BY that says which row",
	"preserve_insertion_order":               "write ORDER BY where order matters",
	"ieee_floating_point_ops":                "write nullif(b, 0) or CASE where a division has another answer",
	"old_implicit_casting":                   "write the casts",
	"order_by_non_integer_literal":           "leave the literal out of ORDER BY",
	"errors_as_json":                         "errors have a kind and a hint, and are JSON with -o json",
	"binary_as_string":                       "write read_parquet('file', binary_as_string = true)",
	"lambda_syntax":                          "write lambda x: x + 1",
}
