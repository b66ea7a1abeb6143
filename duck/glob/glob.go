// Package glob lists the files that a path or a pattern means: exactly those that
// DuckDB reads for it, so that planner, guard and reader agree.
//
//   - any characters of a name, a leading dot included
//     ?   one byte
//     [a-z], [!a]
//     **  as a name of its own, once: folders of any depth, links not followed
//
// It refuses names that are not UTF-8, which SQL cannot write. Read Find next.
package glob

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

// File is a file that a pattern means.
type File struct {
	Path    string
	Size    int64 // bytes
	ModTime time.Time
}

// Errors of Find besides fs.ErrNotExist, for a pattern that means no file, and the
// system's own.
var (
	ErrTwice = errors.New("** may stand in a path once")
	ErrName  = errors.New("the name of the file is not UTF-8")
)

// anyDepth is the part of a pattern that stands for any depth of folders.
const anyDepth = "**"

// HasMeta reports whether a path is a pattern, unless there is a file of that name
// and nothing that it matches.
func HasMeta(path string) bool { return strings.ContainsAny(path, "*?[") }

// Below is a path as its reader takes it: a folder means the files below it that
// end in a dot and the suffix. Readers without a suffix read no folders.
func Below(path, suffix string) string {
	if st, err := os.Stat(path); suffix == "" || HasMeta(path) || err != nil || !st.IsDir() {
		return path
	}
	return strings.TrimRight(path, "/") + "/" + anyDepth + "/*." + suffix
}

// Folder is the folder that Below made a pattern of.
func Folder(pattern string) (path string, ok bool) {
	i := strings.LastIndex(pattern, "/"+anyDepth+"/*.")
	return pattern[:max(i, 0)], i > 0 && !HasMeta(pattern[:i])
}

// Find lists the files that patterns mean, in order of path, each once. Paths are
// absolute.
func Find(ctx context.Context, patterns []string) ([]File, error) {
	return find(ctx, patterns, "")
}

// FindIn is Find where a folder means the files right in it, but for those whose
// names begin with a dot or an underscore.
func FindIn(ctx context.Context, patterns []string) ([]File, error) { return find(ctx, patterns, "*") }

// FindBelow is FindIn with all folders below, but for such names.
func FindBelow(ctx context.Context, patterns []string) ([]File, error) {
	return find(ctx, patterns, anyDepth)
}

// find lists the files of patterns. A folder among them stands for the files in it
// that match within.
func find(ctx context.Context, patterns []string, within string) ([]File, error) {
	g := finder{ctx: ctx, found: map[string]File{}}
	for _, p := range patterns {
		before := g.matches
		err := g.meaning(p, within)
		if err == nil && g.matches == before {
			err = fs.ErrNotExist
		}
		if err != nil {
			return nil, fmt.Errorf("glob: %s: %w", p, err)
		}
	}
	return slices.SortedFunc(maps.Values(g.found), func(a, b File) int { return cmp.Compare(a.Path, b.Path) }), nil
}

// finder gathers the files of patterns.
type finder struct {
	ctx     context.Context
	found   map[string]File
	matches int
	folder  string // whose hidden files are left out; empty: none are
}

func (g *finder) meaning(p, within string) error {
	g.folder = ""
	if st, err := os.Stat(p); within == "" || err != nil || !st.IsDir() {
		return g.pattern(p)
	}
	g.folder = strings.TrimRight(p, "/")
	return g.below(g.folder, []string{within})
}

// hidden reports whether a name below the folder begins with a dot or an underscore.
func (g *finder) hidden(path string) bool {
	rest, ok := strings.CutPrefix(path, g.folder+"/")
	return ok && g.folder != "" && slices.ContainsFunc(strings.Split(rest, "/"), func(name string) bool { return name[0] == '.' || name[0] == '_' })
}

func (g *finder) pattern(p string) error {
	before := g.matches
	if HasMeta(p) {
		parts := split(p)
		if twice(parts) {
			return ErrTwice
		}
		if err := g.below(parts[0], parts[1:]); err != nil || g.matches > before {
			return err
		}
	}
	return g.add(p) // a file may be called *
}

// split parts a path as DuckDB does: a backslash parts as well, and the first part
// is never matched.
func split(p string) []string {
	rest := strings.TrimLeft(p, `/\`)
	parts := strings.FieldsFunc(rest, func(r rune) bool { return r == '/' || r == '\\' })
	if len(parts) == 0 {
		return []string{p}
	}
	parts[0] = p[:len(p)-len(rest)] + parts[0]
	if last := p[len(p)-1]; last == '/' || last == '\\' {
		parts = append(parts, "") // folders are wanted: it means no file
	}
	return parts
}

func twice(parts []string) bool {
	n := 0
	for _, p := range parts {
		if p == anyDepth {
			n++
		}
	}
	return n > 1
}

// below matches parts against what dir holds.
func (g *finder) below(dir string, parts []string) error {
	switch {
	case len(parts) == 0:
		return nil
	case !HasMeta(parts[0]) && len(parts) == 1:
		return g.add(dir + "/" + parts[0])
	case !HasMeta(parts[0]):
		return g.below(dir+"/"+parts[0], parts[1:])
	case parts[0] == anyDepth:
		return g.anyDepth(dir, parts)
	}
	return g.each(dir, func(d fs.DirEntry, path string) error {
		if !Match(parts[0], d.Name()) {
			return nil
		}
		if len(parts) == 1 {
			return g.add(path)
		}
		if st, err := os.Stat(path); err != nil || !st.IsDir() {
			return nil //nolint:nilerr // a dangling link or a file: no match
		}
		return g.below(path, parts[1:])
	})
}

// anyDepth matches what follows ** against dir and all folders below it.
func (g *finder) anyDepth(dir string, parts []string) error {
	if err := g.below(dir, parts[1:]); err != nil {
		return err
	}
	return g.each(dir, func(d fs.DirEntry, path string) error {
		switch {
		case d.IsDir():
			return g.anyDepth(path, parts)
		case len(parts) == 1 && d.Type()&fs.ModeSymlink == 0:
			return g.add(path)
		}
		return nil
	})
}

// each calls f for each entry of a folder. A folder that does not exist, or that
// this process may not read, has no entries.
func (g *finder) each(dir string, f func(d fs.DirEntry, path string) error) error {
	if g.ctx.Err() != nil {
		return context.Cause(g.ctx)
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !gone(err) {
		return err
	}
	for _, d := range entries {
		if err := f(d, dir+"/"+d.Name()); err != nil {
			return err
		}
	}
	return nil
}

func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOTDIR)
}

// add takes path if it is a file.
func (g *finder) add(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil && gone(err), err == nil && !info.Mode().IsRegular(), g.hidden(path):
		return nil
	case err != nil:
		return err
	case !utf8.ValidString(path):
		return fmt.Errorf("%q: %w", path, ErrName)
	}
	g.matches++
	g.found[path] = File{Path: path, Size: info.Size(), ModTime: info.ModTime()}
	return nil
}
