//go:build duckdb_arrow

package duck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// FileInfo is a file that a pattern matched.
type FileInfo struct {
	Path    string
	Size    int64 // bytes
	ModTime time.Time
}

// Glob lists the files that patterns match, in order of path, each once. It
// does not use DuckDB: Access does not apply. A pattern is a path; a folder,
// for the files right in it; or a glob (*, ?, [a-z], and ** for any depth of
// folders), so that folder/** is all files below it. In a folder and below **,
// names that begin with a dot or an underscore are passed over. A pattern that
// matches nothing is an error that matches fs.ErrNotExist.
func (e *Engine) Glob(ctx context.Context, patterns []string) ([]FileInfo, error) {
	g := globber{ctx: ctx, found: map[string]FileInfo{}}
	for _, p := range patterns {
		before := g.matches
		if err := g.pattern(filepath.Clean(p)); err != nil {
			return nil, fmt.Errorf("duck: glob %s: %w", p, err)
		}
		if g.matches == before {
			return nil, fmt.Errorf("duck: glob %s: %w", p, fs.ErrNotExist)
		}
	}
	files := slices.Collect(maps.Values(g.found))
	slices.SortFunc(files, func(a, b FileInfo) int { return strings.Compare(a.Path, b.Path) })
	return files, nil
}

type globber struct {
	ctx     context.Context
	found   map[string]FileInfo
	matches int
}

// anyDepth is the part of a pattern that stands for any depth of folders.
const anyDepth = "**"

func hasMeta(s string) bool { return strings.ContainsAny(s, `*?[`) }

func (g *globber) pattern(p string) error {
	parts := strings.Split(p, string(filepath.Separator))
	plain := slices.IndexFunc(parts, hasMeta)
	if _, err := os.Lstat(p); plain >= 0 && err != nil { // a file may be called *
		base := strings.Join(parts[:plain], string(filepath.Separator))
		if base == "" && filepath.IsAbs(p) {
			base = string(filepath.Separator)
		}
		return g.below(base, parts[plain:])
	}
	info, err := os.Stat(p)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return g.add(p)
	}
	return g.each(p, func(d fs.DirEntry, path string) error {
		if d.IsDir() || passedOver(d.Name()) {
			return nil
		}
		return g.add(path)
	})
}

// below matches parts against what dir holds.
func (g *globber) below(dir string, parts []string) error {
	if parts[0] != anyDepth {
		return g.each(dir, func(d fs.DirEntry, path string) error {
			ok, err := filepath.Match(parts[0], d.Name())
			if err != nil || !ok || d.Name()[0] == '.' && parts[0][0] != '.' {
				return err
			}
			return g.matched(path, parts[1:])
		})
	}
	rest := parts[1:]
	if len(rest) > 0 {
		if err := g.below(dir, rest); err != nil {
			return err
		}
	}
	return g.each(dir, func(d fs.DirEntry, path string) error {
		switch {
		case passedOver(d.Name()):
			return nil
		case d.IsDir():
			return g.below(path, parts)
		case len(rest) == 0:
			return g.add(path)
		}
		return nil
	})
}

// matched goes on with a path that the parts so far matched.
func (g *globber) matched(path string, rest []string) error {
	if len(rest) == 0 {
		return g.add(path)
	}
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return nil //nolint:nilerr // a dangling link or a file: no match
	}
	return g.below(path, rest)
}

func (g *globber) each(dir string, f func(d fs.DirEntry, path string) error) error {
	if g.ctx.Err() != nil {
		return context.Cause(g.ctx)
	}
	name := dir
	if name == "" {
		name = "."
	}
	entries, err := os.ReadDir(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, d := range entries {
		if err := f(d, filepath.Join(dir, d.Name())); err != nil {
			return err
		}
	}
	return nil
}

// add takes path if it is a file.
func (g *globber) add(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // gone since, or a dangling link
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	g.matches++
	g.found[path] = FileInfo{Path: path, Size: info.Size(), ModTime: info.ModTime()}
	return nil
}

func passedOver(name string) bool { return name[0] == '.' || name[0] == '_' }
