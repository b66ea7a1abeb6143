package distribute_test

import (
	"fmt"
	"slices"
	"strings"
)

// What gen writes beyond plain SELECTs. Each leaves nothing open: ties are
// grouped or ordered away first.

// richTypes are types of the table rich that the others lack. No two values are
// equal but written otherwise, as a month and 30 days are.
var richTypes = map[string][]string{
	"h": {"0::HUGEINT", "170141183460469231731687303715884105727::HUGEINT", "(-5)::HUGEINT", "NULL::HUGEINT"},
	"t": {"TIMESTAMP '2020-02-29 23:59:59.999999'", "TIMESTAMP '1969-12-31 00:00:00'", "'infinity'::TIMESTAMP", "NULL::TIMESTAMP"},
	"z": {"TIMESTAMPTZ '2020-02-29 12:00:00+02'", "TIMESTAMPTZ '2020-02-29 10:00:00+00'", "NULL::TIMESTAMPTZ"},
	"v": {"INTERVAL '1 month'", "INTERVAL '31 days'", "INTERVAL '-2 hours'", "NULL::INTERVAL"},
	"r": {"{'a': 1, 'b': 'x'}", "{'a': NULL::INTEGER, 'b': 'x'}", "{'a': 1, 'b': NULL::VARCHAR}", "NULL::STRUCT(a INTEGER, b VARCHAR)"},
	"w": {"12345678901234567890.0123456789::DECIMAL(38,10)", "0::DECIMAL(38,10)", "(-0.5)::DECIMAL(38,10)", "NULL::DECIMAL(38,10)"},
	"u": {"255::UTINYINT", "0::UTINYINT", "NULL::UTINYINT"},
	"o": {"TIME '23:59:59'", "TIME '00:00:00.000001'", "NULL::TIME"},
	"x": {`'\x00\xFF'::BLOB`, "''::BLOB", "NULL::BLOB"},
	"y": {"'sad'::mood", "'glad'::mood", "NULL::mood"},
	"m": {"MAP {'a': 1, 'b': NULL}", "MAP {}::MAP(VARCHAR, INTEGER)", "NULL::MAP(VARCHAR, INTEGER)"},
}

const richSQL = `CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad');
CREATE TABLE rich (k INTEGER, h HUGEINT, t TIMESTAMP, z TIMESTAMPTZ, v INTERVAL, r STRUCT(a INTEGER, b VARCHAR), w DECIMAL(38,10), u UTINYINT, o TIME, x BLOB, y mood, m MAP(VARCHAR, INTEGER));
`

// source of rows beyond tables.
func (g *gen) special(depth int) (string, []column) {
	a := g.name()
	switch g.n(7) {
	case 1:
		return "(SELECT s, unnest(l) AS x FROM big) AS " + a, under(a, cols("s s, x i"))
	case 2:
		return "(PIVOT (SELECT k, s, j FROM " + pick(g, "mid", "big") + ") ON k IN (1, 2, 3) USING " + pick(g, "sum(j)::BIGINT", "count(j)", "max(j)") + " GROUP BY s) AS " + a + "(s, x, y, z)", under(a, cols("s s, x i, y i, z i"))
	case 3:
		return "(UNPIVOT (SELECT s, k::BIGINT AS k, j::BIGINT AS j FROM big) ON k, j INTO NAME c VALUE x) AS " + a, under(a, cols("s s, c s, x i"))
	case 4:
		step := pick(g, "x + 1", "x * 2", "x - y")
		return fmt.Sprintf("(WITH RECURSIVE r(x, y) AS (SELECT k::BIGINT, 0 FROM %s WHERE k IS NOT NULL UNION %sSELECT %s, y + 1 FROM r WHERE y < %d) SELECT * FROM r) AS %s",
			pick(g, "dim", "mid", "none"), pick(g, "", "ALL "), step, 1+g.n(3), a), under(a, cols("x i, y i"))
	case 5:
		return "(SELECT count(*) AS x FROM (FROM big USING SAMPLE " + pick(g, "reservoir(5 ROWS) REPEATABLE (7)", "10 ROWS") + ")) AS " + a, under(a, cols("x i"))
	case 6:
		if depth > 0 {
			x, scope := g.query(depth - 1)
			list := make([]string, len(scope))
			for i := range scope {
				list[i] = fmt.Sprintf("c%d", i)
			}
			return "(SELECT * FROM (" + x + ") UNION ALL BY NAME SELECT " + strings.Join(backward(list), ", ") + " FROM (" + x + ")) AS " + a, under(a, scope)
		}
	}
	return "(VALUES (1, 'a'), (NULL, 'b'), (2, NULL), (2, 'a')) AS " + a + "(k, s)", under(a, cols("k i, s s"))
}

