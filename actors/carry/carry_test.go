package carry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
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

// A get goes on with what is there of a file, if it is the file's, and replaces nothing
// without consent.
func TestGet(t *testing.T) {
	m := newMemory()
	m.published = map[string]string{"k=1/b": large, "empty": "", "job": "rows"}
	dir := t.TempDir()
	g := Getting{Name: "d", Version: 1, Files: []api.DatasetFile{{Path: "k=1/b", Size: int64(len(large)), Sum: sum(large), Upload: "00112233445566778899"},
		{Path: "empty", Sum: sum(""), Upload: "ff"}, {Path: "job", Size: 4, Upload: "ee"}}}
	g.To = []string{filepath.Join(dir, "x", "b"), filepath.Join(dir, "empty"), filepath.Join(dir, "job")}
	var last Progress
	g.Tell = func(p Progress) { last = p }
	get := func(what string, kept int, with map[string]string) {
		t.Helper()
		for name, text := range with {
			if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		if err := Get(t.Context(), m, g); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		for i, f := range g.Files {
			if got, err := os.ReadFile(g.To[i]); err != nil || string(got) != m.published[f.Path] {
				t.Errorf("%s: %s: %d bytes, %v", what, f.Path, len(got), err)
			}
		}
		if last.Done != 3 || last.Kept != kept || last.Have != last.Bytes {
			t.Errorf("%s: %+v", what, last)
		}
		if list, _ := filepath.Glob(filepath.Join(dir, "*", ".*")); len(list) > 0 {
			t.Errorf("%s: left: %q", what, list)
		}
	}
	part := filepath.Join(dir, "x", ".b.0011223344556677.part")
	m.breaks = 2
	get("the beginning is there", 0, map[string]string{part: large[:1000]})
	get("all is there", 3, nil)
	_ = os.Remove(g.To[0])
	get("other bytes are", 2, map[string]string{part: strings.Repeat("0", 1000)})
	_ = os.Remove(g.To[0])
	get("more is there", 2, map[string]string{part: large + "0"})

	for what, c := range map[string]struct {
		to   int
		text string
	}{"another": {0, strings.Repeat("0", len(large))}, "another of a job": {2, "more"}, "a shorter": {2, "r"}} {
		_ = os.Remove(g.To[1])
		if err := os.WriteFile(g.To[c.to], []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := Get(t.Context(), m, g); !errors.Is(err, plan.ErrExists) {
			t.Errorf("%s is there: %v", what, err)
		}
		if _, err := os.Stat(g.To[1]); err == nil {
			t.Errorf("%s is there: something was written", what)
		}
		g.Overwrite = true
		get(what+" is replaced", c.to/2, nil) // nothing is asked of a file without a sum
		g.Overwrite = false
	}

	_ = os.Remove(g.To[0])
	taken, err := open(part)
	if err != nil {
		t.Fatal(err)
	}
	if err := Get(t.Context(), m, g); !errors.Is(err, plan.ErrBusy) {
		t.Errorf("another get writes it: %v", err)
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	get("it has ended", 2, nil)

	g.Files[0].Sum, g.Overwrite = sum("other"), true
	if err := Get(t.Context(), m, g); !errors.Is(err, plan.ErrInternal) {
		t.Errorf("other bytes than were put: %v", err)
	}
	m.breaks, g.Files[0].Sum = 1000, ""
	if err := Get(t.Context(), m, g); !errors.Is(err, plan.ErrUnavailable) {
		t.Errorf("broken always: %v", err)
	}
}

func sum(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:])
}

// TestUnread: a file that may not be read is denied; one that cannot be is a mistake.
func TestUnread(t *testing.T) {
	for cause, want := range map[error]error{syscall.EACCES: plan.ErrDenied, syscall.EPERM: plan.ErrDenied, syscall.EISDIR: plan.ErrQuery, syscall.ENOENT: plan.ErrNotFound} {
		if err := unread("a.csv", &fs.PathError{Op: "open", Path: "a.csv", Err: cause}); !errors.Is(err, want) {
			t.Errorf("%v: %v", cause, err)
		}
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
		{"nothing", in("no"), "", "", "", plan.ErrNotFound},
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
	if _, err := List(in("in"), "", ""); !errors.Is(err, plan.ErrQuery) || !strings.Contains(err.Error(), "link that leads nowhere") {
		t.Errorf("a link to nothing: %v", err)
	}
}
