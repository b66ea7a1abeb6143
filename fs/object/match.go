package object

import (
	"strings"

	"github.com/pondmesh/pond/duck/glob"
)

// Prefix is the part of a pattern before its first special character: each name that
// it matches begins with it.
func Prefix(pattern string) string {
	if i := strings.IndexAny(pattern, "*?["); i >= 0 {
		return pattern[:i]
	}
	return pattern
}

// CheckPattern is ErrPattern where ** stands more than once: such a pattern could
// take very long to match.
func CheckPattern(pattern string) error {
	n := 0
	for p := range strings.SplitSeq(pattern, "/") {
		if p == "**" {
			n++
		}
	}
	if n > 1 {
		return &Error{Op: "find", Name: pattern, Kind: ErrPattern, Detail: glob.ErrTwice.Error()}
	}
	return nil
}

// Means reports whether a name below a folder means a file there: all of it, the file, a
// folder that it is in, or a pattern.
func Means(name, file string) bool {
	return name == "" || name == file || strings.HasPrefix(file, name+"/") || Prefix(name) != name && Match(name, file)
}

// Match reports whether a key matches a pattern as DuckDB matches keys of S3: part by
// part between slashes, ** for one part or more at the end, for any number before.
func Match(pattern, key string) bool {
	return match(strings.Split(pattern, "/"), strings.Split(key, "/"))
}

func match(pattern, key []string) bool {
	for len(key) > 0 && len(pattern) > 0 {
		if pattern[0] == "**" {
			return len(pattern) == 1 || anyDepth(pattern[1:], key)
		}
		if !glob.Match(pattern[0], key[0]) {
			return false
		}
		pattern, key = pattern[1:], key[1:]
	}
	return len(key) == 0 && len(pattern) == 0
}

// anyDepth matches a pattern with the end of a key, wherever it begins.
func anyDepth(pattern, key []string) bool {
	for i := range key {
		if match(pattern, key[i:]) {
			return true
		}
	}
	return false
}
