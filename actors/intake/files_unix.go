//go:build unix

package intake

import "syscall"

// Files is how many files this process may have open.
func Files() uint64 {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return filesUnknown
	}
	return uint64(l.Cur)
}
