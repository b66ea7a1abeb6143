package logical

import "strings"

// decimal writes +, - and * of decimals. DuckDB works the result's width out of
// the arguments' types, and has already widened the arguments: bound again they
// would give a wider result, computed in wider integers. So the widening is
// undone where that gives the type there was; else the result is cast to it.
func (r *renderer) decimal(x *Func, ref func(int) string) string {
	for _, left := range narrower(x.Args[0]) {
		for _, right := range narrower(x.Args[1]) {
			if t, ok := decimalResult(x.Name, left.Type(), right.Type()); ok && t.Same(x.T) {
				return "(" + r.expr(left, ref) + " " + x.Name + " " + r.expr(right, ref) + ")"
			}
		}
	}
	return r.cast("("+r.expr(x.Args[0], ref)+" "+x.Name+" "+r.expr(x.Args[1], ref)+")", x.T)
}

// narrower is an argument, and the same without a cast that loses nothing.
func narrower(x Expr) []Expr {
	out := []Expr{x}
	if x.Type().ID != "DECIMAL" {
		return out
	}
	switch x := x.(type) {
	case *Cast:
		from, ok := decimalOf(x.X.Type())
		if x.Try || !ok || from.Width-from.Scale > x.T.Width-x.T.Scale || from.Scale > x.T.Scale {
			break
		}
		if x.X.Type().ID == "DECIMAL" {
			return append(out, narrower(x.X)...)
		}
		return append(out, &Cast{Typed: Typed{T: from}, X: x.X})
	case *Const:
		if x.Value.Null {
			break
		}
		digits := len(strings.TrimLeft(strings.TrimPrefix(x.Value.Text, "-"), "0"))
		for w := max(digits, x.T.Scale, 1); w < x.T.Width; w++ {
			t := Type{ID: "DECIMAL", Width: w, Scale: x.T.Scale}
			v := x.Value
			v.Type = t
			if strings.Contains(v.Text, " ") {
				break // 128 bits, as two numbers
			}
			out = append(out, &Const{Typed{T: t}, v})
		}
	}
	return out
}

// decimalOf is the decimal that holds all values of a type.
func decimalOf(t Type) (Type, bool) {
	digits := map[string]int{"TINYINT": 3, "SMALLINT": 5, "INTEGER": 10, "BIGINT": 19, "UTINYINT": 3, "USMALLINT": 5, "UINTEGER": 10,
		"UBIGINT": 20}[t.ID]
	if t.ID == "DECIMAL" {
		return t, true
	}
	return Type{ID: "DECIMAL", Width: digits}, digits > 0
}

// Widths of DuckDB's decimals: of a 64-bit integer, and of all.
const (
	decimal64  = 18
	decimalMax = 38
)

// decimalResult is the type that DuckDB gives to an operation.
func decimalResult(op string, a, b Type) (Type, bool) {
	if a.ID != "DECIMAL" || b.ID != "DECIMAL" {
		return Type{}, false
	}
	t := Type{ID: "DECIMAL"}
	widest := max(a.Width, b.Width)
	if op == "*" {
		t.Width, t.Scale = a.Width+b.Width, a.Scale+b.Scale
		if t.Scale > decimalMax {
			return Type{}, false
		}
		if t.Width > decimal64 && widest <= decimal64 && t.Scale < decimal64 {
			t.Width = decimal64
		}
	} else {
		t.Scale = max(a.Scale, b.Scale)
		t.Width = max(t.Scale+max(a.Width-a.Scale, b.Width-b.Scale), widest) + 1
		if t.Width > decimal64 && widest <= decimal64 {
			t.Width = decimal64
		}
	}
	t.Width = min(t.Width, decimalMax)
	return t, true
}
