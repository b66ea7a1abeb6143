package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/pondmesh/pond/fs/replica"
)

func text(s string) *string { return &s }

func example() *Manifest {
	return &Manifest{Format: 1, Version: 7, Previous: id(6), Job: "j", Made: begin,
		Columns: []Column{{Name: "a", Type: "BIGINT"}, {Name: "k", Type: "VARCHAR", Folder: true}},
		Files: []File{
			{Path: "k=1/x.parquet", Upload: id(1), Size: 10, Rows: 3, Holders: []replica.Node{"n", "m"}, Bounds: map[string]Bounds{"a": {Min: text("1"), Max: text("9"), Nulls: 1}}},
			{Path: "k=2/x.parquet", Upload: id(2), Size: 20, Rows: -1, Bounds: map[string]Bounds{"a": {Min: text(""), Nulls: -1}}},
		}}
}

func TestManifest(t *testing.T) {
	m := example()
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Decode(bytes.NewReader(b))
	if err != nil || !reflect.DeepEqual(m, back) {
		t.Fatalf("%v, read back:\n%+v\n%+v", err, back, m)
	}
	if f := m.File("k=2/x.parquet"); f == nil || f.Upload != id(2) || m.File("k=2/y") != nil || m.File("z") != nil {
		t.Errorf("found %+v", f)
	}
	if m.Rows() != -1 || m.Bytes() != 30 || fmt.Sprint(m.Uploads()) != fmt.Sprint(id(1), id(2)) && len(m.Uploads()) != 2 {
		t.Errorf("%d rows, %d bytes, %v", m.Rows(), m.Bytes(), m.Uploads())
	}
}

