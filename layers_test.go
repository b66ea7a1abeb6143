//go:build duckdb_arrow

package pond_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
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
	"duck/vec":                 nil,
	"duck/lexer":               nil,
	"duck/tree":                nil,
	"duck/tree/treetest":       nil,
	"duck/glob":                nil,
	"duck/logical":             {"duck/lexer"},
	"mesh/ring":                nil,
	"mesh/offers":              nil,
	"actors/plan/template":     {"duck/lexer"},
	"actors/plan":              {"actors/plan/template", "duck/lexer"},
	"actors/plan/frame":        {"actors/plan", "actors/plan/template", "duck/lexer"},
	"actors/plan/distribute":   {"actors/plan", "duck/lexer", "duck/logical", "duck/tree"},
	"actors/plan/stmt":         {"actors/plan", "duck/lexer", "duck/tree"},
	"duck/vec/vectest":         {"duck/vec"},
	"duck":                     {"duck/lexer", "duck/vec"},
	"shuffle":                  {"duck/vec"},
	"shuffle/transfer":         {"mesh/delay", "shuffle"},
	"mesh":                     {"mesh/bounded", "mesh/offers"},
	"fs/faults":                nil,
	"mesh/bounded":             nil,
	"mesh/delay":               nil,
	"mesh/each":                nil,
	"mesh/logtest":             nil,
	"duck/ducktest":            {"duck", "duck/logical", "duck/vec"},
	"fs":                       {"fs/faults", "fs/register"},
	"fs/disks":                 {"fs", "mesh/delay", "mesh/ring"},
	"fs/object":                {"duck/glob"},
	"fs/object/objecttest":     {"fs/object"},
	"fs/object/s3/s3test":      {"fs/object/s3"},
	"fs/object/folder":         {"fs/object"},
	"fs/object/s3":             {"fs/object"},
	"fs/object/output":         {"fs/object", "mesh/each"},
	"fs/object/web":            {"fs/object"},
	"fs/register":              nil,
	"fs/register/registertest": {"fs/register"},
	"fs/replica":               nil,
	"fs/layout":                {"fs/replica", "mesh/ring"},
	"fs/collect":               {"fs/repair", "fs/replica"},
	"fs/dataset":               {"fs/collect", "fs/register", "fs/repair", "fs/replica"},
	"fs/repair":                {"fs/layout", "fs/replica"},
	"fs/storesim":              nil, // all of it is tests
	"actors/sched":             {"actors/plan", "mesh/offers"},
	"actors/fair":              {"actors/plan"},
	"actors/access":            {"actors/plan", "actors/syserr", "fs/object"},
	"actors/syserr":            {"actors/plan"},
	"actors/auth":              nil,
	"actors/token":             {"actors/auth"},
	"actors/refusals":          nil,
	"actors/wire":              {"actors/auth", "actors/plan", "actors/refusals", "actors/token", "mesh/bounded"},
	"actors/endpoints":         nil,
	"actors/api":               {"actors/auth", "actors/endpoints", "actors/kinds", "actors/plan", "actors/token", "mesh/delay", "fs/faults", "fs/register", "shuffle", "shuffle/transfer"},
	"actors/funcs":             {"actors/plan"},
	"actors/kinds":             {"actors/plan"},
	"actors/grains":            {"actors/kinds", "actors/plan", "fs/register", "mesh/offers", "mesh/ring"},
	"actors/process":           {"actors/plan"},
	"actors/sandbox":           nil,
	"actors/engines":           {"actors/funcs", "actors/plan", "duck", "duck/vec"},
	"actors/remote":            {"mesh/each", "actors/api", "actors/exec", "actors/plan", "actors/prepare", "duck", "fs/object", "fs/object/s3", "fs/object/web", "actors/syserr"},
	"actors/prepare": {"actors/access", "actors/api", "actors/engines", "actors/funcs", "actors/plan", "actors/plan/distribute", "actors/plan/frame", "actors/plan/stmt",
		"duck", "duck/glob", "duck/lexer", "duck/logical", "duck/tree", "duck/vec", "fs/dataset", "fs/object", "actors/syserr"},
	"actors/exec": {"actors/api", "actors/engines", "actors/journal", "actors/plan",
		"duck", "duck/lexer", "duck/vec", "fs", "fs/dataset", "shuffle", "shuffle/transfer", "actors/syserr"},
	"actors/journal": {"actors/api", "actors/plan", "fs", "shuffle", "shuffle/transfer", "actors/syserr"},
	"actors/isolate": {"actors/api", "actors/engines", "actors/exec", "actors/funcs", "actors/journal", "actors/plan", "actors/prepare", "actors/process", "actors/sandbox",
		"duck", "duck/vec", "fs", "fs/faults", "shuffle", "shuffle/transfer"},
	"actors/audit":   {"actors/api", "actors/auth", "actors/plan"},
	"actors/copies":  {"actors/api", "actors/exec", "actors/plan", "fs", "mesh"},
	"actors/crew":    {"actors/sched", "mesh"},
	"actors/tally":   {"actors/api", "actors/plan", "actors/sched"},
	"actors/given":   {"actors/access", "actors/api", "actors/plan", "actors/sched", "fs", "fs/dataset"},
	"actors/intake":  {"actors/api", "actors/plan"},
	"actors/edge":    {"actors/api", "actors/auth", "actors/intake", "actors/plan", "actors/refusals", "actors/token"},
	"actors/jobs":    {"actors/api", "actors/fair", "actors/journal", "actors/peers", "actors/plan", "actors/prepare", "actors/terms", "mesh"},
	"actors/metrics": nil,
	"actors/output":  nil,
	"actors/peers":   {"actors/api", "actors/plan", "mesh", "mesh/ring"},
	"actors/publish": {"actors/access", "actors/datasets", "actors/plan", "actors/sched", "mesh/delay", "fs/collect", "fs/dataset", "fs/faults", "fs/object", "fs/object/output", "fs/register", "fs", "actors/syserr"},
	"actors/report":  {"actors/api", "actors/exec", "actors/plan", "actors/sched", "actors/wire", "mesh/delay", "fs/faults", "shuffle"},
	"actors/faulty":  {"actors/plan", "fs/faults", "fs/register"},
	"actors/runner": {"actors/engines", "actors/exec", "actors/funcs", "actors/isolate", "actors/prepare", "actors/process", "actors/sandbox",
		"duck/vec", "fs/faults", "shuffle/transfer"},
	"actors/rows":      {"actors/api", "actors/output", "actors/plan"},
	"actors/registers": {"actors/api", "actors/plan", "fs/register"},
	"actors/replicas":  {"actors/plan", "fs", "fs/collect", "fs/disks", "fs/layout", "fs/register", "fs/repair", "fs/replica", "mesh", "mesh/delay", "mesh/ring", "actors/syserr"},
	"actors/datasets":  {"mesh/each", "actors/replicas", "fs", "fs/collect", "fs/dataset", "fs/object", "fs/register", "fs/repair", "fs/replica", "mesh", "mesh/delay"},
	"actors/tables":    {"actors/datasets", "actors/plan", "actors/plan/distribute", "actors/prepare", "fs/dataset", "fs/object", "fs/register"},
	"actors/drafts":    {"actors/api", "actors/datasets", "actors/exec", "actors/journal", "actors/plan", "duck", "fs", "fs/collect", "fs/dataset", "fs/object", "fs/object/output"},
	"actors/carry":     {"mesh/each", "actors/api", "actors/plan", "actors/syserr"},
	"actors/storage": {"actors/access", "actors/api", "actors/auth", "actors/datasets", "actors/edge", "actors/peers", "actors/plan", "actors/replicas",
		"duck", "fs", "fs/collect", "fs/dataset", "fs/register", "fs/repair", "fs/replica", "mesh", "mesh/delay", "actors/syserr"},
	"actors/terms":  {"actors/api", "actors/plan", "fs/register", "mesh"},
	"actors/setup":  {"actors/api", "actors/funcs", "actors/kinds", "actors/plan", "actors/token", "actors/wire", "fs", "fs/collect", "fs/disks", "fs/faults", "mesh", "mesh/offers", "actors/syserr"},
	"actors/vitals": {"actors/api", "actors/fair", "actors/journal", "actors/metrics", "actors/peers", "actors/plan", "actors/process", "actors/replicas", "actors/setup", "fs", "fs/disks", "mesh"},
	"actors": {"actors/access", "actors/api", "actors/audit", "actors/auth", "actors/copies", "actors/crew", "actors/datasets", "actors/drafts", "actors/edge", "actors/exec", "actors/faulty", "actors/fair", "actors/given", "actors/grains", "actors/jobs", "actors/journal", "actors/kinds", "actors/metrics", "actors/peers", "actors/plan", "actors/plan/distribute", "actors/prepare",
		"actors/publish", "actors/refusals", "actors/registers", "actors/remote", "actors/replicas", "actors/report", "actors/rows", "actors/runner", "actors/sched", "actors/setup", "actors/storage", "actors/tables", "actors/tally", "actors/terms", "actors/vitals", "actors/wire",
		"mesh/delay", "fs", "fs/collect", "fs/dataset", "fs/disks", "fs/faults", "fs/object", "mesh", "mesh/offers", "mesh/ring", "shuffle", "shuffle/transfer"},
	"": {"actors", "actors/api", "actors/carry", "actors/funcs", "actors/isolate", "actors/kinds", "actors/plan", "actors/plan/stmt", "actors/process", "actors/setup", "duck/lexer", "fs/dataset", "fs/object", "shuffle/transfer"},

	// Programs stand above everything, and nothing imports them.
	"cmd/pondnode/internal/certs":    nil,
	"cmd/pondnode/internal/near":     nil,
	"cmd/pondnode/internal/jobfile":  {"actors/plan", "cmd/pondnode/internal/near", "duck/lexer"},
	"cmd/pondnode/internal/progress": {""},
	"cmd/pondnode/sample":            nil,
	"cmd/pondnode": {"", "actors/auth", "actors/output", "actors/plan", "actors/plan/stmt", "actors/token", "chaos", "chaos/scenario", "cmd/pondnode/internal/certs", "cmd/pondnode/internal/jobfile", "cmd/pondnode/internal/near",
		"cmd/pondnode/internal/progress", "cmd/pondnode/sample", "duck/lexer", "fs/faults", "mesh/delay"},
	"chaos/pondtest": {"", "fs/register"},
	"chaos/netns":    nil,
	"chaos/sim":      {"actors/api", "actors/fair", "actors/journal", "actors/peers", "actors/plan", "actors/sched", "actors/terms", "fs", "fs/register", "mesh"},
	"chaos/scenario": {"fs/faults"},
	"chaos":          {"", "actors/api", "actors/plan", "chaos/netns", "chaos/scenario", "chaos/sim", "duck", "duck/vec", "fs/faults", "fs/register"},
	"bench":          {"", "duck", "duck/vec", "shuffle", "shuffle/transfer"},
}

