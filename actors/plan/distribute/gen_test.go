package distribute_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// gen writes random queries. Every choice it makes is a number of a list, and
// what lies beyond the list is 0, the plainest choice: so a query is shrunk by
// making its list shorter and its numbers less.
type gen struct {
	choices []uint32
	next    int
	draw    *rand.Rand // more choices; nil: zeros
	alias   int
	ctes    []source
}

// n is a choice of k.
func (g *gen) n(k int) int {
	if g.next == len(g.choices) && g.draw != nil {
		g.choices = append(g.choices, g.draw.Uint32())
	}
	var c uint32
	if g.next < len(g.choices) {
		c = g.choices[g.next]
	}
	g.next++
	return int(c % uint32(k))
}

// once is true in one of k cases.
func (g *gen) once(k int) bool { return g.n(k) == k-1 }

func pick[T any](g *gen, list ...T) T { return list[g.n(len(list))] }

// column is one in scope. Exact ones have the same value however they are
// worked out.
type column struct {
	sql, typ string
	exact    bool
}

// source is a table or CTE.
type source struct {
	name string
	cols []column
}

// Types: i integer, s string, f floating point (quarters: sums are exact), n
// decimal, d date, b boolean, l list of integers.
var tables = []source{
	{"big", cols("k i, j i, s s, f f, n n, d d, b b, l l")},
	{"mid", cols("k i, j i, s s, f f, d d")},
	{"dim", cols("k i, s s, n n")},
	{"none", cols("k i, s s, f f")},
	{"rich", cols("k i, h h, t t, z z, v v, r r, w w, u u, o o, x x, y y, m m")},
}

func cols(list string) []column {
	var out []column
	for _, c := range strings.Split(list, ", ") {
		name, typ, _ := strings.Cut(c, " ")
		out = append(out, column{name, typ, true})
	}
	return out
}

// tablesSQL makes the tables: small, skewed, full of NULLs.
func tablesSQL(r *rand.Rand) string {
	var b strings.Builder
	b.WriteString(`CREATE TABLE big (k INTEGER, j BIGINT, s VARCHAR, f DOUBLE, n DECIMAL(9,2), d DATE, b BOOLEAN, l INTEGER[]);
CREATE TABLE mid (k BIGINT, j SMALLINT, s VARCHAR, f FLOAT, d DATE);
CREATE TABLE dim (k INTEGER, s VARCHAR, n DECIMAL(12,3));
CREATE TABLE none (k INTEGER, s VARCHAR, f DOUBLE);
`)
	b.WriteString(richSQL)
	null := func(s string) string {
		if r.IntN(5) == 0 {
			return "NULL"
		}
		return s
	}
	skewed := func() int {
		if r.IntN(3) == 0 {
			return 1
		}
		return r.IntN(12) - 2
	}
	value := func(typ string) string {
		switch typ {
		case "i":
			return null(fmt.Sprint(skewed()))
		case "s":
			return null("'" + pick2(r, "a", "b", "c", "ab", "", "é") + "'")
		case "f":
			return null(pick2(r, "0.25", "-1.5", "3", "0", "-0.0", "7.75", "100"))
		case "n":
			return null(fmt.Sprintf("%d.%d", r.IntN(9)-3, 25*r.IntN(4)))
		case "d":
			return null(fmt.Sprintf("'2020-02-%02d'", 1+r.IntN(28)))
		case "b":
			return null(pick2(r, "true", "false"))
		}
		if list := richTypes[typ]; list != nil {
			return list[r.IntN(len(list))]
		}
		return null(pick2(r, "[]", "[1]", "[1, NULL, 2]", "[3, 3]"))
	}
	for i, rows := range []int{16 + r.IntN(20), 10 + r.IntN(12), 1 + r.IntN(8), 0, 8 + r.IntN(12)} {
		for range rows {
			var row []string
			for _, c := range tables[i].cols {
				row = append(row, value(c.typ))
			}
			fmt.Fprintf(&b, "INSERT INTO %s VALUES (%s);\n", tables[i].name, strings.Join(row, ", "))
		}
	}
	return b.String()
}

