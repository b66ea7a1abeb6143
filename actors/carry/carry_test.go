package carry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// memory is a pond that keeps what is put, and fails when it is told to.
type memory struct {
	mu        sync.Mutex
	whole     map[api.PutFile]string
	parts     map[api.PutFile]string
	published map[string]string // by path
	pieces    int
	before    func(m *memory) error // each piece; the lock is held
	fetched   int64
	breaks    int // reads that break off after some bytes
}

func newMemory() *memory {
	return &memory{whole: map[api.PutFile]string{}, parts: map[api.PutFile]string{}}
}

func (m *memory) BeginPut(context.Context, string, string, string) (*api.PutFiles, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.published != nil {
		return &api.PutFiles{Version: 1}, nil
	}
	return &api.PutFiles{Files: slices.Collect(maps.Keys(m.whole))}, nil
}

func (m *memory) PutPiece(_ context.Context, _, _ string, f api.PutFile, at int64, piece []byte) (*api.PutProgress, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pieces++; m.before != nil {
		if err := m.before(m); err != nil {
			return nil, err
		}
	}
	have := m.parts[f]
	if at > int64(len(have)) {
		return &api.PutProgress{Have: int64(len(have))}, nil
	}
	have = have[:at] + string(piece)
	m.parts[f] = have
	if int64(len(have)) == f.Size {
		m.whole[f] = have
		delete(m.parts, f)
	}
	return &api.PutProgress{Have: int64(len(have)), Done: int64(len(have)) == f.Size}, nil
}

func (m *memory) EndPut(_ context.Context, _, _ string, put *api.PutFiles) (*api.PutFiles, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	published, missing := map[string]string{}, &api.PutFiles{}
	for _, f := range put.Files {
		text, ok := m.whole[f]
		if !ok {
			missing.Files = append(missing.Files, f)
		}
		published[f.Path] = text
	}
	if len(missing.Files) > 0 {
		return missing, nil
	}
	m.published = published
	return &api.PutFiles{Version: 1}, nil
}

func (m *memory) ReadFile(_ context.Context, _ string, _ uint64, path string, at int64, use func(io.Reader) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	text := m.published[path][at:]
	m.fetched += int64(len(text))
	if m.breaks > 0 && len(text) > 0 {
		m.breaks--
		if err := use(strings.NewReader(text[:len(text)/2])); err != nil {
			return err
		}
		return &plan.Error{Kind: plan.KindUnavailable, Text: "broken"}
	}
	return use(strings.NewReader(text))
}

// write makes a folder of files.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var large = strings.Repeat("0123456789abcdef", 5<<20/16*2) // three pieces

func putting(t *testing.T, dir string) Putting {
	t.Helper()
	files, err := List([]string{dir}, "", "")
	if err != nil {
		t.Fatal(err)
	}
	return Putting{Name: "d", ID: "one", Mode: "error", Files: files}
}

// A put that broke off sends what is left, wherever it broke off.
func TestPutGoesOn(t *testing.T) {
	want := map[string]string{"a": "1", "k=1/b": large, "k=2/empty": "", "z": "last"}
	dir := write(t, want)
	broken := errors.New("broken")
	for fails := 1; fails <= 6; fails++ {
		m := newMemory()
		m.before = func(m *memory) error {
			if m.pieces == fails {
				return broken
			}
			return nil
		}
		p := putting(t, dir)
		if _, err := Put(t.Context(), m, p); !errors.Is(err, broken) {
			t.Fatalf("piece %d: %v", fails, err)
		}
		there, pieces := len(m.whole), m.pieces
		var last Progress
		p.Tell = func(p Progress) { last = p }
		version, err := Put(t.Context(), m, p)
		if err != nil || version != 1 || !maps.Equal(m.published, want) {
			t.Fatalf("piece %d: version %d, %d files, %v", fails, version, len(m.published), err)
		}
		if last.Kept != there || last.Done != 4 || last.Have != last.Bytes || last.Bytes != int64(len(large))+5 {
			t.Errorf("piece %d, with %d files there: %+v", fails, there, last)
		}
		if sent := m.pieces - pieces; sent > 7-there {
			t.Errorf("piece %d: %d sent again", fails, sent)
		}
		pieces = m.pieces
		if version, err := Put(t.Context(), m, p); err != nil || version != 1 || m.pieces != pieces {
			t.Errorf("once more: version %d, %d pieces, %v", version, m.pieces-pieces, err)
		}
	}
}