// owners says which package alone may import a library, or which few.
var owners = map[string]string{
	"github.com/duckdb/duckdb-go":       "duck",
	"github.com/asynkron/protoactor-go": "actors",
	"github.com/hashicorp/serf":         "mesh",
	"github.com/hashicorp/memberlist":   "mesh",
	"github.com/cockroachdb/pebble":     "fs",
	"github.com/klauspost/compress":     "shuffle fs/dataset",
	"github.com/minio/minio-go":         "fs",
	"github.com/spf13/cobra":            "cmd",
	"github.com/prometheus":             "actors",
}

// pure packages decide and translate; what acts is done by others. Their docs
// say so, and everything that they import of ours is pure too.
var pure = []string{"actors/auth", "actors/endpoints", "actors/fair", "actors/plan", "actors/plan/distribute", "actors/plan/frame", "actors/plan/stmt", "actors/plan/template", "actors/sched",
	"duck/lexer", "duck/logical", "duck/tree", "fs/collect", "fs/dataset", "fs/layout", "fs/register", "fs/repair", "fs/replica", "mesh/offers", "mesh/ring"}

// acts are the packages that none of them imports: clocks aside, which are looked
// for call by call, since dates are values too.
var acts = []string{"context", "crypto/rand", "io/fs", "log", "log/slog", "math/rand", "math/rand/v2", "net", "net/http", "os", "os/exec", "os/signal",
	"runtime", "sync", "sync/atomic", "syscall", "unsafe"}

