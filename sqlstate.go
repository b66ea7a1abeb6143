package pond

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/stmt"
)

// viewsMax bounds a session's views.
const viewsMax = 1000

// sqlState is what SQL statements leave in a session: views and settings.
type sqlState struct {
	initial jobDefaults // what RESET goes back to

	mu      sync.Mutex
	current jobDefaults
	views   []plan.View
}

// defaults are the settings that statements start with.
func (s *sqlState) defaults() jobDefaults {
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
		return sqlError(plan.KindResource, v.Name, "drop some with DROP VIEW", "the session has %d views already", viewsMax)
	default:
		s.views = append(s.views, v)
	}
	return nil
}

func sqlError(kind plan.Kind, subject, hint, format string, args ...any) error {
	return &Error{Kind: kind, Op: "sql", Subject: subject, Text: fmt.Sprintf(format, args...), Hint: hint}
}

func errViewExists(name string) error {
	return sqlError(plan.KindExists, name, "write CREATE OR REPLACE VIEW", "there is a view of that name")
}

// createView names a query. It is bound at once, so that a mistake in it is told
// now.
func (s *Session) createView(ctx context.Context, st *stmt.Statement) (*Rows, error) {
	if !st.Replace && s.sql.has(st.View) {
		if st.IfNotExists {
			return said("view %s is there already", st.View), nil
		}
		return nil, errViewExists(st.View)
	}
	d, err := s.columns(ctx, st.Query)
	if err != nil {
		return nil, err
	}
	op := d.Plan.Nodes[0].SQL
	for _, v := range op.Views {
		if strings.EqualFold(v.Name, st.View) {
			return nil, sqlError(plan.KindUser, st.View, "give it another name", "the view would read itself")
		}
	}
	if d.Dynamic {
		return nil, sqlError(plan.KindUser, st.View, "name them: PIVOT … ON column IN (…)", "a view's columns cannot depend on the data, as those of this PIVOT do")
	}
	if len(st.Columns) > len(d.Columns) {
		return nil, sqlError(plan.KindUser, st.View, "", "the view has more column names than columns")
	}
	v := plan.View{Name: st.View, SQL: op.Query}
	if len(st.Columns) > 0 {
		names := make([]string, len(st.Columns))
		for i, n := range st.Columns {
			names[i] = plan.QuoteIdent(n)
		}
		v.SQL = "SELECT * FROM (" + op.Query + ") AS q(" + strings.Join(names, ", ") + ")"
	}
	if err := s.sql.put(v, st.Replace); err != nil {
		return nil, err
	}
	return said("view %s", st.View), nil
}

func (s *Session) dropViews(st *stmt.Statement) (*Rows, error) {
	s.sql.mu.Lock()
	defer s.sql.mu.Unlock()
	for _, name := range st.Names {
		if s.sql.at(name) < 0 && !st.IfExists {
			return nil, sqlError(plan.KindNotFound, name, "SHOW VIEWS lists those there are", "there is no view of that name")
		}
	}
	n := 0
	for _, name := range st.Names {
		if i := s.sql.at(name); i >= 0 {
			s.sql.views = slices.Delete(s.sql.views, i, i+1)
			n++
		}
	}
	return said("dropped %d", n), nil
}

// show lists the session's views.
func (s *Session) show(ctx context.Context, st *stmt.Statement) (*Rows, error) {
	views := s.sql.list()
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
		d, err := s.columns(ctx, "FROM "+plan.QuoteIdent(v.Name))
		if err != nil {
			return nil, fmt.Errorf("view %s: %w", v.Name, err)
		}
		names, types := make([]string, len(d.Columns)), make([]string, len(d.Columns))
		for i, c := range d.Columns {
			names[i], types[i] = c.Name, c.Type
		}
		t.add("temp", "main", v.Name, names, types, true)
	}
	return t.rows(), nil
}

// setting is one that SET knows.
type setting struct {
	name, is string
	set      func(d *jobDefaults, value string) bool // false: it is none
	reset    func(d *jobDefaults, initial *jobDefaults)
}

var settings = []setting{
	{"pond_partitions", fmt.Sprintf("a number up to %d; 0: by the pond's slots", plan.MaxPartitions), func(d *jobDefaults, v string) bool {
		n, err := strconv.Atoi(v)
		d.partitions = n
		return err == nil && n >= 0 && n <= plan.MaxPartitions
	}, func(d, i *jobDefaults) { d.partitions = i.partitions }},
	{"pond_force", "on: distribute small queries too; off", func(d *jobDefaults, v string) (ok bool) {
		d.force, ok = onOff(v)
		return ok
	}, func(d, i *jobDefaults) { d.force = i.force }},
	{"pond_reuse", "on: take rows of equal stages that are held; off", func(d *jobDefaults, v string) bool {
		on, ok := onOff(v)
		d.noReuse = !on
		return ok
	}, func(d, i *jobDefaults) { d.noReuse = i.noReuse }},
	{"pond_codec", "s2, zstd, lz4 or none", func(d *jobDefaults, v string) bool {
		d.codec = strings.ToLower(v)
		return slices.Contains([]string{"s2", "zstd", "lz4", "none"}, d.codec)
	}, func(d, i *jobDefaults) { d.codec = i.codec }},
	{"pond_deadline", "a time such as '90s'; '0s': none", func(d *jobDefaults, v string) bool {
		t, err := time.ParseDuration(v)
		d.deadline = t
		return err == nil && t >= 0
	}, func(d, i *jobDefaults) { d.deadline = i.deadline }},
}

func onOff(v string) (on, ok bool) {
	switch strings.ToLower(v) {
	case "on", "true", "1", "yes":
		return true, true
	case "off", "false", "0", "no":
		return false, true
	}
	return false, false
}

// set is SET and RESET.
func (s *Session) set(st *stmt.Statement) (*Rows, error) {
	var names []string
	for _, x := range settings {
		names = append(names, x.name)
		if !strings.EqualFold(x.name, st.Name) {
			continue
		}
		s.sql.mu.Lock()
		defer s.sql.mu.Unlock()
		if st.Reset {
			x.reset(&s.sql.current, &s.sql.initial)
			return said("%s is reset", x.name), nil
		}
		d := s.sql.current
		if !x.set(&d, st.Value) {
			return nil, sqlError(plan.KindUser, x.name, "it takes "+x.is, "it cannot be %s", st.Value)
		}
		s.sql.current = d
		return said("%s = %s", x.name, st.Value), nil
	}
	if instead := inQueries[strings.ToLower(st.Name)]; instead != "" {
		return nil, sqlError(plan.KindUser, st.Name, instead, "a pond's queries mean the same in every session: the setting stays as it is")
	}
	return nil, sqlError(plan.KindUser, st.Name, "a session has "+strings.Join(names, ", ")+"; a node is given its memory and slots when it starts",
		"there is no such setting of a session")
}

// inQueries are settings of DuckDB that change what queries mean, and what to
// write in a query instead.
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
