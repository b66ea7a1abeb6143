package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pondmesh/pond"
)

// TestMeant: a mistyped table is told with the pond's own that is nearest to it, and a file
// that was taken for a table with how it is read.
func TestMeant(t *testing.T) {
	tables := func() []string { return []string{"sales", "by_day"} }
	text := "Catalog Error: Table with name slaes does not exist!\nDid you mean \"sqlite_master\"?\n\nLINE 1: FROM slaes"
	err := meant(&pond.Error{Kind: "user", Text: text}, tables)
	if te := (*pond.Error)(nil); !errors.As(err, &te) || !strings.Contains(te.Hint, "sales") || strings.Contains(te.Text, "sqlite") || !strings.Contains(te.Text, "LINE 1") || !errors.Is(err, pond.ErrQuery) {
		t.Errorf("%v", err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "f.arrow")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, hint := range map[string]string{dir: dir + "/*.parquet'", dir + "/": dir + "/*.parquet'", file: "read_csv('" + file + "')"} {
		err := meant(&pond.Error{Kind: "user", Text: "Catalog Error: Table with name " + name + " does not exist!\nDid you mean \"pg_proc\"?"}, tables)
		if te := (*pond.Error)(nil); !errors.As(err, &te) || !strings.Contains(te.Hint, hint) || strings.Contains(te.Text, "pg_proc") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := meant(&pond.Error{Kind: "user", Subject: "view by_day", Text: "Table with name by_da does not exist!\nDid you mean \"pg_views\"?"}, tables); strings.Contains(err.Error(), "mean") {
		t.Errorf("a view is told of itself: %v", err)
	}
	for _, other := range []error{errors.New("x"), &pond.Error{Text: "Parser Error"}} {
		if got := meant(other, tables); got != other {
			t.Errorf("%v: %v", other, got)
		}
	}
}