// TestManifestRefuses: what no manifest may say is neither written nor read.
func TestManifestRefuses(t *testing.T) {
	for name, harm := range map[string]func(*Manifest){
		"a later format":          func(m *Manifest) { m.Format = 2 },
		"a path that goes up":     func(m *Manifest) { m.Files[0].Path = "../x" },
		"a version's path":        func(m *Manifest) { m.Files[0].Path = "1/x" },
		"one path twice":          func(m *Manifest) { m.Files[1].Path = m.Files[0].Path },
		"not in order":            func(m *Manifest) { m.Files[1].Path = "a" },
		"a negative size":         func(m *Manifest) { m.Files[0].Size = -1 },
		"rows below unknown":      func(m *Manifest) { m.Files[0].Rows = -2 },
		"many holders":            func(m *Manifest) { m.Files[0].Holders = make([]replica.Node, holdersMax+1) },
		"bounds that lie":         func(m *Manifest) { m.Files[0].Bounds["a"] = Bounds{Nulls: -2} },
		"a long bound":            func(m *Manifest) { m.Files[0].Bounds["a"] = Bounds{Min: text(strings.Repeat("x", textMax+1))} },
		"one column twice":        func(m *Manifest) { m.Columns[1].Name = "A" },
		"a column without a type": func(m *Manifest) { m.Columns[1].Type = "" },
		"many columns":            func(m *Manifest) { m.Columns = make([]Column, columnsMax+1) },
		"many files":              func(m *Manifest) { m.Files = make([]File, filesMax+1) },
	} {
		m := example()
		harm(m)
		if _, err := m.Encode(); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}

// TestBomb: bytes that unpack to more than a manifest may have are refused.
func TestBomb(t *testing.T) {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	bomb := z.EncodeAll(bytes.Repeat([]byte{' '}, rawMax+1), nil)
	if _, err := Decode(bytes.NewReader(bomb)); err == nil {
		t.Error("read")
	}
}

func FuzzDecode(f *testing.F) {
	b, err := example().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"format":1}`))
	f.Add([]byte(`{"format":1,"files":[{"path":"x","rows":-1,"bounds":{"a":{}}}]}`))
	z, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { z.Close() })
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, in := range [][]byte{b, z.EncodeAll(b, nil)} {
			m, err := Decode(bytes.NewReader(in))
			if err != nil {
				continue
			}
			out, err := m.Encode()
			if err != nil {
				t.Fatalf("read and not written: %v", err)
			}
			if again, err := Decode(bytes.NewReader(out)); err != nil || again.check() != nil || len(again.Files) != len(m.Files) {
				t.Fatalf("%v: %+v, %+v", err, again, m)
			}
		}
	})
}

func files(paths ...string) (out []File) {
	for _, p := range paths {
		out = append(out, File{Path: p, Upload: id(100 + len(out)), Rows: 1})
	}
	return out
}

func TestMerge(t *testing.T) {
	ab := []Column{{Name: "a", Type: "BIGINT"}, {Name: "b", Type: "DATE", Folder: true}}
	base := &Manifest{Format: 1, Columns: ab, Files: []File{{Path: "b=1/x", Upload: id(1)}, {Path: "b=2/x", Upload: id(2)}, {Path: "y", Upload: id(3)}}}
	for _, c := range []struct {
		name    string
		mode    Mode
		base    *Manifest
		columns []Column
		added   []File
		want    string
		err     error
	}{
		{"a new one", ModeError, nil, ab, files("b", "a"), "a b", nil},
		{"one that is there", ModeError, base, ab, files("a"), "", ErrExists},
		{"over it", ModeOverwrite, base, ab[:1], files("z"), "z", nil},
		{"over nothing", ModeOverwrite, nil, ab, files("z"), "z", nil},
		{"beside it", ModeAppend, base, ab, files("b=1/w"), "b=1/w b=1/x b=2/x y", nil},
		{"to nothing", ModeAppend, nil, ab, files("z"), "z", nil},
		{"rows to it", ModeInsert, base, ab, files("b=1/w"), "b=1/w b=1/x b=2/x y", nil},
		{"rows to nothing", ModeInsert, nil, ab, files("z"), "", ErrNotFound},
		{"rows of other columns", ModeInsert, base, ab[:1], files("z"), "", ErrColumns},
		{"nothing", ModeAppend, base, ab, nil, "b=1/x b=2/x y", nil},
		{"the same path", ModeAppend, base, ab, files("b=1/x", "y.p", "y.p"), "b=1/x b=1/x-2 b=2/x y y-2.p y.p", nil},
		{"a folder", ModeReplace, base, ab, files("b=1/w", "b=3/w"), "b=1/w b=2/x b=3/w y", nil},
		{"the top", ModeReplace, base, ab, files("z"), "b=1/x b=2/x z", nil},
		{"all folders, other columns", ModeReplace, base, ab[:1], files("z", "b=1/x", "b=2/x"), "b=1/x b=2/x z", nil},
		{"columns in another order", ModeAppend, base, []Column{ab[1], {Name: "A", Type: "BIGINT"}}, nil, "b=1/x b=2/x y", nil},
		{"another type", ModeAppend, base, []Column{{Name: "a", Type: "INTEGER"}, ab[1]}, nil, "", ErrColumns},
		{"a column less", ModeReplace, base, ab[:1], files("z"), "", ErrColumns},
		{"a column more", ModeAppend, base, append(ab[:2:2], Column{Name: "c", Type: "DATE"}), nil, "", ErrColumns},
		{"in files, not folders", ModeAppend, base, []Column{ab[0], {Name: "b", Type: "DATE"}}, nil, "", ErrColumns},
		{"beside it, by its own path", ModeAdd, base, ab, files("a"), "a b=1/x b=2/x y", nil},
		{"a path that is there", ModeAdd, base, ab, files("a", "y"), "", ErrExists},
		{"in its place", ModeUpdate, base, ab, files("a", "y"), "a b=1/x b=2/x y", nil},
		{"in all places, other columns", ModeUpdate, base, ab[:1], files("y", "b=1/x", "b=2/x"), "b=1/x b=2/x y", nil},
		{"a bad path", ModeAppend, base, ab, files("../x"), "", ErrName},
	} {
		m, err := Merge(c.mode, c.base, c.columns, c.added)
		if !errors.Is(err, c.err) || c.err == nil && err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if err != nil {
			continue
		}
		var got []string
		for _, f := range m.Files {
			got = append(got, f.Path)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
	if m, _ := Merge(ModeReplace, base, ab, files("b=1/x")); m.File("b=1/x").Upload != id(100) || m.File("b=2/x").Upload != id(2) {
		t.Errorf("replaced: %+v", m.Files)
	}
	if _, err := Merge("", nil, ab, nil); err == nil {
		t.Error("without a mode")
	}
}

func TestWithout(t *testing.T) {
	base := &Manifest{Format: 1, Columns: []Column{{Name: "a", Type: "BIGINT"}}, Files: files("a", "b", "c/d")}
	m, err := Without(base, []string{"c/d", "a"})
	if err != nil || len(m.Files) != 1 || m.Files[0].Path != "b" || len(m.Columns) != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err = Without(m, []string{"b"}); err != nil || len(m.Files) != 0 {
		t.Errorf("of all: %+v, %v", m, err)
	}
	if _, err := Without(base, []string{"a", "c"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a folder: %v", err)
	}
}
