package distribute

import (
	"math/big"
	"regexp"
	"strings"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/logical"
)

// prune is the units of a scan's files whose statistics leave room for a row
// that meets all conditions, each of as many bytes as are read of it. What is not
// certain is kept.
func (p *planner) prune(g *logical.Get, files []plan.File) []plan.Piece {
	if us, ok := p.units[g]; ok {
		return us
	}
	var out []plan.Piece
	for _, f := range files {
		us := plan.Units([]plan.File{f})
		stats := p.facts.Stats[f.Path]
		for i, u := range us {
			if len(us) == len(stats) && u.Rows >= 0 {
				if impossible(g, stats[i], u.Rows) {
					continue
				}
				u.Bytes = readBytes(g, stats[i])
			}
			out = append(out, u)
		}
	}
	p.units[g] = out
	return out
}

// readBytes is the compressed size of the columns that a scan reads of a row group.
func readBytes(g *logical.Get, stats map[string]Range) int64 {
	sum := int64(1)
	for i := range wanted(g) {
		sum += stats[strings.ToLower(g.Schema[i].Name)].Bytes
	}
	return sum
}

// work is the size of a scan of some units: compressed bytes, or the number of
// values where those take less than a byte each.
func work(g *logical.Get, us []plan.Piece) (sum int64) {
	columns := int64(len(wanted(g)))
	for _, u := range us {
		sum += max(u.Bytes, u.Rows*columns)
	}
	return sum
}

// wanted is the columns that a scan gives or filters by.
func wanted(g *logical.Get) map[int]bool {
	want := map[int]bool{}
	for _, c := range g.Reads {
		if c.Virtual == "" {
			want[c.Column] = true
		}
	}
	for _, f := range g.Filters {
		want[f.Column] = true
	}
	return want
}

// impossible reports whether no row of a row group meets all conditions.
func impossible(g *logical.Get, stats map[string]Range, rows int64) bool {
	for _, f := range g.Filters {
		c := g.Schema[f.Column]
		r, ok := stats[strings.ToLower(c.Name)]
		if ok && r.Type == c.Type.String() && newBounds(r, c.Type, rows).excludes(f.X) {
			return true
		}
	}
	return false
}

// bounds are a column's values in a row group.
type bounds struct {
	typ      logical.Type
	min, max value
	known    bool
	none     bool // all are NULL
	full     bool // none is NULL
}

func newBounds(r Range, t logical.Type, rows int64) *bounds {
	b := &bounds{typ: t, none: r.Nulls == rows, full: r.Nulls == 0}
	if r.Known {
		lo, ok1 := parseValue(r.Min, t)
		hi, ok2 := parseValue(r.Max, t)
		b.min, b.max, b.known = lo, hi, ok1 && ok2
	}
	return b
}

// excludes reports whether x is true of no value. Ref 0 is the value.
func (b *bounds) excludes(x logical.Expr) bool {
	switch x := x.(type) {
	case *logical.Logic:
		for _, a := range x.Args {
			if b.excludes(a) != x.Or {
				return !x.Or
			}
		}
		return x.Or
	case *logical.Compare:
		op, c := x.Op, x.Right
		if _, ok := x.Left.(*logical.Ref); !ok {
			op, c = flipped[x.Op], x.Left
			if _, ok := x.Right.(*logical.Ref); !ok {
				return false
			}
		}
		return b.outside(op, c)
	case *logical.Between:
		if _, ok := x.X.(*logical.Ref); !ok {
			return false
		}
		return b.outside(logical.Ge, x.Low) || b.outside(logical.Le, x.High)
	case *logical.Op:
		if len(x.Args) == 0 {
			return false
		}
		if _, ok := x.Args[0].(*logical.Ref); !ok {
			return false
		}
		return b.excludesOp(x)
	}
	return false
}

func (b *bounds) excludesOp(x *logical.Op) bool {
	switch x.Kind {
	case "OPERATOR_IS_NULL":
		return b.full
	case "OPERATOR_IS_NOT_NULL":
		return b.none
	case "COMPARE_IN":
		for _, a := range x.Args[1:] {
			if !b.outside(logical.Eq, a) {
				return false
			}
		}
		return len(x.Args) > 1
	}
	return false
}

var flipped = map[logical.CompareOp]logical.CompareOp{
	logical.Eq: logical.Eq, logical.Lt: logical.Gt, logical.Gt: logical.Lt, logical.Le: logical.Ge, logical.Ge: logical.Le,
}

// outside reports whether no value stands in that relation to a constant.
func (b *bounds) outside(op logical.CompareOp, x logical.Expr) bool {
	k, ok := x.(*logical.Const)
	if !ok || k.Value.Null || !k.T.Same(b.typ) {
		return false
	}
	switch op {
	case logical.Eq, logical.Lt, logical.Le, logical.Gt, logical.Ge:
	default:
		return false
	}
	if b.none {
		return true
	}
	text, err := logical.RenderExpr(k, logical.ColumnName)
	if err != nil || !b.known {
		return false
	}
	c, ok := parseValue(text, b.typ)
	if !ok {
		return false
	}
	lo, hi := b.min.compare(c), b.max.compare(c)
	switch op {
	case logical.Lt:
		return lo >= 0
	case logical.Le:
		return lo > 0
	case logical.Gt:
		return hi <= 0
	case logical.Ge:
		return hi < 0
	}
	return lo > 0 || hi < 0
}

// value is a number or a text that sorts as DuckDB sorts it.
type value struct {
	number *big.Rat
	text   string
}

func (v value) compare(w value) int {
	if v.number != nil {
		return v.number.Cmp(w.number)
	}
	return strings.Compare(v.text, w.text)
}

var (
	castOf   = regexp.MustCompile(`^CAST\((.*) AS [^']*\)$`)
	plainDay = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)
	instant  = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?$`)
	decimal  = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
)

// parseValue reads an SQL literal of a type. Floating point is left out: NaN is
// greater than all, and no statistics speak of it.
func parseValue(sql string, t logical.Type) (value, bool) {
	if m := castOf.FindStringSubmatch(sql); m != nil {
		sql = m[1]
	}
	text, quoted := sql, false
	if len(sql) >= 2 && sql[0] == '\'' && sql[len(sql)-1] == '\'' {
		text, quoted = strings.ReplaceAll(sql[1:len(sql)-1], "''", "'"), true
	}
	switch {
	case t.Alias != "":
		return value{}, false
	case intWidth[t.ID] > 0 || uintWidth[t.ID] > 0 || t.ID == "DECIMAL":
		if !decimal.MatchString(text) {
			return value{}, false
		}
		n, ok := new(big.Rat).SetString(text)
		return value{number: n}, ok
	case t.ID == "VARCHAR":
		return value{text: text}, quoted && !strings.Contains(text, "\x00")
	case t.ID == "DATE":
		return value{text: text}, quoted && plainDay.MatchString(text)
	case t.ID == "TIMESTAMP":
		if strings.Contains(text, ".") {
			text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
		}
		return value{text: text}, quoted && instant.MatchString(text)
	}
	return value{}, false
}
