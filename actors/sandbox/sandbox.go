// Package sandbox has the kernel hold a process to the files that it was given: what
// SQL, a crafted file or a defect of DuckDB may reach is then no matter of what its
// text looks like.
//
// On Linux that is Landlock for files, sockets and signals, a seccomp filter for what
// no engine has a use for (sockets, programs, other processes, mounts), no new
// privileges, and no core files: files once it is known which are given (Confine), the
// rest before (Renounce). What is given up cannot be taken back. Elsewhere, and where the
// kernel lacks it, DuckDB's own lock is what remains: Protection says so.
//
// It refuses to know DuckDB, nodes and requests.
package sandbox

import (
	"os"
	"path/filepath"
	"strings"
)

// Access lists what a process may reach from now on, beside what it has open.
type Access struct {
	Read  []string // files; folders, with all below them, end in a slash; patterns of files
	Write []string // folders
}

// filesMax is how many files may be named one by one: beyond that the folders that
// hold them are opened, as a rule costs 5 µs in every process.
const filesMax = 1000

// rules are what the kernel is told.
type rules struct {
	files []string // may be read
	trees []string // the same, with all below them
	lists []string // folders whose names may be listed, with those below them
	write []string // folders in which everything may be done
}

// rulesOf works out the rules for a. DuckDB looks into folders for names that match a
// pattern, so the folder of each file may be listed.
func rulesOf(a Access) rules {
	var r rules
	lists, folders := map[string]bool{}, map[string]bool{}
	for _, path := range a.Read {
		if strings.HasSuffix(path, "/") {
			r.trees = append(r.trees, path)
			continue
		}
		info, err := os.Stat(path)
		switch {
		case err == nil && info.IsDir():
			lists[path] = true
			continue
		case err == nil:
			r.files = append(r.files, path)
			folders[filepath.Dir(path)] = true
		}
		lists[existing(literal(filepath.Dir(path)))] = true
	}
	if len(r.files) > filesMax {
		r.files = nil
		for f := range folders {
			r.trees = append(r.trees, f)
		}
	}
	for f := range lists {
		if f != "" {
			r.lists = append(r.lists, f)
		}
	}
	r.write = append(r.write, a.Write...)
	return r
}

// literal is a folder's path before its first part that is a pattern.
func literal(dir string) string {
	at := strings.IndexAny(dir, "*?[")
	if at < 0 {
		return dir
	}
	return filepath.Dir(dir[:at] + "x")
}

// existing is the path, if there is a folder; "" if not.
func existing(dir string) string {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return ""
	}
	return dir
}