// asof joins what is left with the last row before, of rows of which no two are
// equal in what is compared. What DuckDB makes of a NULL there hangs on how many
// rows it joins.
func (g *gen) asof(left string, scope []column) (string, []column) {
	a := g.name()
	typ, by := "d", "d"
	if g.once(2) {
		typ, by = "i", "j"
	}
	at := slices.IndexFunc(scope, func(c column) bool { return c.typ == typ && c.exact })
	if at < 0 {
		return left, scope
	}
	table := pick(g, "mid", "big")
	right := fmt.Sprintf("(SELECT s, %s AS y, max(k) AS x FROM %s WHERE %s IS NOT NULL GROUP BY ALL) AS %s", by, table, by, a)
	kind := pick(g, "ASOF JOIN ", "ASOF LEFT JOIN ")
	some := map[string]string{"i": "0", "d": "DATE '2020-02-10'"}[typ]
	on := fmt.Sprintf("%s = %s.s AND coalesce(%s, %s) %s %s.y", g.expr(scope, "s", 0), a, scope[at].sql, some, pick(g, ">=", ">", "<=", "<"), a)
	more := []column{{a + ".x", "i", true}, {a + ".y", typ, true}, {a + ".s", "s", true}}
	return left + " " + kind + right + " ON " + on, append(slices.Clone(scope), more...)
}

// lateral joins what is left with a correlated subquery.
func (g *gen) lateralQuery(left string, scope []column) (string, []column) {
	a := g.name()
	from, inner := g.item(0)
	fn := pick(g, "max", "count", "sum", "min")
	sub := fmt.Sprintf("(SELECT %s(%s) AS x FROM %s%s)", fn, g.expr(inner, "i", 1), from, g.correlation(inner, scope))
	join := pick(g, ", LATERAL ", " LEFT JOIN LATERAL ")
	on := ""
	if strings.HasPrefix(join, " LEFT") {
		on = " ON true"
	}
	return left + join + sub + " AS " + a + on, append(slices.Clone(scope), column{a + ".x", "i", true})
}

// listExpr is an integer made of a list.
func (g *gen) listExpr(scope []column) string {
	l := "[3, NULL, 1]"
	for _, c := range scope {
		if c.typ == "l" {
			l = c.sql
		}
	}
	return fmt.Sprintf(pick(g, "len(%s)", "list_sum(%s)::BIGINT", "list_sort(%s)[1]", "len(list_filter(%s, lambda x: x > 1))",
		"list_max(list_transform(%s, lambda x: x + 1))", "list_position(%s, 3)", "list_count(list_distinct(%s))", "list_reduce(list_concat([1], %s), lambda x, y: coalesce(x, 0) + coalesce(y, 0))"), l)
}

// frames are what a window function may look at over a total order.
var frames = []string{
	" ROWS BETWEEN 1 PRECEDING AND CURRENT ROW", " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING", " ROWS BETWEEN 2 FOLLOWING AND 5 FOLLOWING",
	" ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING EXCLUDE CURRENT ROW", " GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
	" ROWS BETWEEN 3 PRECEDING AND 1 FOLLOWING EXCLUDE GROUP", " RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE TIES",
}

// ranks is a window over a total order: a function, and the column of which its
// result has the type; -1: an integer, -2: no exact number.
func (g *gen) ranks(all []string, partition string) (string, int) {
	order := "ORDER BY " + all[0] + pick(g, "", " DESC", " NULLS FIRST", " DESC NULLS LAST") + ", " + all[1] + pick(g, "", " DESC NULLS FIRST")
	fn := []struct {
		sql    string
		typ    int
		framed bool
	}{
		{"lead(c1, 2)", 1, false}, {"last_value(c0)", 0, true}, {"nth_value(c1, 2)", 1, true}, {"percent_rank()", -2, false}, {"cume_dist()", -2, false},
		{"count(c1) FILTER (WHERE c0 IS NOT NULL)", -1, true}, {"lag(c0 IGNORE NULLS)", 0, false}, {"first_value(c1 IGNORE NULLS)", 1, true},
		{"min(c0)", 0, true}, {"count(DISTINCT c0)", -1, true}, {"sum(hash(c1) % 10)", -1, true},
	}[g.n(11)]
	frame := ""
	if fn.framed && g.once(2) {
		frame = pick(g, frames...)
	}
	return fmt.Sprintf("%s OVER (%s %s%s)", fn.sql, partition, order, frame), fn.typ
}

