//go:build duckdb_arrow

package logical_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond/duck/logical"
)

// TestRandom compares random queries with what their plans are rendered to.
// POND_QUERIES says how many, POND_SEED from which seed on.
func TestRandom(t *testing.T) {
	setup, err := os.ReadFile("testdata/setup.sql")
	if err != nil {
		t.Fatal(err)
	}
	p := newPair(t, string(setup))
	queries, seed := number("POND_QUERIES", 150), number("POND_SEED", 1)
	var fell, invalid, large, compared int
	why := map[string]int{}
	for s := seed; s < seed+queries; s++ {
		g := &generator{Rand: rand.New(rand.NewPCG(uint64(s), 7))}
		sql := g.query(3)
		if _, err := p.runs.Schema(t.Context(), sql); err != nil {
			invalid++
			why["not SQL: "+firstLine(err)]++
			continue
		}
		if tooLarge(t.Context(), p, sql) {
			large++
			continue
		}
		text, err := p.check(t.Context(), sql)
		var refused *logical.PlanError
		switch {
		case errors.Is(err, logical.ErrUnrendered) || errors.As(err, &refused):
			fell++
			why[firstLine(err)]++
		case err != nil && strings.Contains(err.Error(), "Out of Memory"):
			large++
		case err != nil:
			t.Errorf("seed %d\n%s\nrendered\n%s\n%v", s, sql, text, err)
		default:
			compared++
		}
	}
	t.Logf("seeds %d to %d: %d equal, %d fall back, %d are not SQL, %d are too large: %v", seed, seed+queries-1, compared, fell, invalid, large, why)
	if compared < queries*8/10 {
		t.Errorf("only %d of %d queries were compared", compared, queries)
	}
}

// tooLarge reports whether a query has more rows than it is worth looking at, or
// takes too long to tell.
func tooLarge(ctx context.Context, p pair, sql string) bool {
	const rowsMax, patience = 20_000, 5 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rows, err := table(ctx, p.runs, fmt.Sprintf("SELECT count(*) > %d FROM (%s)", rowsMax, sql))
	return errors.Is(err, context.DeadlineExceeded) || err == nil && rows[0][0] == "true"
}

func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// generator makes queries out of the tables of setup.sql.
type generator struct {
	*rand.Rand
	names int
	ctes  []relation
}

// kind is what a column may be used for.
type kind string

const (
	integer kind = "int"
	text    kind = "text"
	double  kind = "double"
	decimal kind = "decimal"
	date    kind = "date"
	logic   kind = "bool"
)

type column struct {
	name string
	kind kind
}

type relation struct {
	from    string
	columns []column
}

var tables = []relation{
	{"t", []column{{"a", integer}, {"b", text}, {"c", double}, {"d", date}, {"e", decimal}, {"f", logic}}},
	{"u", []column{{"a", integer}, {"k", integer}, {"s", text}, {"x", integer}}},
	{"n", []column{{"a", integer}, {"v", integer}}},
	{"n", []column{{"a", integer}, {"v", integer}}},
	{"emp", []column{{"id", integer}, {"name", text}, {"boss", integer}, {"dept", text}, {"salary", decimal}, {"hired", date}}},
	{"sales", []column{{"region", text}, {"year", integer}, {"quarter", integer}, {"amount", integer}}},
	{"empty", []column{{"a", integer}, {"b", text}}},
}

func one[T any](g *generator, list ...T) T { return list[g.IntN(len(list))] }

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func (g *generator) name(prefix string) string {
	g.names++
	return fmt.Sprintf("%s%d", prefix, g.names)
}

// query is a statement; deep says how much may still be nested in it.
func (g *generator) query(deep int) string {
	with := ""
	if deep > 1 && g.chance(20) {
		name := g.name("w")
		sql, cols := g.selects(deep-1, nil)
		with = fmt.Sprintf("WITH %s AS %s(%s) ", name, one(g, "", "MATERIALIZED ", "NOT MATERIALIZED "), sql)
		g.ctes = append(g.ctes, relation{name, cols})
	}
	sql, _ := g.selects(deep, nil)
	if g.chance(20) {
		sql += " ORDER BY ALL" + one(g, "", " LIMIT 5", " LIMIT 3 OFFSET 2", " DESC NULLS LAST LIMIT 7")
	}
	return with + sql
}

