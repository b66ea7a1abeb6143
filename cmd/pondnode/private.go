package main

import (
	"fmt"
	"os"
)

// private refuses a file with a key that others than its owner may read or change. As
// PostgreSQL has it, root's may also be read by a group: that is how a machine gives
// keys to services. What is not there is somebody else's to tell.
func private(flag, path string) error {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil //nolint:nilerr // reading it tells
	}
	open := info.Mode().Perm() & 0o077
	if ownedByRoot(info) && os.Geteuid() != 0 {
		open &^= 0o040
	}
	if open == 0 {
		return nil
	}
	return usageError{fmt.Sprintf("%s: others may use the key %s: its mode is %04o", flag, path, info.Mode().Perm()), "type: chmod 600 " + quote(path)}
}