func backward(list []string) []string {
	out := slices.Clone(list)
	slices.Reverse(out)
	return out
}

// typeIn is a type, mostly of a column in scope.
func (g *gen) typeIn(scope []column) string {
	if g.once(4) {
		return g.typ()
	}
	if typ := g.exact(scope).typ; typ != "l" && typ != "-" {
		return typ
	}
	return g.typ()
}

// windowed is window functions over an order that leaves nothing open.
func (g *gen) windowed(from string, scope []column) (string, []column) {
	var list, all []string
	var out []column
	for i := range 2 {
		typ := g.typeIn(scope)
		list = append(list, fmt.Sprintf("%s AS c%d", g.expr(scope, typ, 1), i))
		all = append(all, fmt.Sprintf("c%d", i))
		out = append(out, column{fmt.Sprintf("c%d", i), typ, true})
	}
	var fns []string
	for range 1 + g.n(2) {
		order := " ORDER BY " + all[0] + pick(g, "", " DESC") + ", " + all[1]
		part := pick(g, "", "PARTITION BY c0", "PARTITION BY c1", "PARTITION BY c0, c1")
		if g.once(3) {
			sql, typ := g.ranks(all, part)
			fns = append(fns, fmt.Sprintf("%s AS c%d", sql, len(out)))
			c := column{fmt.Sprintf("c%d", len(out)), "i", typ != -2}
			if typ >= 0 {
				c.typ = out[typ].typ
			}
			out = append(out, c)
			continue
		}
		fn := pick(g, "row_number()", "rank()", "count(*)", "dense_rank()", "max(c1)", "lag(c1)", "first_value(c0)", "sum(length(CAST(c1 AS VARCHAR)))", "ntile(3)")
		if !strings.HasSuffix(fn, "()") && g.once(3) && !strings.HasPrefix(fn, "lag") && !strings.HasPrefix(fn, "first") && !strings.HasPrefix(fn, "ntile") {
			order = pick(g, "", order+" ROWS BETWEEN 1 PRECEDING AND CURRENT ROW")
		}
		fns = append(fns, fmt.Sprintf("%s OVER (%s%s) AS c%d", fn, part, order, len(out)))
		typ := "i"
		if strings.HasPrefix(fn, "max") || strings.HasPrefix(fn, "lag") {
			typ = out[1].typ
		} else if strings.HasPrefix(fn, "first") {
			typ = out[0].typ
		}
		out = append(out, column{fmt.Sprintf("c%d", len(out)), typ, true})
	}
	sql := "SELECT *, " + strings.Join(fns, ", ") + " FROM (SELECT DISTINCT " + strings.Join(list, ", ") + from + ") AS w"
	if g.once(4) {
		sql += fmt.Sprintf(" QUALIFY c%d IS NOT NULL", len(out)-1)
	}
	return sql, out
}

func (g *gen) grouped(from string, scope []column) (string, []column) {
	var keys, list []string
	var out []column
	add := func(c column) {
		name := fmt.Sprintf("c%d", len(list))
		list = append(list, c.sql+" AS "+name)
		out = append(out, column{name, c.typ, c.exact})
	}
	for range g.n(3) {
		typ := g.typeIn(scope)
		k := g.expr(scope, typ, 1)
		if slices.Contains(keys, k) || !strings.ContainsAny(k, "q") {
			continue // a constant would be a position
		}
		keys = append(keys, k)
		add(column{k, typ, true})
	}
	for range 1 + g.n(3) {
		add(g.aggregate(scope))
	}
	group := ""
	if len(keys) > 0 {
		all := strings.Join(keys, ", ")
		by := pick(g, all, all, all, "ROLLUP ("+all+")", "CUBE ("+all+")", "GROUPING SETS (("+all+"), ("+keys[0]+"), ())")
		group = " GROUP BY " + by
		if g.once(5) {
			add(column{"grouping(" + keys[0] + ")", "i", true})
		}
	}
	if g.once(5) {
		group += " HAVING count(*) > " + fmt.Sprint(g.n(3))
	}
	return "SELECT " + strings.Join(list, ", ") + from + group, out
}
