//go:build !linux

package process

// made is when a file was made, which is not known here.
func made(string) (when string, born bool) { return "", false }
