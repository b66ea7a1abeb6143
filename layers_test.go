//go:build duckdb_arrow

package pond_test

import (
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
	"actors/plan":            {"duck/lexer"},
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
	"actors/prepare": {"actors/api", "actors/engines", "actors/plan", "actors/plan/distribute", "actors/plan/stmt",
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
