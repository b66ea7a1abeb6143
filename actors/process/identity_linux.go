package process

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// identity tells a file from another of the same name. The number of a file that is gone is
// soon given to the next, so when it was made counts too; born: the file system tells that.
// Where it does not, when it was changed last does, but for folders, which change with all
// in them.
func identity(path string) (id string, born bool) {
	var st unix.Statx_t
	err := statx(path, &st)
	for errors.Is(err, unix.EINTR) {
		err = statx(path, &st)
	}
	if err != nil { // there may be no such call here
		return numbered(path), false
	}
	made := st.Btime
	if born = st.Mask&unix.STATX_BTIME != 0; !born && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		made = st.Ctime
	}
	return fmt.Sprint(st.Dev_major, st.Dev_minor, st.Ino, made.Sec, made.Nsec), born
}

func statx(path string, st *unix.Statx_t) error {
	return unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_TYPE|unix.STATX_INO|unix.STATX_BTIME|unix.STATX_CTIME, st)
}
