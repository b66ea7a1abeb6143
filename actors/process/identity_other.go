//go:build !linux

package process

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// identity tells a file from another of the same name, as far as that is known.
func identity(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return "none"
		}
		return err.Error()
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprint(st.Dev, st.Ino)
	}
	return ""
}
