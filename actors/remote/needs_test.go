package remote

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs/object"
)

// What several inputs of an attempt read of one object is joined: columns and rows of
// each, and all of it as soon as one reads it so.
func TestGathered(t *testing.T) {
	a, b := object.Root+"~1.v./mem/a.parquet", object.Root+"~1.v./mem/b.csv"
	first, last := plan.Piece{Path: a, Rows: 5}, plan.Piece{Path: a, Start: 5, Rows: 5}
	scan := func(columns ...string) *plan.Scan {
		return &plan.Scan{Format: plan.Parquet, Options: plan.ScanOptions{Columns: columns}, Like: a}
	}
	type read struct {
		scan   *plan.Scan
		pieces []plan.Piece
	}
	for name, test := range map[string]struct {
		reads []read
		want  []need
	}{
		"two runs of rows": {[]read{{scan("x"), []plan.Piece{first}}, {scan("y"), []plan.Piece{last}}}, []need{{a, true, []string{"x", "y"}, []plan.Piece{first, last}}}},
		"all columns":      {[]read{{scan("x"), []plan.Piece{first}}, {scan(), []plan.Piece{first}}}, []need{{a, true, nil, []plan.Piece{first, first}}}},
		"no rows":          {[]read{{scan("x"), nil}}, []need{{path: a, parquet: true}}},
		"a text file":      {[]read{{&plan.Scan{Format: plan.CSV, Like: b}, []plan.Piece{{Path: b}}}}, []need{{path: b}}},
		"as text too":      {[]read{{scan("x"), []plan.Piece{first}}, {&plan.Scan{Format: plan.CSV, Like: a}, nil}}, []need{{path: a, rows: []plan.Piece{first}}}},
		"a text names all": {[]read{{&plan.Scan{Format: plan.CSV, From: "read_csv(…)", Splits: [][]plan.Piece{{{Path: a}}, {{Path: b}}}, Like: a}, []plan.Piece{{Path: b}}}}, []need{{path: a}, {path: b}}},
		"other names":      {[]read{{&plan.Scan{Format: plan.Parquet, Options: plan.ScanOptions{Columns: []string{"x"}, CSV: map[string]string{"schema": "{}"}}, Like: a}, []plan.Piece{first}}}, []need{{a, true, nil, []plan.Piece{first}}}},
		"files":            {[]read{{&plan.Scan{Format: plan.Parquet, Like: "/d/x"}, []plan.Piece{{Path: "/d/x"}}}}, nil},
	} {
		g := &gathered{by: map[string]int{}}
		for _, r := range test.reads {
			g.scan(r.scan, r.pieces)
		}
		if !reflect.DeepEqual(g.list, test.want) {
			t.Errorf("%s: %+v, want %+v", name, g.list, test.want)
		}
	}
}

// A path that is a pattern stands in a list of paths twice, and means one object.
func TestObjectsIn(t *testing.T) {
	plain, odd := object.Root+"~1.v./mem/a", object.Root+"~1.v./mem/a[1]*?"
	list := objectsIn([]string{"/d/x", plain, odd, plan.EscapeGlob(odd), "/d/y"})
	slices.Sort(list)
	if want := []string{plain, odd}; !slices.Equal(list, want) {
		t.Errorf("%q, want %q", list, want)
	}
}

// Errors name objects as users do, wherever the path stands, and never what a URL asks,
// which may be secret. Others are left as they are.
func TestErrorsNameObjects(t *testing.T) {
	c, err := Open(Config{Dir: t.TempDir() + "/objects"})
	if err != nil {
		t.Fatal(err)
	}
	path, err := (object.Object{Name: "https://h/d/a.csv?token=secret", Size: 1, Version: "v"}).Path()
	if err != nil {
		t.Fatal(err)
	}
	in := &plan.Error{Kind: plan.KindUser, Subject: path, Text: "IO Error: " + c.local(path) + " is odd", Hint: "what failed read " + path}
	want := &plan.Error{Kind: plan.KindUser, Subject: "https://h/d/a.csv", Text: "IO Error: https://h/d/a.csv is odd", Hint: "what failed read https://h/d/a.csv"}
	if got := plan.AsError(c.toUser(fmt.Errorf("wrapped: %w", in))); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	for _, err := range []error{nil, errors.New(path), &plan.Error{Text: "no object"}} {
		if got := c.toUser(err); !errors.Is(got, err) {
			t.Errorf("%v became %v", err, got)
		}
	}
}
