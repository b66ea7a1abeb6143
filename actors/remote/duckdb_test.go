package remote

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pondmesh/pond/duck/ducktest"
)

// TestBound: a query is bound with the footer of the first file of those in one place; if
// DuckDB looks at another, with all of them.
func TestBound(t *testing.T) {
	cache, dir := open(t, Config{})
	engine := ducktest.Open(t)
	if err := os.Mkdir(filepath.Join(dir, "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	var access, locals []string
	for i := range 4 {
		name := fmt.Sprintf("b/f%d.parquet", i)
		if _, err := engine.Exec(t.Context(), fmt.Sprintf("COPY (SELECT %d AS a%d, repeat('x', 100000) AS s) TO '%s'", i, i, filepath.Join(dir, name))); err != nil {
			t.Fatal(err)
		}
		p := path(t, cache, name)
		access, locals = append(access, p), append(locals, cache.local(p))
	}
	slices.Reverse(access)
	looked := func() (out string) {
		for _, p := range locals {
			b, err := os.ReadFile(p)
			if err != nil || len(b) == 0 {
				t.Fatalf("%s: %d bytes, %v", p, len(b), err)
			}
			out += map[bool]string{true: "+", false: "-"}[string(b[len(b)-4:]) == "PAR1"]
		}
		return out
	}
	d := DuckDB{Cache: cache}
	var saw []string
	describe := func(options string) func() error {
		return func() error {
			saw = append(saw, looked())
			_, err := engine.Schema(t.Context(), fmt.Sprintf("FROM read_parquet(['%s', '%s', '%s', '%s']%s)", locals[0], locals[1], locals[2], locals[3], options))
			return err
		}
	}
	if err := d.bound(t.Context(), access, describe("")); err != nil || !slices.Equal(saw, []string{"+---"}) {
		t.Errorf("the first: %q, %v", saw, err)
	}
	saw = nil
	if err := d.bound(t.Context(), access, describe(", union_by_name = true")); err != nil || !slices.Equal(saw, []string{"+---", "++++"}) {
		t.Errorf("all: %q, %v", saw, err)
	}
	saw = nil
	wrong := errors.New("another error")
	if err := d.bound(t.Context(), access, func() error { saw = append(saw, ""); return wrong }); !errors.Is(err, wrong) || len(saw) != 1 {
		t.Errorf("%v after %d tries", err, len(saw))
	}
}
