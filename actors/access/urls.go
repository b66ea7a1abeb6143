package access

import (
	"strings"

	"github.com/pondmesh/pond/fs/object"
)

// ReadURL says why a job may not read an object, or what a pattern means; nil if it
// may.
func (r *Rules) ReadURL(name string) error {
	if !r.confined || r.Names(name) {
		return nil
	}
	return denied("read", name, "", "jobs may read only "+r.readable(), "start the nodes with --read-root for the URL that it begins with too")
}

// WriteURL says why a job may not write an object, such as a dataset; nil if it may.
func (r *Rules) WriteURL(name string) error {
	if !r.outConfined || named(r.outURLs, name) {
		return nil
	}
	return denied("write", name, "", "jobs may write only "+r.writable(), "start the nodes with --write-root for the URL that it begins with too")
}

// Names reports whether a URL, or all that a pattern can mean, is below a root that is
// a URL: the operator has named the place.
func (r *Rules) Names(name string) bool { return named(r.urls, name) }

func named(roots []string, name string) bool {
	whole := object.CheckName("read", name) == nil // without parts such as ..
	for _, root := range roots {
		rest, ok := strings.CutPrefix(object.Prefix(name), root)
		if ok && whole && (rest == "" && name == root || strings.HasPrefix(rest, "/")) {
			return true
		}
	}
	return false
}