// selects is a SELECT, or several put together, and its columns. What is outside
// may be referred to.
func (g *generator) selects(deep int, outside []column) (string, []column) {
	sql, cols := g.plain(deep, outside)
	if deep > 0 && g.chance(12) {
		var list []string
		var of []column
		for i, c := range cols {
			list = append(list, g.expr(c.kind, tables[0].columns, 1)+fmt.Sprintf(" AS o%d", i))
			of = append(of, c)
		}
		sql = "(" + sql + ") " + one(g, "UNION", "UNION ALL", "EXCEPT", "INTERSECT", "EXCEPT ALL", "INTERSECT ALL") +
			" (SELECT " + strings.Join(list, ", ") + " FROM t)"
		return "SELECT * FROM (" + sql + ")", of
	}
	return sql, cols
}

func (g *generator) plain(deep int, outside []column) (string, []column) {
	r := g.from(deep)
	scope := r.columns
	all := append(append([]column{}, scope...), outside...)
	where := ""
	if g.chance(60) {
		where = " WHERE " + g.cond(all, deep)
	}
	switch {
	case g.chance(35):
		return g.grouped(r, where, deep)
	case g.chance(20):
		return g.windowed(r, where)
	}
	var list []string
	var cols []column
	for range 1 + g.IntN(3) {
		c := column{g.name("c"), one(g, scope...).kind}
		x := g.expr(c.kind, scope, 2)
		if deep > 0 && c.kind == integer && g.chance(15) {
			x = g.scalar(scope, deep-1)
		}
		list, cols = append(list, x+" AS "+c.name), append(cols, c)
	}
	distinct := one(g, "", "", "", "DISTINCT ")
	return "SELECT " + distinct + strings.Join(list, ", ") + " FROM " + r.from + where, cols
}

func (g *generator) grouped(r relation, where string, deep int) (string, []column) {
	var list, groups []string
	var cols []column
	for range g.IntN(3) {
		c := column{g.name("g"), one(g, r.columns...).kind}
		x := g.expr(c.kind, r.columns, 1)
		list, groups, cols = append(list, x+" AS "+c.name), append(groups, x), append(cols, c)
	}
	for range 1 + g.IntN(2) {
		x, k := g.aggregate(r.columns)
		c := column{g.name("s"), k}
		list, cols = append(list, x+" AS "+c.name), append(cols, c)
	}
	sql := "SELECT " + strings.Join(list, ", ") + " FROM " + r.from + where
	if len(groups) > 0 {
		by := strings.Join(groups, ", ")
		sql += " GROUP BY " + one(g, by, by, by, "ROLLUP ("+by+")", "CUBE ("+by+")", "GROUPING SETS (("+by+"), ())")
	}
	if g.chance(25) {
		x, _ := g.aggregate(r.columns)
		sql += " HAVING " + x + " IS NOT NULL AND count(*) > " + one(g, "0", "1", "3")
	}
	return sql, cols
}

func (g *generator) aggregate(scope []column) (string, kind) {
	c := one(g, scope...)
	x := g.expr(c.kind, scope, 1)
	filter := ""
	if g.chance(20) {
		filter = " FILTER (WHERE " + g.cond(scope, 0) + ")"
	}
	switch n := g.IntN(7); {
	case n == 0:
		return "count(*)" + filter, integer
	case n == 1:
		return "count(" + one(g, "", "DISTINCT ") + x + ")" + filter, integer
	case n == 2 && c.kind != text && c.kind != date && c.kind != logic:
		return "sum(" + one(g, "", "DISTINCT ") + x + ")::DOUBLE" + filter0(filter), double
	case n == 3 && c.kind == integer:
		return "sum(" + x + ")" + filter, integer
	case n == 4 && (c.kind == integer || c.kind == decimal):
		return "avg(" + x + ")" + filter, double
	case n == 5 && c.kind == text:
		return "string_agg(" + x + ", '-' ORDER BY " + x + ")" + filter, text
	}
	return one(g, "min", "max") + "(" + x + ")" + filter, c.kind
}

// filter0 leaves a filter out that would follow a cast.
func filter0(string) string { return "" }

