// Package datasets makes datasets of registers and uploads: it publishes files under a
// name by one CAS ([Datasets.Begin], [Datasets.Publish]), reads manifests
// ([Datasets.Get]) and is an object.Source of the files of pond:// names.
//
// What is decided, package fs/dataset decides. Here is what acts: registers are read and
// changed, manifests sent to their nodes and kept in memory, for a while.
//
// It refuses to know jobs and plans, to make files, and to judge who may do what. A change
// that meets others is worked out again from what stands, a bounded number of times.
//
// What nothing refers to any more each node deletes for itself ([Collector]).
//
// Read datasets.go, then publish.go, source.go and collect.go.
package datasets
