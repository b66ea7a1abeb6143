package dataset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/pondmesh/pond/fs/repair"
	"github.com/pondmesh/pond/fs/replica"
)

// BoundText is a bound, if it is short enough to be kept.
func BoundText(s string) *string {
	if len(s) > textMax {
		return nil
	}
	return &s
}

// Bounds of a manifest.
const (
	filesMax    = 1 << 17
	columnsMax  = 4096
	holdersMax  = 16
	textMax     = 1024     // bytes of a bound: larger ones are left out
	boundsMax   = 1 << 15  // of all files: a manifest with more goes without
	rawMax      = 64 << 20 // bytes of its JSON
	windowMax   = 8 << 20  // that a decoder keeps
	columnText  = 64 << 10 // bytes of a column's name, or of its type
	formatKnown = 1
)

// Manifest is a version of a dataset: its files, and what is known of them.
type Manifest struct {
	Format   int       `json:"format"`
	Version  uint64    `json:"version"`
	Previous repair.ID `json:"previous,omitzero"` // the manifest that it was made from; zero: none
	Job      string    `json:"job,omitempty"`     // that published it
	Made     time.Time `json:"made,omitzero"`
	Columns  []Column  `json:"columns"`
	Files    []File    `json:"files"` // in order of path, each once
}

// Column is one of a dataset.
type Column struct {
	Name   string `json:"name"`
	Type   string `json:"type"`             // as DuckDB writes it
	Folder bool   `json:"folder,omitempty"` // it stands in key=value folders, not in the files
}

// File is one of a dataset.
type File struct {
	Path    string         `json:"path"` // below the dataset, with key=value folders
	Upload  repair.ID      `json:"upload"`
	Size    int64          `json:"size"`          // bytes
	Rows    int64          `json:"rows"`          // -1: not known
	Sum     string         `json:"sum,omitempty"` // SHA-256 of its bytes, in hex; empty: not known
	Holders []replica.Node `json:"holders,omitempty"`
	// Bounds are of all columns of a file that is one row group, by name in lower case;
	// empty: a look at the file tells.
	Bounds map[string]Bounds `json:"bounds,omitempty"`
}

// Bounds are what is known of a column's values in a file, as its footer has it.
type Bounds struct {
	Min      *string `json:"min,omitempty"`      // an SQL literal; nil: not known
	Max      *string `json:"max,omitempty"`      // nil: not known
	Nulls    int64   `json:"nulls,omitempty"`    // -1: not known
	Distinct int64   `json:"distinct,omitempty"` // values, at most or so; 0: not known
	Bytes    int64   `json:"bytes,omitempty"`    // compressed
}

// ErrTooLarge: a manifest has bounds.
var ErrTooLarge = errors.New("too large for a manifest")

// Rows are those of all files, -1 when that of one is not known.
func (m *Manifest) Rows() (n int64) {
	for _, f := range m.Files {
		if f.Rows < 0 {
			return -1
		}
		n += f.Rows
	}
	return n
}

// Bytes are those of all files.
func (m *Manifest) Bytes() (n int64) {
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}

// File is the one of a path; nil: there is none.
func (m *Manifest) File(name string) *File {
	i := sort.Search(len(m.Files), func(i int) bool { return m.Files[i].Path >= name })
	if i == len(m.Files) || m.Files[i].Path != name {
		return nil
	}
	return &m.Files[i]
}

// Uploads are those that the manifest refers to, for collect.Ledger.Orphans.
func (m *Manifest) Uploads() []repair.ID {
	ids := make([]repair.ID, len(m.Files))
	for i, f := range m.Files {
		ids[i] = f.Upload
	}
	return ids
}

// WithoutBounds is the manifest with less said of its files.
func (m *Manifest) WithoutBounds() *Manifest {
	out := *m
	out.Files = slices.Clone(m.Files)
	for i := range out.Files {
		out.Files[i].Bounds = nil
	}
	return &out
}

// Weight is how much there is of it, in files and bounds.
func (m *Manifest) Weight() (n int) {
	for i := range m.Files {
		n += 1 + len(m.Files[i].Bounds)
	}
	return n
}

func (m *Manifest) check() error {
	switch {
	case m.Format != formatKnown:
		return fmt.Errorf("%w: a manifest of format %d: %d is known here", ErrDamaged, m.Format, formatKnown)
	case len(m.Files) > filesMax:
		return fmt.Errorf("%w: %d files, at most %d", ErrTooLarge, len(m.Files), filesMax)
	case len(m.Columns) > columnsMax:
		return fmt.Errorf("%w: %d columns, at most %d", ErrTooLarge, len(m.Columns), columnsMax)
	}
	seen := map[string]bool{}
	for _, c := range m.Columns {
		name := strings.ToLower(c.Name)
		if seen[name] || c.Name == "" || c.Type == "" || len(c.Name) > columnText || len(c.Type) > columnText {
			return fmt.Errorf("%w: column %.80q, %.80q", ErrDamaged, c.Name, c.Type)
		}
		seen[name] = true
	}
	for i := range m.Files {
		if err := m.Files[i].check(); err != nil {
			return err
		}
		if i > 0 && m.Files[i].Path <= m.Files[i-1].Path {
			return fmt.Errorf("%w: file %.300q is not in order", ErrDamaged, m.Files[i].Path)
		}
	}
	return nil
}

func (f *File) check() error {
	if err := CheckFile(f.Path); err != nil {
		return err
	}
	if f.Size < 0 || f.Rows < -1 || len(f.Holders) > holdersMax || len(f.Bounds) > columnsMax {
		return fmt.Errorf("%w: file %.300q: %d bytes, %d rows, %d holders, %d bounds", ErrDamaged, f.Path, f.Size, f.Rows, len(f.Holders), len(f.Bounds))
	}
	for c, b := range f.Bounds {
		if len(c) > columnText || b.Nulls < -1 || b.Distinct < 0 || b.Bytes < 0 || b.Min != nil && len(*b.Min) > textMax || b.Max != nil && len(*b.Max) > textMax {
			return fmt.Errorf("%w: file %.300q: bounds of column %.80q", ErrDamaged, f.Path, c)
		}
	}
	return nil
}

// Encode is the manifest as an upload: JSON, compressed.
func (m *Manifest) Encode() ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	if len(raw) > rawMax {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(raw), rawMax)
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(windowMax))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return z.EncodeAll(raw, nil), nil
}

// Decode reads what Encode wrote. The memory that it takes grows with what it reads, not
// with what the bytes say of themselves.
func Decode(r io.Reader) (*Manifest, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(windowMax))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	raw, err := io.ReadAll(io.LimitReader(z, rawMax+1))
	if err != nil {
		return nil, fmt.Errorf("read a manifest: %w", err)
	}
	if len(raw) > rawMax {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, rawMax)
	}
	var m Manifest
	in := json.NewDecoder(bytes.NewReader(raw))
	if err := in.Decode(&m); err != nil {
		return nil, fmt.Errorf("%w: a manifest: %w", ErrDamaged, err)
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: a manifest with more behind it", ErrDamaged)
	}
	return &m, m.check()
}
