// Package faults has the points of a node at which it can be told to fail, for fault
// runs on the very binary that users run.
//
// A [Point] is a named place where something that matters can go wrong and cannot be
// made to from outside: between two renames of a publication, at an fsync, as a report
// is told. The code there asks an [Injector] what is to happen, which is nothing unless
// an [Order] for the point was armed. A node has an Injector only if its process was
// started with a key; a nil one is inert, and costs a comparison.
//
//	if err := f.Fail(faults.RecordSync); err != nil { // as the disk's own error
//		return err
//	}
//
// Whatever fires is logged and counted: a run whose fault never fired proves nothing.
//
// The package refuses to decide when a fault is due, which package chaos does. Read
// point.go, then injector.go.
package faults
