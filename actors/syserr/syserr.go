// Package syserr says what the system's errors about files and disks mean to a job: their
// kind, and what to do next. What is full or used up is apart from what fails, and both
// from what may not be touched or is not there.
//
// It refuses to look at files, and to judge what is in them.
//
// Read next: actors/plan/errors.go.
package syserr

import (
	"errors"
	"syscall"

	"github.com/pondmesh/pond/actors/plan"
)

// row is what some errors of the system mean.
type row struct {
	kind plan.Kind
	hint string
	errs []error
}

// full, used up, kept from us, not there, failing: in this order, since the error of a
// disk that fails may have another as its cause.
var rows = []row{
	{plan.KindResource, "make room on that disk, or choose another", []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG}},
	{plan.KindResource, "look at how many files a process may open there (ulimit -n), and at the memory of the machine",
		[]error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOLCK}},
	{plan.KindDenied, "let the user that the nodes run as read and write there", []error{syscall.EACCES, syscall.EPERM, syscall.EROFS}},
	{plan.KindNotFound, "paths are looked up on the nodes: give one that leads to the same place on each",
		[]error{syscall.ENOENT, syscall.ENOTDIR, syscall.ENAMETOOLONG, syscall.ELOOP}},
	{plan.KindStorage, failing, []error{syscall.EIO, syscall.ESTALE, syscall.ENXIO, syscall.ENODEV}},
}

// failing is what to do about a disk that fails.
const failing = "look at that disk or mount, and at the system's log: it fails, or what was on it is damaged"

func find(err error) *row {
	for i := range rows {
		for _, e := range rows[i].errs {
			if errors.Is(err, e) {
				return &rows[i]
			}
		}
	}
	return nil
}

// File is err, of op on a file that a user has named: subject. What is no error of the
// system's is taken for a failure of the disk.
func File(op, subject string, err error) *plan.Error {
	out := &plan.Error{Kind: plan.KindStorage, Op: op, Subject: subject, Text: err.Error(), Hint: failing}
	if r := find(err); r != nil {
		out.Kind, out.Hint = r.kind, r.hint
	}
	return out
}

// Own is err, of op on the node's own files. Whatever is wrong with them is the node's
// matter and nobody's statement: it is full, or its storage fails.
func Own(op, subject string, err error) *plan.Error {
	out := File(op, subject, err)
	switch r := find(err); {
	case r == &rows[0]:
		out.Hint = "make room on the disk of the node's data folder, or start nodes with --data on a larger one"
	case out.Kind != plan.KindResource:
		out.Kind, out.Hint = plan.KindStorage, "look at the disk of the node's data folder, at who may write there, and at the node's log; then start the node again"
	}
	return out
}

// Disk reports whether err says that a disk, or what the system has for files, is full or
// fails: whatever was done, and to which file.
func Disk(err error) bool {
	r := find(err)
	return r != nil && (r.kind == plan.KindResource || r.kind == plan.KindStorage)
}
