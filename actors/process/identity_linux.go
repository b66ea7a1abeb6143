package process

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// identity tells a file from another of the same name. A number of a file that is gone is
// soon given to the next, so when it was made counts too. Where the file system does not
// tell, when it was changed last does, but for folders, which change with all in them.
func identity(path string) string {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_TYPE|unix.STATX_INO|unix.STATX_BTIME|unix.STATX_CTIME, &st); err != nil {
		if errors.Is(err, unix.ENOENT) {
			return "none"
		}
		return err.Error()
	}
	made := st.Btime
	if st.Mask&unix.STATX_BTIME == 0 && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		made = st.Ctime
	}
	return fmt.Sprint(st.Dev_major, st.Dev_minor, st.Ino, made.Sec, made.Nsec)
}
