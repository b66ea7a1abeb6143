// Package storage serves the files of datasets over HTTP: they are put, piece by piece, and
// published as one version; listed, read and removed.
//
//	begin ─▶ pieces of a file ─▶ a file of this node ─▶ an upload, with copies ─▶ … ─▶ publish
//
// A put has an id that its client draws, and begins as a job does: with a lease of the
// dataset. Each file that is whole is an upload that says of itself for which put it was
// sent, where it is to be and what its SHA-256 is, so that a client goes on with a put that
// broke off, at any node, and sends nothing twice but what is left of a file.
//
// It refuses to judge who calls (its routes name the least role, and package actors mounts
// them), to plan, and to know nodes otherwise than by asking them.
//
// Read server.go, then puts.go, partial.go and files.go.
package storage
