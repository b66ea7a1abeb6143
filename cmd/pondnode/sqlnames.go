package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/pondmesh/pond"
	"github.com/pondmesh/pond/cmd/pondnode/internal/near"
)

// completeTime is how long completion waits for the pond.
const completeTime = time.Second

// tablesOf are a session's views and the pond's datasets, to complete and to guess names.
func tablesOf(s *pond.Session) []string {
	names := viewsOf(s)
	ctx, cancel := context.WithTimeout(context.Background(), completeTime)
	defer cancel()
	list, err := s.Datasets(ctx)
	if err != nil { // the views are known all the same
		return names
	}
	for _, d := range list {
		names = append(names, d.Name)
	}
	return names
}

// viewsOf are a session's views.
func viewsOf(s *pond.Session) []string {
	rows, err := s.SQL(context.Background(), "SHOW VIEWS") // the session knows, and asks nobody
	if err != nil {
		return nil
	}
	var names []string
	for rec, err := range rows.All() {
		if err != nil {
			break
		}
		for i := range int(rec.NumRows()) {
			names = append(names, rec.Column(0).ValueStr(i))
		}
	}
	return names
}

// How DuckDB says that it has no table of a name, and which of its own may be meant.
var (
	noTable = regexp.MustCompile(`Table with name "?([^"\s]+?)"? does not exist`)
	duckDBs = regexp.MustCompile(`\s*Did you mean "[^"]*"\?`)
)

// meant adds to the error of a table that is not there which one may be meant, or how to name
// the files that it may be: DuckDB, which binds names, does not know the pond's.
func meant(err error, tables func() []string) error {
	te := (*pond.Error)(nil)
	if !errors.As(err, &te) {
		return err
	}
	name := noTable.FindStringSubmatch(te.Text)
	if name == nil {
		return err
	}
	// What is not there in a view is not the view.
	best := near.Name(name[1], slices.DeleteFunc(tables(), func(t string) bool { return te.Subject == "view "+t }))
	told := *te
	told.Text = duckDBs.ReplaceAllString(te.Text, "")
	info, missing := os.Stat(name[1])
	switch {
	case best != "":
		told.Hint = "did you mean " + best + "? SHOW TABLES lists those there are"
	case missing == nil && info.IsDir():
		told.Hint = "it is a folder: name the files in it, such as FROM '" + filepath.Join(name[1], "*.parquet") + "'"
	case missing == nil:
		told.Hint = "it is a file, whose name does not tell what is in it: name the function that reads it, such as FROM read_csv('" + name[1] + "')"
	}
	return &told
}
