package process

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// made is when a file was made; false: the file system, or the system, does not tell. Then
// it is when the file was changed last, but for folders, which change with all in them.
func made(path string) (when string, born bool) {
	var st unix.Statx_t
	err := statx(path, &st)
	for errors.Is(err, unix.EINTR) {
		err = statx(path, &st)
	}
	switch {
	case err != nil:
		return "", false
	case st.Mask&unix.STATX_BTIME != 0:
		return fmt.Sprint(st.Btime.Sec, st.Btime.Nsec), true
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return "", false
	}
	return fmt.Sprint(st.Ctime.Sec, st.Ctime.Nsec), false
}

func statx(path string, st *unix.Statx_t) error {
	return unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_TYPE|unix.STATX_BTIME|unix.STATX_CTIME, st)
}