// calls are what no pure package calls of packages that it may import.
var calls = map[string][]string{
	"time":     {"After", "AfterFunc", "NewTicker", "NewTimer", "Now", "Since", "Sleep", "Tick", "Until"},
	"filepath": {"Abs", "EvalSymlinks", "Glob", "Walk", "WalkDir"},
}

func TestLayers(t *testing.T) {
	imports := importsByPackage(t)
	for pkg, paths := range imports {
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
	used := map[string]bool{}
	for pkg, paths := range importsByPackage(t) {
		for _, p := range paths {
			for lib, owner := range owners {
				used[lib] = used[lib] || strings.HasPrefix(p, lib)
				owns := slices.ContainsFunc(strings.Fields(owner), func(o string) bool { return pkg == o || strings.HasPrefix(pkg, o+"/") })
				if strings.HasPrefix(p, lib) && !owns {
					t.Errorf("%q imports %s, which only %s/ may", pkg, p, owner)
				}
			}
		}
	}
	for lib := range owners {
		if !used[lib] {
			t.Errorf("nothing imports %s: it needs no owner", lib)
		}
	}
}

// folders are all that stand at the top: what is new belongs into one of them.
var folders = []string{"actors", "bench", "chaos", "cmd", "duck", "fs", "mesh", "shuffle"}

func TestFolders(t *testing.T) {
	list, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range list {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			found = append(found, e.Name())
		}
	}
	if !slices.Equal(found, folders) {
		t.Errorf("folders at the top: %v, want %v", found, folders)
	}
}

