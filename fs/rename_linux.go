package fs

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// exchange swaps two folders in one step. EINVAL or ErrUnsupported: the file
// system cannot.
func exchange(a, b string) error {
	if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
		return &os.LinkError{Op: "exchange", Old: a, New: b, Err: err}
	}
	return nil
}

// chownLike gives path the owner of fi, where the process may do so.
func chownLike(path string, fi os.FileInfo) {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		os.Lchown(path, int(st.Uid), int(st.Gid)) // refused to all but root: then ours it stays
	}
}
