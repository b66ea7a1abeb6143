//go:build duckdb_arrow

package pond_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPublicTypes: no exported declaration of package pond shows a type of another
// package of this repository.
func TestPublicTypes(t *testing.T) {
	fset := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return strings.HasSuffix(n, "_test.go") })
	exported := 0
	for _, name := range names {
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		inside := map[string]bool{} // names under which the file imports the repository's packages
		for _, i := range f.Imports {
			if p := strings.Trim(i.Path.Value, `"`); strings.HasPrefix(p, module) {
				inside[p[strings.LastIndexByte(p, '/')+1:]] = true
			}
		}
		for _, d := range f.Decls {
			for _, shown := range publicParts(d) {
				exported += shown.names
				ast.Inspect(shown.node, func(n ast.Node) bool {
					if sel, ok := n.(*ast.SelectorExpr); ok {
						if x, ok := sel.X.(*ast.Ident); ok && inside[x.Name] {
							t.Errorf("%s: %s shows %s.%s", fset.Position(n.Pos()), shown.what, x.Name, sel.Sel.Name)
						}
					}
					return true
				})
			}
		}
	}
	if exported < 40 {
		t.Errorf("only %d exported names were looked at", exported)
	}
	t.Logf("%d exported names, methods and fields aside", exported)
}

// part is what users see of a declaration.
type part struct {
	what  string
	node  ast.Node
	names int // of package level
}

func publicParts(d ast.Decl) (out []part) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if !d.Name.IsExported() || d.Recv != nil && !ast.IsExported(receiver(d)) {
			return nil
		}
		names := 1
		if d.Recv != nil {
			names = 0
		}
		return []part{{d.Name.Name, d.Type, names}}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			out = append(out, publicSpec(s)...)
		}
	}
	return out
}

func publicSpec(s ast.Spec) (out []part) {
	switch s := s.(type) {
	case *ast.TypeSpec:
		if !s.Name.IsExported() {
			return nil
		}
		out = append(out, part{s.Name.Name, &ast.BadExpr{}, 1})
		st, ok := s.Type.(*ast.StructType)
		if !ok {
			return append(out, part{s.Name.Name, s.Type, 0})
		}
		for _, f := range st.Fields.List {
			if len(f.Names) == 0 || slices.ContainsFunc(f.Names, (*ast.Ident).IsExported) {
				out = append(out, part{s.Name.Name, f.Type, 0})
			}
		}
	case *ast.ValueSpec: // values of errors are error, whoever made them
		for _, n := range s.Names {
			if n.IsExported() {
				out = append(out, part{n.Name, &ast.BadExpr{}, 1})
			}
		}
		if s.Type != nil && len(out) > 0 {
			out[0].node = s.Type
		}
	}
	return out
}

// receiver is the name of a method's type.
func receiver(d *ast.FuncDecl) string {
	x := d.Recv.List[0].Type
	if p, ok := x.(*ast.StarExpr); ok {
		x = p.X
	}
	if id, ok := x.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}
