package chaos

import "syscall"

// ownGroup keeps a terminal's signals from a process, and makes it die with us.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