// What a node lost that had it is sent again: a beginning, a whole file, a lease with all.
func TestPutLoses(t *testing.T) {
	want := map[string]string{"b": large, "a": "1"}
	for name, lose := range map[string]func(m *memory) error{
		"a beginning": func(m *memory) error { clear(m.parts); return nil },
		"whole files": func(m *memory) error { clear(m.whole); return nil },
		"its lease": func(m *memory) error {
			clear(m.parts)
			clear(m.whole)
			return &plan.Error{Kind: plan.KindFenced}
		},
	} {
		for when := 1; when <= 4; when++ {
			m := newMemory()
			m.before = func(m *memory) error {
				if m.pieces == when {
					return lose(m)
				}
				return nil
			}
			if version, err := Put(t.Context(), m, putting(t, write(t, want))); err != nil || version != 1 || !maps.Equal(m.published, want) {
				t.Errorf("%s, piece %d: version %d, %d files, %v", name, when, version, len(m.published), err)
			}
		}
	}
	m := newMemory()
	m.before = func(m *memory) error { clear(m.parts); return nil }
	if _, err := Put(t.Context(), m, putting(t, write(t, want))); !errors.Is(err, plan.ErrUnavailable) {
		t.Errorf("a node that always loses it: %v", err)
	}
}

// A get goes on with what is there of a file, and replaces nothing without consent.
func TestGet(t *testing.T) {
	m := newMemory()
	m.published = map[string]string{"k=1/b": large, "empty": ""}
	g := Getting{Name: "d", Version: 1, Files: []api.DatasetFile{{Path: "k=1/b", Size: int64(len(large)), Upload: "00112233445566778899"}, {Path: "empty", Upload: "ff"}}}
	dir := t.TempDir()
	g.To = []string{filepath.Join(dir, "x", "b"), filepath.Join(dir, "empty")}
	m.breaks = 3
	var last Progress
	g.Tell = func(p Progress) { last = p }
	if err := os.MkdirAll(filepath.Join(dir, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "x", ".b.0011223344556677.part"), []byte(large[:1000]), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Get(t.Context(), m, g); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(g.To[0])
	if err != nil || !bytes.Equal(got, []byte(large)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if last.Done != 2 || last.Have != last.Bytes {
		t.Errorf("%+v", last)
	}
	if list, _ := filepath.Glob(filepath.Join(dir, "*", ".*")); len(list) > 0 {
		t.Errorf("left: %q", list)
	}
	if err := Get(t.Context(), m, g); !errors.Is(err, plan.ErrExists) {
		t.Errorf("over files: %v", err)
	}
	g.Overwrite = true
	if err := Get(t.Context(), m, g); err != nil {
		t.Error(err)
	}
	m.breaks = 1000
	if err := Get(t.Context(), m, g); !errors.Is(err, plan.ErrUnavailable) {
		t.Errorf("broken always: %v", err)
	}
}

func TestList(t *testing.T) {
	dir := write(t, map[string]string{"a.csv": "1", "b.csv": "2", "in/c": "3"})
	in := func(names ...string) (out []string) {
		for _, n := range names {
			out = append(out, filepath.Join(dir, n))
		}
		return out
	}
	for _, c := range []struct {
		name     string
		sources  []string
		into, as string
		want     string
		err      error
	}{
		{"a folder", in(""), "", "", "a.csv b.csv in/c", nil},
		{"below a folder", in(""), "x/y", "", "x/y/a.csv x/y/b.csv x/y/in/c", nil},
		{"a file", in("in/c"), "", "", "c", nil},
		{"under another name", in("in/c"), "", "k=1/d", "k=1/d", nil},
		{"a pattern", in("*.csv"), "", "", "a.csv b.csv", nil},
		{"a pattern of folders too", in("*"), "", "", "a.csv b.csv c", nil},
		{"twice", in("a.csv", "a.csv"), "", "", "", plan.ErrQuery},
		{"one name for two", in("*.csv"), "", "x", "", plan.ErrQuery},
		{"nothing", in("no"), "", "", "", plan.ErrQuery},
		{"a pattern of nothing", in("no*"), "", "", "", plan.ErrQuery},
	} {
		files, err := List(c.sources, c.into, c.as)
		if !errors.Is(err, c.err) || c.err == nil && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		var got []string
		for _, f := range files {
			got = append(got, f.Path)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "in", "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := List(in("in"), "", ""); !errors.Is(err, plan.ErrQuery) || !strings.Contains(err.Error(), "link") {
		t.Errorf("a link to nothing: %v", err)
	}
}