// TestPure checks that what calls itself pure is: no clock, goroutine, socket,
// disk or chance, in it or in what it imports of ours.
func TestPure(t *testing.T) {
	claims := map[string]bool{}
	for _, f := range sources(t) {
		if f.ast.Doc != nil && strings.Contains(strings.Join(strings.Fields(f.ast.Doc.Text()), " "), "It is pure") {
			claims[f.pkg] = true
		}
		if !slices.Contains(pure, f.pkg) {
			continue
		}
		for _, i := range f.ast.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			inside, ours := strings.CutPrefix(p, module+"/")
			if slices.Contains(acts, p) || ours && !slices.Contains(pure, inside) {
				t.Errorf("%q is pure, but imports %q", f.pkg, p)
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt, *ast.ChanType:
				t.Errorf("%s: %q is pure, but has goroutines", f.path, f.pkg)
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && slices.Contains(calls[x.Name], n.Sel.Name) {
					t.Errorf("%s: %q is pure, but calls %s.%s", f.path, f.pkg, x.Name, n.Sel.Name)
				}
			}
			return true
		})
	}
	for _, pkg := range pure {
		if !claims[pkg] {
			t.Errorf("the doc of %q does not say that it is pure", pkg)
		}
		delete(claims, pkg)
	}
	for pkg := range claims {
		t.Errorf("%q says that it is pure: hold it to that", pkg)
	}
}

// Forms of what ARCHITECTURE.md names, in backquotes: files, and names in the code with or
// without what they are called with.
var (
	quotedFile = regexp.MustCompile("`([\\w/]+\\.(?:go|c|md|proto))`")
	quotedName = regexp.MustCompile("`(?:\\w+\\.)*([A-Za-z_]\\w*)(?:\\([^`]*\\))?`")
	word       = regexp.MustCompile(`\w+`)
)

// TestArchitecture: ARCHITECTURE.md names every package, and no file and no name that is
// not there.
func TestArchitecture(t *testing.T) {
	b, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	if n := strings.Count(text, "\n"); n > 200 {
		t.Errorf("it has %d lines, and may have 200", n)
	}
	words, files := inTree(t)
	told := map[string]bool{}
	for _, w := range word.FindAllString(text, -1) {
		told[w] = true
	}
	for pkg := range layers {
		if pkg != "" && !told[path.Base(pkg)] {
			t.Errorf("it does not name package %s", pkg)
		}
	}
	for _, m := range quotedFile.FindAllStringSubmatch(text, -1) {
		if !slices.ContainsFunc(files, func(f string) bool { return f == m[1] || strings.HasSuffix(f, "/"+m[1]) }) {
			t.Errorf("it names %s, which is not there", m[1])
		}
	}
	for _, m := range quotedName.FindAllStringSubmatch(quotedFile.ReplaceAllString(text, ""), -1) {
		if !words[m[1]] {
			t.Errorf("it names %s, which no code has", m[0])
		}
	}
}

// inTree is every word of the repository's code, and every file.
func inTree(t *testing.T) (words map[string]bool, files []string) {
	t.Helper()
	words = map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir():
			return nil
		}
		files = append(files, filepath.ToSlash(path))
		if ext := filepath.Ext(path); ext != ".go" && ext != ".proto" {
			return nil
		}
		b, err := os.ReadFile(path)
		for _, w := range word.FindAllString(string(b), -1) {
			words[w] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return words, files
}

// source is a file of a package's code.
type source struct {
	pkg, path string
	ast       *ast.File
}

// importsByPackage lists what each package's code imports, tests aside.
func importsByPackage(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, f := range sources(t) {
		if out[f.pkg] == nil {
			out[f.pkg] = []string{}
		}
		for _, i := range f.ast.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(out[f.pkg], p) {
				out[f.pkg] = append(out[f.pkg], p)
			}
		}
	}
	return out
}

// sources parses the repository's code, tests aside.
func sources(t *testing.T) []source {
	t.Helper()
	var out []source
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
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		out = append(out, source{strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "."), path, f})
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
