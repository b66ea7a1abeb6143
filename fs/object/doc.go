// Package object reads and writes immutable files that are somewhere else: objects of a
// store, files behind a web server, of a folder, of the pond itself.
//
// A Source finds the objects that a name or a pattern means, and opens ranges of
// them. An object is named by its URL and has a version: whoever found it reads that
// version, or hears ErrChanged. Sources refuse names of places that they do not know,
// and never answer fewer bytes than were asked for without an error.
//
// A Sink is written to as well: an object at a time, whole, under a condition if need be,
// so that of several writers one wins. Web servers are no Sinks; a dataset is written by
// publishing it.
//
// Back ends are in the packages below, and datasets in actors/datasets; all pass
// objecttest. Read Source next.
package object
