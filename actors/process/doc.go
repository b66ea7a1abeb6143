// Package process runs engine processes: children of a node, made of the node's own
// program, in which DuckDB works so that whatever DuckDB does to its process costs
// one request and never the node.
//
//	node                                     engine process
//	Pool.Get ─▶ Process.Run ── call ──▶ Conn ─▶ Handler
//	              Handler ◀── call ──── Conn.Call   (rows, files, Go functions)
//	Pool.Put ◀─── reply
//
// A Conn is one socket pair: calls in both directions at once, bounded messages, open
// files beside them. A Process runs one request at a time; when it dies the request
// fails with a typed error, and the Pool starts another. The Pool keeps blank
// processes ready, keeps used ones for the next request of the same Access, watches
// their memory and ends what nobody needs.
//
// It refuses to know DuckDB, tasks and statements: package isolate has the requests.
// What an engine process may reach is its own doing, by package sandbox, when it is
// told its Access.
//
// Read conn.go, then process.go, pool.go and main.go.
package process
