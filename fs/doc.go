// Package fs keeps write-once data: a local [Store] of uploads with checksums,
// and [Stage], which publishes a job's output files to a folder in one step. Beside
// them it keeps what changes: a [Keeper] of registers, whose promises are durable
// before they are told.
//
// The store holds each upload as one plain file of raw bytes next to an index
// (Pebble). The index batch is the commit: before it an upload does not exist,
// after it the upload never changes. Every read checks a CRC32C per 64 KiB, so
// a flipped bit or a torn file is an error and never data.
//
//	<dir>/LOCK, OWNER        one process a folder; who it is
//	<dir>/ID                 the store's id, drawn when it was made
//	<dir>/data/<upload id>   raw bytes: a Parquet file can be opened in place
//	<dir>/index/             Pebble: facts and checksums of committed uploads
//	<dir>/quarantine/<id>    damaged files, until a good copy is here again
//	<dir>/COMMITS            how many synced commits the index must know of
//
// It refuses to change an upload, to serve bytes it could not check, to try
// again after a failed fsync, and to know what the bytes mean. Replicas and scrub
// are not here. Read store.go next, then upload.go and reader.go; staging.go and
// publish.go for output folders; keeper.go for registers.
package fs
