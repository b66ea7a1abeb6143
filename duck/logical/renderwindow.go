package logical

import "strings"

func (r *renderer) window(w *WindowExpr, ref func(int) string) string {
	list := r.exprs(w.Args, ref)
	if w.Offset != nil || w.Default != nil {
		offset := "1"
		if w.Offset != nil {
			offset = r.expr(w.Offset, ref)
		}
		list = append(list, offset)
	}
	if w.Default != nil {
		list = append(list, r.expr(w.Default, ref))
	}
	s := funcName(w.Name) + "("
	switch {
	case w.Name == "count_star":
		s = "count(*"
	case w.Distinct:
		s += "DISTINCT "
	}
	s += strings.Join(list, ", ")
	if len(w.ArgOrder) > 0 {
		s += " ORDER BY " + r.keys(w.ArgOrder, ref)
	}
	if w.IgnoreNulls {
		s += " IGNORE NULLS"
	}
	s += ")"
	if w.Filter != nil {
		s += " FILTER (WHERE " + r.expr(w.Filter, ref) + ")"
	}
	var over []string
	if len(w.Partitions) > 0 {
		over = append(over, "PARTITION BY "+strings.Join(r.exprs(w.Partitions, ref), ", "))
	}
	if len(w.Orders) > 0 {
		over = append(over, "ORDER BY "+r.keys(w.Orders, ref))
	}
	if f := r.frame(w, ref); f != "" {
		over = append(over, f)
	}
	return s + " OVER (" + strings.Join(over, " ") + ")"
}

// frame renders the frame of a window; nothing if it is the default.
func (r *renderer) frame(w *WindowExpr, ref func(int) string) string {
	f := w.Frame
	if f.Start == "UNBOUNDED_PRECEDING" && f.End == "CURRENT_ROW_RANGE" && f.Exclude == "NO_OTHER" {
		return ""
	}
	unit := "RANGE"
	for _, b := range []string{f.Start, f.End} {
		for _, u := range []string{"ROWS", "GROUPS"} {
			if strings.HasSuffix(b, "_"+u) {
				unit = u
			}
		}
	}
	s := unit + " BETWEEN " + r.edge(w, f.Start, f.StartExpr, ref) + " AND " + r.edge(w, f.End, f.EndExpr, ref)
	switch f.Exclude {
	case "NO_OTHER":
	case "CURRENT_ROW":
		s += " EXCLUDE CURRENT ROW"
	case "GROUP", "TIES":
		s += " EXCLUDE " + f.Exclude
	default:
		r.fail("a frame that excludes %s", f.Exclude)
	}
	return s
}

func (r *renderer) edge(w *WindowExpr, kind string, x Expr, ref func(int) string) string {
	switch {
	case kind == "UNBOUNDED_PRECEDING":
		return "UNBOUNDED PRECEDING"
	case kind == "UNBOUNDED_FOLLOWING":
		return "UNBOUNDED FOLLOWING"
	case strings.HasPrefix(kind, "CURRENT_ROW"):
		return "CURRENT ROW"
	}
	way := " PRECEDING"
	if strings.HasPrefix(kind, "EXPR_FOLLOWING") {
		way = " FOLLOWING"
	}
	if strings.HasSuffix(kind, "_RANGE") {
		x = r.distance(w, x, way == " PRECEDING")
	}
	return r.expr(x, ref) + way
}

// distance recovers the offset of a RANGE frame from the sum or difference with
// the sort key, which is all that DuckDB keeps.
func (r *renderer) distance(w *WindowExpr, x Expr, preceding bool) Expr {
	if len(w.Orders) != 1 {
		r.fail("a range frame of %d keys", len(w.Orders))
		return nil
	}
	name := "+"
	if preceding != w.Orders[0].Desc {
		name = "-"
	}
	key := uncast(w.Orders[0].X)
	x = uncast(x)
	if f, ok := x.(*Func); ok && f.Name == name && len(f.Args) == 2 && sameExpr(uncast(f.Args[0]), key) {
		return f.Args[1]
	}
	if x != nil && sameExpr(x, key) { // less or more nothing
		return constant(Value{Type: w.Orders[0].X.Type(), Text: "0"})
	}
	r.fail("a range frame whose edge is not its key and a distance")
	return nil
}

func uncast(x Expr) Expr {
	for {
		c, ok := x.(*Cast)
		if !ok || c.Try {
			return x
		}
		x = c.X
	}
}

// sameExpr compares two expressions as they are written.
func sameExpr(a, b Expr) bool {
	s, err1 := RenderExpr(a, ColumnName)
	t, err2 := RenderExpr(b, ColumnName)
	return err1 == nil && err2 == nil && s == t
}
