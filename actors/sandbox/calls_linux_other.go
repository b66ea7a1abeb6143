//go:build linux && !amd64

package sandbox

// processCalls start processes: clone alone does here.
var processCalls []string