func pick2(r *rand.Rand, list ...string) string { return list[r.IntN(len(list))] }

func (g *gen) name() string {
	g.alias++
	return fmt.Sprintf("q%d", g.alias)
}

// query is a SELECT and its columns, called c0, c1, ….
func (g *gen) query(depth int) (string, []column) {
	with := ""
	mark := len(g.ctes)
	if depth > 0 && g.once(5) {
		name := g.name()
		def, cols := g.query(depth - 1)
		for i := range cols {
			cols[i].sql = fmt.Sprintf("c%d", i)
		}
		with = "WITH " + name + " AS " + pick(g, "", "MATERIALIZED ") + "(" + def + ") "
		g.ctes = append(g.ctes, source{name, cols})
	}
	sql, cols := g.body(depth)
	g.ctes = g.ctes[:mark]
	return with + sql, cols
}

func (g *gen) body(depth int) (string, []column) {
	if depth > 0 && g.once(8) {
		return g.setOp(depth)
	}
	sql, cols := g.selection(depth)
	if g.once(6) && !strings.HasSuffix(sql, " ORDER BY ALL") {
		sql += " ORDER BY ALL"
		if g.once(2) {
			sql += fmt.Sprintf(" LIMIT %d", g.n(20))
			if g.once(3) {
				sql += fmt.Sprintf(" OFFSET %d", g.n(10))
			}
			for _, c := range cols {
				if !c.exact { // which rows are first must not hang on rounding
					sql = strings.Split(sql, " ORDER BY ALL")[0]
				}
			}
		}
	}
	return sql, cols
}

// setOp combines two queries over columns of the same types.
func (g *gen) setOp(depth int) (string, []column) {
	types := []string{pick(g, "i", "s", "d")}
	if g.once(2) {
		types = append(types, pick(g, "i", "s", "n"))
	}
	var sides []string
	for range 2 {
		from, scope := g.from(depth - 1)
		var list []string
		for i, t := range types {
			list = append(list, fmt.Sprintf("%s AS c%d", g.expr(scope, t, 1), i))
		}
		sides = append(sides, "(SELECT "+strings.Join(list, ", ")+from+g.where(scope, depth-1)+")")
	}
	op := pick(g, "UNION ALL", "UNION", "EXCEPT", "INTERSECT", "EXCEPT ALL", "INTERSECT ALL")
	return sides[0] + " " + op + " " + sides[1], named(types)
}

func named(types []string) []column {
	out := make([]column, len(types))
	for i, t := range types {
		out[i] = column{fmt.Sprintf("c%d", i), t, true}
	}
	return out
}

func (g *gen) selection(depth int) (string, []column) {
	from, scope := g.from(depth)
	where := g.where(scope, depth)
	switch g.n(5) {
	case 1, 2:
		return g.grouped(from+where, scope)
	case 3:
		return g.windowed(from+where, scope)
	}
	var list []string
	var out []column
	for i := range 1 + g.n(3) {
		typ := g.typeIn(scope)
		list = append(list, fmt.Sprintf("%s AS c%d", g.expr(scope, typ, 2), i))
		out = append(out, column{fmt.Sprintf("c%d", i), typ, true})
	}
	if depth > 0 && g.once(6) {
		out = append(out, column{fmt.Sprintf("c%d", len(list)), "i", true})
		list = append(list, fmt.Sprintf("%s AS c%d", g.scalar(scope, depth-1), len(list)))
	}
	distinct := pick(g, "", "", "DISTINCT ", "on")
	if distinct == "on" {
		return fmt.Sprintf("SELECT DISTINCT ON (c0) * FROM (SELECT %s%s) ORDER BY ALL", strings.Join(list, ", "), from+where), out
	}
	return "SELECT " + distinct + strings.Join(list, ", ") + from + where, out
}

func (g *gen) typ() string {
	return pick(g, "i", "s", "f", "n", "d", "b", "i", "s", "d", "h", "t", "z", "v", "r", "w", "u", "o", "x", "y", "m")
}

// from is FROM … and the columns it brings into scope.
func (g *gen) from(depth int) (string, []column) {
	sql, scope := g.item(depth)
	sql = " FROM " + sql
	for range g.n(3) {
		sql, scope = g.joined(sql, scope, depth)
	}
	return sql, scope
}

