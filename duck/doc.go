// Package duck runs one DuckDB per partition: SQL in, vectors of rows out,
// Arrow streams and files in, within a memory budget and behind a locked door.
//
// An [Engine] is an in-memory DuckDB of its own, with its own threads, budget
// and spill directory. Rows leave through a sink function that DuckDB's threads
// call from inside the pipeline ([Engine.Drain], unordered) or one by one in
// order ([Engine.Fetch]); they enter as files or as streams of Arrow batches that can
// be scanned again ([Engine.Register]). Nothing is materialised whole.
//
//	files, streams ──▶ Engine ──▶ *vec.Chunk (valid during the call only)
//	                     │
//	                     └─ locked: only the Access it was given, no network,
//	                        no extensions, settings frozen
//
// The package refuses to know partitions, segments, the plan or other nodes; it
// is the only one that knows DuckDB. It must be built with the tag
// duckdb_arrow. Read vec/vec.go first, then engine.go, query.go, sink.go for the way out,
// register.go, scan.go and fill.c for the way in.
package duck
