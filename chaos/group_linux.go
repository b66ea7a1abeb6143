package chaos

import "syscall"

// ownGroup keeps a terminal's signals from a process, and has it die with us.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