// item is a table, CTE or subquery under a new alias.
func (g *gen) item(depth int) (string, []column) {
	a := g.name()
	all := append(slices.Clone(tables), g.ctes...)
	i := g.n(len(all) + 1 + 2*min(max(depth, 0), 1))
	if i == len(all) {
		return g.special(depth)
	}
	if i > len(all) {
		sql, cols := g.query(depth - 1)
		return "(" + sql + ") AS " + a, under(a, cols)
	}
	return all[i].name + " AS " + a, under(a, all[i].cols)
}

func under(alias string, cols []column) []column {
	out := slices.Clone(cols)
	for i := range out {
		out[i].sql = alias + "." + out[i].sql
	}
	return out
}

func (g *gen) joined(left string, scope []column, depth int) (string, []column) {
	if g.once(12) { // lateral
		for _, c := range scope {
			if c.typ == "l" {
				a := g.name()
				return left + ", LATERAL (SELECT unnest(" + c.sql + ") AS x) AS " + a, append(scope, column{a + ".x", "i", true})
			}
		}
	}
	if g.once(12) {
		return g.asof(left, scope)
	}
	if g.once(12) {
		return g.lateralQuery(left, scope)
	}
	right, more := g.item(depth - 1)
	kind := pick(g, "JOIN", "LEFT JOIN", "JOIN", "RIGHT JOIN", "FULL JOIN", "SEMI JOIN", "ANTI JOIN", "CROSS JOIN")
	if kind == "CROSS JOIN" {
		return left + " CROSS JOIN " + right, append(slices.Clone(scope), more...)
	}
	var on []string
	for range 1 + g.n(2) {
		a, b := g.exact(scope), g.exact(more)
		for range 4 {
			if a.typ == b.typ {
				break
			}
			a, b = g.exact(scope), g.exact(more)
		}
		if a.typ != b.typ || a.typ == "l" {
			a, b = column{sql: "1", typ: "i"}, column{sql: g.expr(more, "i", 0), typ: "i"}
		}
		op := pick(g, "=", "=", "=", "=", "IS NOT DISTINCT FROM", "<", "<>")
		on = append(on, a.sql+" "+op+" "+b.sql)
	}
	both := append(slices.Clone(scope), more...)
	if g.once(6) && kind != "SEMI JOIN" && kind != "ANTI JOIN" {
		on = append(on, g.cond(both, 0))
	}
	if kind == "SEMI JOIN" || kind == "ANTI JOIN" {
		both = scope
	}
	return left + " " + kind + " " + right + " ON " + strings.Join(on, " AND "), both
}

func (g *gen) exact(scope []column) column {
	var list []column
	for _, c := range scope {
		if c.exact {
			list = append(list, c)
		}
	}
	if len(list) == 0 {
		return column{"1", "i", true}
	}
	return list[g.n(len(list))]
}

// expr is an expression of a type.
func (g *gen) expr(scope []column, typ string, depth int) string {
	var list []string
	for _, c := range scope {
		if c.typ == typ && c.exact {
			list = append(list, c.sql)
		}
	}
	if depth <= 0 || g.n(3) < 2 {
		if len(list) > 0 && !g.once(8) {
			return list[g.n(len(list))]
		}
		return g.constant(typ)
	}
	sub := func(t string) string { return g.expr(scope, t, depth-1) }
	if g.once(4) {
		return fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END", g.cond(scope, 0), sub(typ), sub(typ))
	}
	switch typ {
	case "i":
		if g.once(8) {
			return g.listExpr(scope)
		}
		return pick(g, fmt.Sprintf("(%s + %s)", sub("i"), sub("i")), fmt.Sprintf("(%s %% 5)", sub("i")), fmt.Sprintf("length(%s)", sub("s")), fmt.Sprintf("coalesce(%s, 7)", sub("i")))
	case "s":
		return pick(g, fmt.Sprintf("(%s || %s)", sub("s"), sub("s")), fmt.Sprintf("upper(%s)", sub("s")), fmt.Sprintf("CAST(%s AS VARCHAR)", sub("i")))
	case "f":
		return pick(g, fmt.Sprintf("(%s * 0.5::DOUBLE)", sub("f")), fmt.Sprintf("CAST(%s AS DOUBLE)", sub("i")))
	case "n":
		return fmt.Sprintf("(%s + 1.25)", sub("n"))
	case "d":
		return fmt.Sprintf("(%s + %d)", sub("d"), g.n(3))
	case "b":
		return "(" + g.cond(scope, depth-1) + ")"
	}
	return sub(typ)
}

