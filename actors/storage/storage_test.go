//go:build duckdb_arrow

package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/access"
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/datasets"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/dataset"
	"github.com/pondmesh/pond/mesh"
)

func TestFolders(t *testing.T) {
	a := []dataset.Column{{Name: "a", Type: "BIGINT"}}
	for _, c := range []struct{ files, want string }{
		{"x y", "a BIGINT"},
		{"k=1/x k=-20/y", "a BIGINT k BIGINT"},
		{"k=1/x k=" + nullFolder + "/y", "a BIGINT k BIGINT"},
		{"k=1/x k=007/y", "a BIGINT k VARCHAR"},
		{"d=2026-01-02/k=a%20b/x d=2024-02-29/k=c/x", "a BIGINT d DATE k VARCHAR"},
		{"in/k=1/x k=2/x", "a BIGINT k BIGINT"},
		{"k=1/x y", ""},
		{"k=1/x j=1/y", ""},
		{"A=1/x", ""},
	} {
		var files []dataset.File
		for _, f := range strings.Fields(c.files) {
			files = append(files, dataset.File{Path: f})
		}
		columns, ok := withFolders(a, files)
		var got []string
		for _, col := range columns {
			got = append(got, col.Name, col.Type)
		}
		if strings.Join(got, " ") != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q, %v", c.files, got, ok)
		}
	}
}

// Of copies of one file the upload with most holders is published; what nobody holds is told.
func TestChoose(t *testing.T) {
	held := []datasets.Sent{
		{Path: "a", Sum: "1", Upload: [16]byte{1}, Holders: []mesh.NodeID{"x"}},
		{Path: "a", Sum: "1", Upload: [16]byte{2}, Holders: []mesh.NodeID{"x", "y"}},
		{Path: "a", Sum: "2", Upload: [16]byte{3}},
	}
	chosen, missing := choose(held, []api.PutFile{{Path: "a", Sum: "1"}, {Path: "b", Sum: "1"}})
	if len(chosen) != 1 || chosen[0].Upload != [16]byte{2} || len(missing) != 1 || missing[0].Path != "b" {
		t.Errorf("%+v, %+v", chosen, missing)
	}
}

// What came of a file stays when its sender goes, may be sent again, and goes when nobody
// goes on with it.
func TestPartials(t *testing.T) {
	var p partials
	if err := p.open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	one, err := p.take(t.Context(), "file")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := one.have(); n != -1 || err != nil {
		t.Errorf("before: %d, %v", n, err)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := p.take(gone, "file"); !errors.Is(err, context.Canceled) {
		t.Errorf("two write one file: %v", err)
	}
	for _, c := range []struct {
		text     string
		at, have int64
		want     int64
	}{{"hel", 0, 0, 3}, {"hello", 0, 3, 5}, {"lo", 3, 5, 5}, {"", 5, 5, 5}, {" you", 5, 5, 9}} {
		if n, err := one.add(strings.NewReader(c.text), int64(len(c.text)), c.at, c.have); n != c.want || err != nil {
			t.Errorf("%q at %d of %d: %d, %v", c.text, c.at, c.have, n, err)
		}
	}
	if text, err := os.ReadFile(one.path); string(text) != "hello you" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	old := time.Now().Add(-2 * collect.Kept().Lease)
	if err := errors.Join(os.Chtimes(one.path, old, old), p.sweep()); err != nil {
		t.Fatal(err)
	}
	if n, _ := one.have(); n != 9 {
		t.Errorf("swept while it is written: %d", n)
	}
	p.release(one)
	var again partials
	if err := again.open(p.dir); err != nil {
		t.Fatal(err)
	}
	if list, _ := filepath.Glob(filepath.Join(p.dir, "*")); len(list) > 0 || len(p.in) > 0 {
		t.Errorf("left: %q, %d", list, len(p.in))
	}
}

func TestCheck(t *testing.T) {
	one := &partial{path: filepath.Join(t.TempDir(), "x")}
	if err := os.WriteFile(one.path, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := one.check("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"); err != nil {
		t.Error(err)
	}
	if err := one.check(strings.Repeat("0", 64)); !errors.Is(err, errChanged) {
		t.Error(err)
	}
	if n, _ := one.have(); n != -1 {
		t.Errorf("what changed stays: %d bytes", n)
	}
}

// TestPutID: nobody gives up, or goes on with, what is no put: a job that writes a dataset
// has an id that everybody may see.
func TestPutID(t *testing.T) {
	s := &Server{c: Config{Rules: &access.Rules{}, Log: slog.New(slog.DiscardHandler)}}
	job := strings.Repeat("0a", 16)
	for _, c := range []struct {
		name, id string
		ok       bool
	}{
		{"sales", "MNCP5GOZYQKGF4JOYVS4EUPHUR", true}, {"sales", "nightly7", true}, {"sales", job, false}, {"sales", "", false}, {"sales", "a/b", false},
		{"sales", "a.b", false}, {"sales", strings.Repeat("a", putIDMax+1), false}, {"a/b", "c", false}, {"", "c", false},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
		r.SetPathValue("name", c.name)
		r.SetPathValue("id", c.id)
		if _, _, err := s.put(r); (err == nil) != c.ok || err != nil && plan.KindOf(err) != plan.KindUser {
			t.Errorf("%q, %q: %v", c.name, c.id, err)
		}
		for name, route := range map[string]func(http.ResponseWriter, *http.Request) (any, error){
			"begin": s.begin, "give up": s.giveUp, "publish": s.publish, "remove": s.remove, "piece": func(http.ResponseWriter, *http.Request) (any, error) { return s.find(r) },
		} {
			if c.ok {
				continue
			}
			r.Body = io.NopCloser(strings.NewReader("{}"))
			if _, err := route(nil, r); plan.KindOf(err) != plan.KindUser {
				t.Errorf("%s of %q, %q: %v", name, c.name, c.id, err)
			}
		}
	}
}

// TestPartialsMax: beginnings that lie there count, whoever left them.
func TestPartialsMax(t *testing.T) {
	var p partials
	if err := p.open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	first, err := p.take(t.Context(), "file")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.add(strings.NewReader("x"), -1, 0, 0); err != nil {
		t.Fatal(err)
	}
	p.release(first)
	for i := range partialsMax - 1 {
		if err := os.WriteFile(filepath.Join(p.dir, fmt.Sprint(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.take(t.Context(), "another"); !errors.Is(err, errTooMany) {
		t.Errorf("one too many: %v", err)
	}
	if again, err := p.take(t.Context(), "file"); err != nil {
		t.Errorf("one that is there: %v", err)
	} else {
		p.release(again)
	}
}
