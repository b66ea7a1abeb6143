//go:build !linux

package isolate

// unlinkedBytes is not known here.
func unlinkedBytes(int) int64 { return 0 }
