// Package access says which paths a node's jobs may read and write.
//
//	Rules ─▶ Check ─▶ Read(path): nil, or why not
//	                ─▶ Write(path): where it leads, or why not
//
// A path is followed as the kernel follows it, links and ".." included, and judged by
// what it leads to: files and folders are compared by identity, so that a second name,
// another spelling or another mount of a folder is the same folder. Never given are
// data folders of nodes, their keys, /proc, /sys and /dev. Roots confine the rest.
//
// It refuses to open files, and to find those that a pattern means (package glob
// does). Whoever opens a file on behalf of a job asks right before it.
//
// Read rules.go.
package access
