// Package remote has DuckDB read objects that are somewhere else as if they were files
// here. DuckDB, in engine processes without a network, sees files: each node keeps
// parts of objects in sparse ones, those parts that an attempt or a plan reads, within
// bounds.
//
// A plan names an object by a path of its own (object.Path), the same on every node.
// What is asked of DuckDB has local paths in their place, what it answers has them back:
// see DuckDB, for planning, and Machine, for attempts. Of a Parquet file the footer and
// the chunks that are read come here; of any other, and where it is not known what is
// read, all of it. A chunk is here as a whole or not at all, so that reading one that is
// not meets no header of a page, which is an error of DuckDB's and no wrong row.
//
// It refuses to know nodes, jobs and credentials: places of objects are object.Sources.
// Read cache.go, then parquet.go and machine.go.
package remote
