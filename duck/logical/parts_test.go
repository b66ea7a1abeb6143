package logical

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"testing"
)

// allExprs and allOps are one of each kind.
var allExprs = []Expr{
	&Ref{}, &Const{}, &Func{}, &Cast{}, &Compare{}, &Between{}, &Logic{}, &Case{}, &Op{}, &UnnestExpr{}, &AggExpr{}, &WindowExpr{}, &UnknownExpr{},
}

var allOps = []Operator{
	&Get{}, &DummyScan{}, &EmptyResult{}, &Values{}, &Filter{}, &Projection{}, &Aggregate{}, &Distinct{}, &Window{}, &Unnest{}, &Order{}, &TopN{}, &Limit{}, &Join{},
	&DelimGet{}, &AnyJoin{}, &CrossProduct{}, &PositionalJoin{}, &SetOp{}, &MaterializedCTE{}, &RecursiveCTE{}, &CTERef{}, &Sample{}, &Pivot{}, &Unknown{}, &View{},
}

var (
	exprType   = reflect.TypeFor[Expr]()
	lambdaType = reflect.TypeFor[*Lambda]()
	inputsType = reflect.TypeFor[[]Operator]()
)

// plant puts a reference to the next column in every place of v that takes an expression,
// and says how many there are now.
func plant(v reflect.Value, next int) int {
	switch t := v.Type(); {
	case t == exprType:
		v.Set(reflect.ValueOf(&Ref{Index: next}))
		return next + 1
	case t == lambdaType, t == inputsType: // a lambda's columns are its own, inputs have theirs
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			if t.Field(i).IsExported() {
				next = plant(v.Field(i), next)
			}
		}
	case t.Kind() == reflect.Slice && takesExprs(t.Elem(), nil):
		v.Set(reflect.MakeSlice(t, 2, 2))
		for i := range 2 {
			next = plant(v.Index(i), next)
		}
	case t.Kind() == reflect.Pointer && takesExprs(t.Elem(), nil):
		v.Set(reflect.New(t.Elem()))
		next = plant(v.Elem(), next)
	}
	return next
}

// takesExprs says whether there is room for an expression in a type.
func takesExprs(t reflect.Type, within []reflect.Type) bool {
	if t == exprType || slices.Contains(within, t) {
		return t == exprType
	}
	switch within = append(within, t); t.Kind() {
	case reflect.Slice, reflect.Pointer:
		return takesExprs(t.Elem(), within)
	case reflect.Struct:
		for i := range t.NumField() {
			if t.Field(i).IsExported() && takesExprs(t.Field(i).Type, within) {
				return true
			}
		}
	}
	return false
}

// TestAllColumns: every place where an operator or an expression may use a column is
// looked at. One that is not is a column that pruning throws away.
func TestAllColumns(t *testing.T) {
	check := func(kind any, n int, f Facts) {
		t.Helper()
		for i := range n {
			if !f.Columns[i] {
				t.Errorf("%T: expression %d of %d is not looked at", kind, i, n)
			}
		}
	}
	total := 0
	for _, x := range allExprs {
		if _, ref := x.(*Ref); ref {
			continue
		}
		fresh := reflect.New(reflect.TypeOf(x).Elem())
		n := plant(fresh.Elem(), 0)
		check(x, n, FactsOf(fresh.Interface().(Expr)))
		total += n
	}
	for _, op := range allOps {
		fresh := reflect.New(reflect.TypeOf(op).Elem())
		n := plant(fresh.Elem(), 0)
		check(op, n, FactsOf(Exprs(fresh.Interface().(Operator))...))
		total += n
	}
	if total < 80 {
		t.Errorf("%d places were tried", total)
	}
}

