// Package disks makes the disks of a node one store: each is a [fs.Store] of its own, and
// an upload is on one of them.
//
// A disk that fails is out of use, alone. What it held counts as not here: the node gets
// it again from others, as that of a lost disk, for the disks that are left. A disk whose
// write or fsync failed is not tried again before the node starts anew, unless another is
// in its place: a folder that is empty, or has a store of another id. The folder on which
// one was mounted, and nothing is now, is no disk, however often the node starts. After an error of
// reading, its index is read anew before it is believed. A store whose index is damaged
// when it is opened is set aside with its files, and one without any begins.
//
//	<dir>/uploads/      the store
//	<dir>/damaged-<n>/  stores that were set aside, for people
//
// The first store is the node's own, in its data folder: it is opened and closed
// elsewhere, and never replaced while the node runs.
//
// It refuses to say that an upload is nowhere while a disk is out of use, to open a folder
// with files of others, and to know what uploads are for. Read disks.go, then disk.go.
package disks
