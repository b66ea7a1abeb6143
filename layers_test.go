//go:build duckdb_arrow

package pond_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/pondmesh/pond"

// layers says which of the repository's packages each package may import. An
// arrow that is not here does not exist; one that is here but not in the code
// is stale, and fails too.
var layers = map[string][]string{
	"duck/vec":               nil,
	"duck/lexer":             nil,
	"duck/tree":              nil,
	"duck/logical":           {"duck/lexer"},
	"mesh/ring":              nil,
	"actors/plan/template":   {"duck/lexer"},
	"actors/plan":            {"actors/plan/template", "duck/lexer"},
	"actors/plan/frame":      {"actors/plan", "actors/plan/template", "duck/lexer"},
	"actors/plan/distribute": {"actors/plan", "duck/logical"},
	"actors/plan/stmt":       {"actors/plan", "duck/lexer", "duck/tree"},
	"duck/vec/vectest":       {"duck/vec"},
	"duck":                   {"duck/vec"},
	"shuffle":                {"duck/vec"},
	"shuffle/transfer":       {"shuffle"},
	"mesh":                   nil,
	"fs":                     nil,
	"actors/sched":           {"actors/plan"},
	"actors/wire":            {"actors/plan"},
	"actors/api":             {"actors/plan", "shuffle", "shuffle/transfer"},
	"actors/funcs":           {"actors/plan"},
	"actors/engines":         {"actors/funcs", "actors/plan", "duck", "duck/vec"},
	"actors/prepare": {"actors/api", "actors/engines", "actors/plan", "actors/plan/distribute", "actors/plan/frame", "actors/plan/stmt",
		"duck", "duck/logical", "duck/tree", "duck/vec"},
	"actors/exec": {"actors/api", "actors/engines", "actors/journal", "actors/plan",
		"duck", "duck/vec", "fs", "shuffle", "shuffle/transfer"},
	"actors/journal": {"actors/api", "actors/plan", "fs", "shuffle", "shuffle/transfer"},
	"actors": {"actors/api", "actors/engines", "actors/exec", "actors/funcs", "actors/journal", "actors/plan", "actors/plan/distribute", "actors/prepare", "actors/sched", "actors/wire",
		"duck/vec", "fs", "mesh", "mesh/ring", "shuffle", "shuffle/transfer"},
	"": {"actors", "actors/api", "actors/funcs", "actors/plan", "actors/plan/stmt", "shuffle/transfer"},
}

// owners says which package alone may import a library.
var owners = map[string]string{
	"github.com/duckdb/duckdb-go":         "duck",
	"github.com/asynkron/protoactor-go":   "actors",
	"github.com/hashicorp/serf":           "mesh",
	"github.com/hashicorp/memberlist":     "mesh",
	"github.com/cockroachdb/pebble":       "fs",
	"github.com/klauspost/compress":       "shuffle",
	"github.com/spf13/cobra":              "cmd",
	"github.com/prometheus/client_golang": "actors",
}

// pure packages decide; they import nothing that acts.
var pure = map[string][]string{
	"actors/sched": {"time", "sync", "net", "os", "net/http", "math/rand", "math/rand/v2"},
	"actors/plan":  {"sync", "net", "os", "net/http", "math/rand", "math/rand/v2"},
	"mesh/ring":    {"time", "sync", "net", "os", "net/http"},
	"duck/vec":     {"time", "net", "os", "net/http"},
}

func TestLayers(t *testing.T) {
	imports := importsByPackage(t)
	for pkg, paths := range imports {
		if top := strings.SplitN(pkg, "/", 2)[0]; top == "cmd" || top == "bench" || top == "chaos" {
			continue // programs: they stand above everything
		}
		allowed, known := layers[pkg]
		if !known {
			t.Errorf("package %q is not in the layers: say what it may import", pkg)
		}
		for _, p := range paths {
			inside, ok := strings.CutPrefix(p, module)
			if ok && !slices.Contains(allowed, strings.TrimPrefix(inside, "/")) {
				t.Errorf("%q imports %q: that arrow points up or sideways", pkg, p)
			}
		}
		for _, a := range allowed {
			if !slices.Contains(paths, strings.TrimSuffix(module+"/"+a, "/")) {
				t.Errorf("%q may import %q but does not: drop the stale arrow", pkg, a)
			}
		}
	}
	for pkg := range layers {
		if imports[pkg] == nil {
			t.Errorf("there is no package %q", pkg)
		}
	}
}

func TestLibraryOwners(t *testing.T) {
	for pkg, paths := range importsByPackage(t) {
		for _, p := range paths {
			for lib, owner := range owners {
				if strings.HasPrefix(p, lib) && pkg != owner && !strings.HasPrefix(pkg, owner+"/") {
					t.Errorf("%q imports %s, which only %s/ may", pkg, p, owner)
				}
			}
			if slices.Contains(pure[pkg], p) {
				t.Errorf("%q imports %q, but it is pure: no clock, goroutine, socket or disk", pkg, p)
			}
		}
	}
}

// importsByPackage parses the imports of every package's code, tests aside.
func importsByPackage(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), ".")
		if out[pkg] == nil {
			out[pkg] = []string{}
		}
		for _, i := range f.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			if !slices.Contains(out[pkg], p) {
				out[pkg] = append(out[pkg], p)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

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