// TestVolatileAnywhere: what differs from call to call is found wherever it stands.
func TestVolatileAnywhere(t *testing.T) {
	random := &Func{Name: "random"}
	for name, x := range map[string]Expr{
		"itself":    random,
		"a lambda":  &Func{Name: "list_transform", Args: []Expr{&Ref{}}, Lambda: &Lambda{Params: 1, Body: &Func{Name: "+", Args: []Expr{&Ref{}, random}}}},
		"a frame":   &WindowExpr{Name: "sum", Frame: Frame{StartExpr: random}},
		"an order":  &AggExpr{Name: "list", Order: []OrderKey{{X: &Cast{X: random}}}},
		"an ELSE":   &Case{Else: random},
		"a default": &WindowExpr{Name: "lag", Default: random},
	} {
		if f := FactsOf(&Ref{}, x); !f.Volatile || f.Errors || f.Unknown {
			t.Errorf("within %s: %+v", name, f)
		}
	}
	inside := &Func{Name: "list_transform", Args: []Expr{&Ref{Index: 3}}, Lambda: &Lambda{Params: 1, Body: &Logic{Args: []Expr{&Ref{Index: 7}, &Func{Name: "error"}, &UnknownExpr{}}}}}
	if f := FactsOf(inside); !f.Columns[3] || f.Columns[7] || !f.Errors || !f.Unknown || f.Volatile {
		t.Errorf("a lambda's parameter is no column: %+v", f)
	}
	if f := FactsOf(nil, &Func{Name: "now"}); f.Volatile || len(f.Columns) != 0 {
		t.Errorf("nothing and a constant: %+v", f)
	}
}

// TestWithInputs: a copy reads other inputs, and is else the same; the operator keeps
// its own.
func TestWithInputs(t *testing.T) {
	in, other := &DummyScan{Node: Node{Kind: "in"}}, &DummyScan{Node: Node{Kind: "other"}}
	for _, op := range allOps {
		fresh := reflect.New(reflect.TypeOf(op).Elem())
		plant(fresh.Elem(), 0)
		was := fresh.Interface().(Operator)
		*was.Head() = Node{Kind: "kind", Inputs: []Operator{in}, Columns: []Column{{Name: "a"}}}
		got := WithInputs(was, []Operator{other, in})
		if got == was || len(was.Head().Inputs) != 1 || was.Head().Inputs[0] != Operator(in) {
			t.Errorf("%T is changed itself", op)
		}
		if len(got.Head().Inputs) != 2 || got.Head().Inputs[0] != Operator(other) {
			t.Errorf("%T reads %v", op, got.Head().Inputs)
		}
		got.Head().Inputs = was.Head().Inputs
		if !reflect.DeepEqual(got, was) {
			t.Errorf("%T became %+v", op, got)
		}
	}
}

// TestWalk: inputs come after their operator, and not at all where it is left.
func TestWalk(t *testing.T) {
	leaf := func(kind string) Operator { return &DummyScan{Node: Node{Kind: kind}} }
	join := &Join{Node: Node{Kind: "join", Inputs: []Operator{leaf("left"), leaf("right")}}}
	tree := &Limit{Node: Node{Kind: "limit", Inputs: []Operator{&SetOp{Node: Node{Kind: "union", Inputs: []Operator{join, leaf("last")}}}}}}
	for stop, want := range map[string][]string{
		"": {"limit", "union", "join", "left", "right", "last"}, "join": {"limit", "union", "join", "last"}, "limit": {"limit"},
	} {
		var got []string
		Walk(tree, func(op Operator) bool {
			got = append(got, op.Head().Kind)
			return op.Head().Kind != stop
		})
		if !slices.Equal(got, want) {
			t.Errorf("left at %q: %v, not %v", stop, got, want)
		}
	}
}

// TestAllKinds: the lists above hold every type that has the parts which all share.
func TestAllKinds(t *testing.T) {
	listed := map[string]bool{}
	for _, x := range allExprs {
		listed[reflect.TypeOf(x).Elem().Name()] = true
	}
	for _, op := range allOps {
		listed[reflect.TypeOf(op).Elem().Name()] = true
	}
	for _, file := range []string{"tree.go", "expr.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok && len(s.Fields.List) > 0 && len(s.Fields.List[0].Names) == 0 && !listed[spec.Name.Name] {
				t.Errorf("%s is not tried", spec.Name.Name)
			}
			return true
		})
	}
}
