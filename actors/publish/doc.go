// Package publish brings the files of a job to where the user wants them: attempts
// write into a staging folder beside the target, the winners' files are checked
// against their manifests and become visible in one step, and what died in between
// is cleared. For a dataset they upload what they write instead, and the step is that of
// package datasets.
//
// It refuses to choose the winners (package sched does) and to write files (exec).
// How a folder is replaced in one step is package fs's to know.
//
// Read publish.go, then files.go, dataset.go and orphans.go.
package publish
