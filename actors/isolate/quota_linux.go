package isolate

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// blockBytes is the unit in which the system tells what a file takes.
const blockBytes = 512

// unlinkedBytes is what files take on disk that a process has open and that have no
// name: no folder shows them.
func unlinkedBytes(pid int) (bytes int64) {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	fds, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	for _, fd := range fds {
		info, err := os.Stat(filepath.Join(dir, fd.Name()))
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink == 0 {
			bytes += st.Blocks * blockBytes
		}
	}
	return bytes
}
