// Package dataset says what a dataset is: files under a name, in versions.
//
//	pond://sales              the dataset as it is now
//	pond://sales/7            its version 7, for as long as it is kept
//	pond://sales/7/k=1/*      files of it
//
// A version is a [Manifest], an upload like the files that it lists. A dataset's register
// holds its [State]: which versions can be read, who writes, and which jobs have
// published lately. To publish is one CAS of that register:
//
//	Begin a lease ─▶ upload files ─▶ Merge with the manifest as it is ─▶ upload the manifest ─▶ Publish
//
// The lease is the job's, and ends when it publishes, so that no job publishes twice,
// whoever drives it: a second time is ErrPublished, and names the version.
//
// It is pure: registers, uploads and clocks are its caller's. It refuses names that are
// no paths, manifests larger than their bounds, and files of other columns than those
// that they are put beside.
//
// Read name.go, then state.go, manifest.go and merge.go.
package dataset