func (g *gen) constant(typ string) string {
	switch typ {
	case "i":
		return pick(g, "1", "2", "0", "NULL::INTEGER")
	case "s":
		return pick(g, "'a'", "'b'", "''", "NULL::VARCHAR")
	case "f":
		return pick(g, "0.25::DOUBLE", "'nan'::DOUBLE", "NULL::DOUBLE")
	case "n":
		return pick(g, "1.25::DECIMAL(9,2)", "0::DECIMAL(9,2)", "NULL::DECIMAL(9,2)")
	case "d":
		return pick(g, "DATE '2020-02-10'", "NULL::DATE")
	case "b":
		return pick(g, "true", "false", "NULL::BOOLEAN")
	}
	if list := richTypes[typ]; list != nil {
		return pick(g, list...)
	}
	return "[1, 2]"
}

// cond is a condition.
func (g *gen) cond(scope []column, depth int) string {
	typ := g.typeIn(scope)
	x := g.expr(scope, typ, 1)
	switch g.n(8) {
	case 1:
		return x + " IS " + pick(g, "", "NOT ") + "NULL"
	case 2:
		return fmt.Sprintf("%s IN (%s, %s)", x, g.constant(typ), g.constant(typ))
	case 3:
		return fmt.Sprintf("(%s %s %s)", g.cond(scope, depth-1), pick(g, "AND", "OR"), x+" = "+g.expr(scope, typ, 1))
	case 4:
		return "NOT (" + x + " < " + g.constant(typ) + ")"
	case 5, 6:
		if depth > 0 {
			return g.subquery(scope, depth-1)
		}
	}
	return x + " " + pick(g, "=", "<", ">=", "<>", "IS DISTINCT FROM") + " " + g.expr(scope, typ, 1)
}

func (g *gen) where(scope []column, depth int) string {
	if g.n(2) == 0 {
		return ""
	}
	return " WHERE " + g.cond(scope, depth)
}

// correlation is a condition between a subquery and what is around it, or none.
func (g *gen) correlation(inner, outer []column) string {
	if g.n(2) == 0 {
		return ""
	}
	a, b := g.exact(inner), g.exact(outer)
	if a.typ != b.typ || a.typ == "l" {
		a = column{sql: g.expr(inner, "i", 0)}
		b = column{sql: g.expr(outer, "i", 0)}
	}
	return " WHERE " + a.sql + " " + pick(g, "=", "=", "<", "IS NOT DISTINCT FROM") + " " + b.sql
}

func (g *gen) subquery(scope []column, depth int) string {
	from, inner := g.from(depth)
	where := g.correlation(inner, scope)
	typ := pick(g, "i", "s", "d")
	switch g.n(5) {
	case 1:
		return pick(g, "", "NOT ") + "EXISTS (SELECT 1" + from + where + ")"
	case 2:
		return g.expr(scope, typ, 0) + pick(g, " = ANY ", " <> ALL ", " > ALL ") + "(SELECT " + g.expr(inner, typ, 0) + from + where + ")"
	case 3:
		return g.expr(scope, "i", 0) + " " + pick(g, "<", "=") + " (SELECT " + pick(g, "max", "count", "sum") + "(" + g.expr(inner, "i", 0) + ")" + from + where + ")"
	}
	return g.expr(scope, typ, 0) + pick(g, " IN ", " NOT IN ") + "(SELECT " + g.expr(inner, typ, 0) + from + where + ")"
}

