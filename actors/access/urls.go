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

// Names reports whether a URL, or all that a pattern can mean, is below a root that is
// a URL: the operator has named the place.
func (r *Rules) Names(name string) bool {
	whole := object.CheckName("read", name) == nil // without parts such as ..
	for _, root := range r.urls {
		rest, ok := strings.CutPrefix(object.Prefix(name), root)
		if ok && whole && (rest == "" && name == root || strings.HasPrefix(rest, "/")) {
			return true
		}
	}
	return false
}