func (g *generator) windowed(r relation, where string) (string, []column) {
	var order []string
	for _, c := range r.columns {
		order = append(order, c.name+one(g, "", " DESC", " NULLS FIRST"))
	}
	c := one(g, r.columns...)
	partition := ""
	if g.chance(60) {
		partition = "PARTITION BY " + g.expr(c.kind, r.columns, 1) + " "
	}
	over := " OVER (" + partition + "ORDER BY " + strings.Join(order, ", ") +
		one(g, "", "", " ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING", " RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
			" GROUPS BETWEEN 1 PRECEDING AND UNBOUNDED FOLLOWING", " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE TIES") + ")"
	i := g.pick(integer, r.columns)
	x, k := one(g, "row_number()", "rank()", "count("+i+")", "sum("+i+")", "lag("+i+")", "lead("+i+", 2, 0)", "min("+i+")", "dense_rank()",
		"last_value("+i+")", "ntile(3)", "count(DISTINCT "+i+")", "max("+i+") FILTER (WHERE "+g.cond(r.columns, 0)+")"), integer
	w := column{g.name("w"), k}
	sql := "SELECT " + c.name + " AS " + g.name("c") + ", " + x + over + " AS " + w.name + " FROM " + r.from + where
	cols := []column{{fmt.Sprintf("c%d", g.names), c.kind}, w}
	if g.chance(30) {
		sql += " QUALIFY " + w.name + " > " + one(g, "0", "1", "2")
	}
	return sql, cols
}

