//go:build !linux

package chaos

import "syscall"

// ownGroup keeps a terminal's signals from a process.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitStopped knows no way to wait.
func awaitStopped(int) error { return nil }
