//go:build unix

package token

import (
	"os"
	"syscall"
)

// errNotFolder is of a path below what is no folder, as /dev/null is as a home.
const errNotFolder = syscall.ENOTDIR

func ownedBy(info os.FileInfo, uid int) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == uid
}
