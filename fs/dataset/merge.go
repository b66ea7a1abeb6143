package dataset

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Mode is how files come to a dataset that is there.
type Mode string

// Modes.
const (
	ModeError     Mode = "error"     // not at all
	ModeOverwrite Mode = "overwrite" // they take the place of all others
	ModeAppend    Mode = "append"    // they join the others
	ModeInsert    Mode = "insert"    // as with append, and the dataset has to be there: ErrNotFound
	ModeReplace   Mode = "replace"   // in each folder that gets files, they take the place of those there
	ModeAdd       Mode = "add"       // they join the others, under their own paths or not at all
	ModeUpdate    Mode = "update"    // each takes the place of the one that has its path
)

// Errors of Merge.
var (
	ErrExists  = errors.New("there is such a dataset already")
	ErrColumns = errors.New("the columns are others")
)

// Merge is the version after base, nil if the dataset is not there, with more files. It
// has their columns, or those of base, which must be the same ones where files of base
// stay. A file that has the path of one that stays is given another. Its number, job and
// what it was made from are the caller's to fill in.
func Merge(mode Mode, base *Manifest, columns []Column, files []File) (*Manifest, error) {
	next := &Manifest{Format: formatKnown, Columns: columns}
	kept, err := staying(mode, base, files)
	if err != nil {
		return nil, err
	}
	if len(kept) > 0 {
		if err := SameColumns(base.Columns, columns); err != nil {
			return nil, err
		}
		next.Columns = base.Columns
	}
	next.Files = join(kept, files)
	if next.Weight()-len(next.Files) > boundsMax {
		next = next.WithoutBounds()
	}
	return next, next.check()
}

// staying are the files of base that the next version has too.
func staying(mode Mode, base *Manifest, added []File) ([]File, error) {
	switch {
	case !slices.Contains(modes, mode):
		return nil, fmt.Errorf("mode %q is not known", mode)
	case base == nil && mode == ModeInsert:
		return nil, ErrNotFound
	case base == nil || mode == ModeOverwrite:
		return nil, nil
	case mode == ModeError:
		return nil, ErrExists
	case mode == ModeAppend, mode == ModeInsert:
		return base.Files, nil
	case mode == ModeAdd:
		return base.Files, apart(base, added)
	case mode == ModeUpdate:
		return others(base.Files, added), nil
	}
	return outside(base.Files, added), nil
}

var modes = []Mode{ModeError, ModeOverwrite, ModeAppend, ModeInsert, ModeReplace, ModeAdd, ModeUpdate}

// apart is ErrExists, unless no file of base has the path of a new one.
func apart(base *Manifest, added []File) error {
	for _, f := range added {
		if base.File(f.Path) != nil {
			return fmt.Errorf("%w, and it has %s", ErrExists, f.Path)
		}
	}
	return nil
}

// others are the files that have no path of a new one.
func others(old, added []File) []File {
	taken := make(map[string]bool, len(added))
	for _, f := range added {
		taken[f.Path] = true
	}
	return slices.DeleteFunc(slices.Clone(old), func(f File) bool { return taken[f.Path] })
}

// Without is the version after base, without some of its files. It is ErrNotFound if base
// lacks one.
func Without(base *Manifest, paths []string) (*Manifest, error) {
	gone := make([]File, len(paths))
	for i, p := range paths {
		if base.File(p) == nil {
			return nil, fmt.Errorf("%w: file %.300q", ErrNotFound, p)
		}
		gone[i].Path = p
	}
	return &Manifest{Format: formatKnown, Columns: base.Columns, Files: others(base.Files, gone)}, nil
}

// outside are the files in folders that none of the new ones is in.
func outside(old, added []File) (kept []File) {
	replaced := map[string]bool{}
	for _, f := range added {
		replaced[folderOf(f.Path)] = true
	}
	for _, f := range old {
		if !replaced[folderOf(f.Path)] {
			kept = append(kept, f)
		}
	}
	return kept
}

func join(kept, added []File) []File {
	out := slices.Clone(kept)
	taken := make(map[string]bool, len(kept)+len(added))
	for _, f := range kept {
		taken[f.Path] = true
	}
	for _, f := range added {
		f.Path = free(f.Path, taken)
		taken[f.Path] = true
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	return out
}

// free is a path that is not taken, beside the one that was wanted.
func free(want string, taken map[string]bool) string {
	ext := path.Ext(want)
	for name, n := want, 2; ; n++ {
		if !taken[name] {
			return name
		}
		name = strings.TrimSuffix(want, ext) + "-" + strconv.Itoa(n) + ext
	}
}

// SameColumns is ErrColumns, and what differs, unless columns are the same ones: files are read together by the names of their
// columns, so their order does not matter.
func SameColumns(old, added []Column) error {
	types := map[string]Column{}
	for _, c := range old {
		types[strings.ToLower(c.Name)] = c
	}
	for _, c := range added {
		was, ok := types[strings.ToLower(c.Name)]
		switch {
		case !ok:
			return fmt.Errorf("%w: the dataset has no column %q", ErrColumns, c.Name)
		case was.Type != c.Type:
			return fmt.Errorf("%w: column %q is %s in the dataset, and %s in what is to be added", ErrColumns, was.Name, was.Type, c.Type)
		case was.Folder != c.Folder:
			return fmt.Errorf("%w: column %q stands in folders here, and in files there", ErrColumns, was.Name)
		}
		delete(types, strings.ToLower(c.Name))
	}
	for _, name := range slices.Sorted(maps.Keys(types)) {
		return fmt.Errorf("%w: the dataset has a column %q", ErrColumns, types[name].Name)
	}
	return nil
}