// scalar is a scalar subquery.
func (g *gen) scalar(scope []column, depth int) string {
	from, inner := g.from(depth)
	where := g.correlation(inner, scope)
	return "(SELECT " + pick(g, "max", "count", "min") + "(" + g.expr(inner, "i", 1) + ")" + from + where + ")"
}

// aggregates by the type of their argument: the function, the result's type.
var aggregates = map[string][][2]string{
	"i": {{"sum(%s)", "i"}, {"count(%s)", "i"}, {"min(%s)", "i"}, {"max(%s)", "i"}, {"count(DISTINCT %s)", "i"}, {"sum(DISTINCT %s)", "i"}, {"avg(%s)", "-"},
		{"bit_xor(%s)", "i"}, {"stddev_samp(%s)", "-"}, {"median(%s)", "-"}, {"approx_count_distinct(%s)", "i"}, {"list(%[1]s ORDER BY %[1]s)", "-"}, {"avg(DISTINCT %s)", "-"}, {"var_pop(%s)", "-"},
		{"quantile_disc(%s, 0.25)", "i"}, {"histogram(%s)", "-"}, {"max(%s, 2)", "-"}, {"bit_or(%s)", "i"}, {"first(%[1]s ORDER BY %[1]s)", "i"},
		{"quantile_disc(%s, [0.1, 0.9])", "-"}},
	"s": {{"max(%s)", "s"}, {"count(%s)", "i"}, {"min(%s)", "s"}, {"string_agg(%[1]s, '+' ORDER BY %[1]s)", "s"}, {"count(DISTINCT %s)", "i"}, {"list(DISTINCT %[1]s ORDER BY %[1]s)", "-"}, {"arg_min(%[1]s, %[1]s)", "s"}, {"string_agg(DISTINCT %[1]s, ',' ORDER BY %[1]s DESC)", "s"}, {"last(%[1]s ORDER BY %[1]s NULLS FIRST)", "s"}},
	"f": {{"sum(%s)", "-"}, {"avg(%s)", "-"}, {"max(%s)", "f"}, {"count(DISTINCT %s)", "i"}, {"min(%s)", "f"}},
	"n": {{"sum(%s)", "n"}, {"avg(%s)", "-"}, {"min(%s)", "n"}, {"sum(DISTINCT %s)", "n"}, {"quantile_cont(%s, 0.5)", "-"}},
	"d": {{"max(%s)", "d"}, {"min(%s)", "d"}, {"count(DISTINCT %s)", "i"}},
	"b": {{"bool_and(%s)", "b"}, {"bool_or(%s)", "b"}, {"count(%s)", "i"}, {"count_if(%s)", "i"}},
	"h": {{"max(%s)", "h"}, {"count(DISTINCT %s)", "i"}, {"bit_xor(%s)", "h"}},
	"t": {{"max(%s)", "t"}, {"min(%s)", "t"}, {"count(DISTINCT %s)", "i"}},
	"z": {{"max(%s)", "z"}, {"list(DISTINCT %[1]s ORDER BY %[1]s)", "-"}},
	"v": {{"max(%s)", "v"}, {"count(DISTINCT %s)", "i"}},
	"r": {{"max(%s)", "r"}, {"count(DISTINCT %s)", "i"}, {"list(%[1]s ORDER BY %[1]s)", "-"}},
	"w": {{"min(%s)", "w"}, {"count(DISTINCT %s)", "i"}, {"sum(DISTINCT %s)", "w"}},
	"u": {{"sum(%s)", "i"}, {"bit_and(%s)", "u"}, {"avg(%s)", "-"}},
	"y": {{"max(%s)", "y"}, {"count(DISTINCT %s)", "i"}},
}

func (g *gen) aggregate(scope []column) column {
	if g.once(6) {
		return column{"count(*)", "i", true}
	}
	typ := g.typeIn(scope)
	if aggregates[typ] == nil {
		typ = "i"
	}
	a := aggregates[typ][g.n(len(aggregates[typ]))]
	sql := fmt.Sprintf(a[0], g.expr(scope, typ, 1))
	if g.once(6) {
		sql += " FILTER (WHERE " + g.cond(scope, 0) + ")"
	}
	return column{sql, a[1], a[1] != "-"}
}