// from is one to three tables or subqueries, joined; its columns are qualified.
func (g *generator) from(deep int) relation {
	r := g.item(deep)
	for range one(g, 0, 0, 1, 1, 2) {
		s := g.item(deep - 1)
		both := append(append([]column{}, r.columns...), s.columns...)
		on := g.joinCond(r.columns, s.columns, both)
		word := one(g, "JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "SEMI JOIN", "ANTI JOIN", "CROSS JOIN")
		switch word {
		case "CROSS JOIN":
			r = relation{r.from + " CROSS JOIN " + s.from, both}
		case "SEMI JOIN", "ANTI JOIN":
			r = relation{r.from + " " + word + " " + s.from + " ON " + on, r.columns}
		default:
			r = relation{r.from + " " + word + " " + s.from + " ON " + on, both}
		}
	}
	return r
}

func (g *generator) joinCond(left, right, both []column) string {
	for range 5 {
		a, b := one(g, left...), one(g, right...)
		if a.kind == b.kind {
			on := a.name + one(g, " = ", " = ", " = ", " < ", " >= ", " IS NOT DISTINCT FROM ") + b.name
			if g.chance(25) {
				on += one(g, " AND ", " OR ") + g.cond(both, 0)
			}
			return on
		}
	}
	return g.cond(both, 0)
}

func (g *generator) item(deep int) relation {
	alias := g.name("q")
	r := one(g, append(tables[:len(tables):len(tables)], g.ctes...)...)
	from := r.from + " " + alias
	cols := r.columns
	if deep > 0 && g.chance(30) {
		var sql string
		sql, cols = g.selects(deep-1, nil)
		from = "(" + sql + ") " + alias
	}
	out := relation{from: from}
	for _, c := range cols {
		out.columns = append(out.columns, column{alias + "." + c.name, c.kind})
	}
	return out
}

// scalar is a scalar subquery, of one row for sure.
func (g *generator) scalar(outside []column, deep int) string {
	r := g.from(deep)
	all := append(append([]column{}, r.columns...), outside...)
	return "(SELECT " + one(g, "count(*)", "max("+g.pick(integer, r.columns)+")", "sum("+g.pick(integer, r.columns)+")", "min("+g.pick(integer, all)+")") +
		" FROM " + r.from + " WHERE " + g.cond(all, 0) + ")"
}

func (g *generator) cond(scope []column, deep int) string {
	if deep > 0 && g.chance(25) {
		return g.subquery(scope, deep-1)
	}
	k := one(g, scope...).kind
	x, y := g.expr(k, scope, 1), g.expr(k, scope, 1)
	switch g.IntN(8) {
	case 0:
		return x + one(g, " IS NULL", " IS NOT NULL")
	case 1:
		return "(" + g.simple(scope) + one(g, " AND ", " OR ") + g.cond(scope, deep) + ")"
	case 2:
		return "NOT (" + g.simple(scope) + ")"
	case 3:
		return x + one(g, " IN (", " NOT IN (") + y + ", " + g.literal(k) + ")"
	case 4:
		return x + " BETWEEN " + y + " AND " + g.literal(k)
	}
	return x + one(g, " = ", " <> ", " < ", " <= ", " > ", " >= ", " IS DISTINCT FROM ", " IS NOT DISTINCT FROM ") + y
}

func (g *generator) subquery(outside []column, deep int) string {
	r := g.from(deep)
	all := append(append([]column{}, r.columns...), outside...)
	c := one(g, r.columns...)
	body := " FROM " + r.from
	if g.chance(70) {
		body += " WHERE " + g.cond(all, 0)
	}
	x := g.expr(c.kind, outside, 1)
	switch g.IntN(4) {
	case 0:
		return one(g, "", "NOT ") + "EXISTS (SELECT 1" + body + ")"
	case 1:
		return x + one(g, " < ", " > ", " = ", " >= ") + one(g, "ANY", "ALL") + " (SELECT " + c.name + body + ")"
	case 2:
		return g.pick(integer, outside) + one(g, " < ", " = ", " >= ") + g.scalar(outside, deep)
	}
	return x + one(g, " IN", " NOT IN") + " (SELECT " + c.name + body + ")"
}

// pick is a column of the kind, or a literal.
func (g *generator) pick(k kind, scope []column) string {
	for range 6 {
		if c := one(g, scope...); c.kind == k {
			return c.name
		}
	}
	return g.literal(k)
}

func (g *generator) literal(k kind) string {
	if g.chance(6) {
		return "NULL"
	}
	switch k {
	case integer:
		return one(g, "0", "1", "2", "3", "5", "-1", "2020")
	case text:
		return one(g, "'a0'", "'b1'", "'dev'", "'north'", "''", "'it''s'")
	case double:
		return one(g, "0.5::DOUBLE", "3.25::DOUBLE", "-1e3", "'nan'::DOUBLE")
	case decimal:
		return one(g, "0.5", "12.25", "400.00", "-3")
	case date:
		return one(g, "DATE '2020-02-01'", "DATE '2015-02-03'")
	}
	return one(g, "true", "false")
}

func (g *generator) expr(k kind, scope []column, deep int) string {
	x := g.pick(k, scope)
	if deep == 0 || g.chance(45) {
		return x
	}
	y := g.expr(k, scope, deep-1)
	if g.chance(15) {
		return "CASE WHEN " + g.simple(scope) + " THEN " + x + " ELSE " + y + " END"
	}
	if g.chance(10) {
		return "coalesce(" + x + ", " + y + ")"
	}
	switch k {
	case integer:
		return one(g, "("+x+" + "+y+")", "("+x+" - "+y+")", x+" % 3", "abs("+x+")", "nullif("+x+", "+y+")", "length("+g.pick(text, scope)+")", "greatest("+x+", "+y+")",
			"year("+g.pick(date, scope)+")", "(- "+x+")")
	case text:
		return one(g, x+" || "+y, "upper("+x+")", "substr("+x+", 1, 1)", "coalesce("+x+", 'none')", g.pick(integer, scope)+"::VARCHAR", "replace("+x+", 'a', "+y+")")
	case double:
		return one(g, "("+x+" + "+y+")", x+" * 2", "abs("+x+")", "("+g.pick(integer, scope)+" / 4)", g.pick(decimal, scope)+"::DOUBLE", "least("+x+", "+y+")")
	case decimal:
		return one(g, "("+x+" + "+y+")", "("+x+" * 1.5)", "("+x+" - "+g.pick(integer, scope)+")", "round("+x+", 1)", "("+x+" * "+g.literal(decimal)+")", "abs("+x+")")
	case date:
		return one(g, "("+x+" + 3)", "date_trunc('month', "+x+")::DATE", "last_day("+x+")", "("+x+" - INTERVAL 1 MONTH)::DATE", "greatest("+x+", "+y+")")
	}
	return "(" + g.simple(scope) + ")"
}

// simple is a condition on one column.
func (g *generator) simple(scope []column) string {
	c := one(g, scope...)
	return c.name + one(g, " = ", " < ", " >= ", " <> ", " IS DISTINCT FROM ") + g.literal(c.kind)
}
