// Package collect decides which uploads of a dataset may be deleted, and when.
//
// Only a dataset's register says what is in use: a [Ledger], the leases of those that
// write and the versions that can be read. Both leave it by one CAS, and nothing comes
// back, so what it does not vouch for is condemned for good:
//
//	Grant a lease ─▶ upload, each upload with its Origin ─▶ Publish, which needs the lease
//	Watch.Condemn ─▶ the register without the lease, or the old version ─▶ Orphans ─▶ tombstones
//
// So a collector that is too early, as its clock is wrong or its writer slow, costs that
// writer its work, and nobody data: to publish what was condemned fails with
// [ErrCondemned]. A lease is drawn by its writer and never granted twice.
//
// Nobody collects for others. Each node lists its own uploads, then reads the ledger and
// the manifests of its versions, in this order, and buries the orphans among those that
// it listed: an upload was granted its lease before it was made, so a ledger that is read
// after it was listed has the lease, or has lost it for good. Tombstones travel with the
// inventories (package repair) and win over copies, so that a node that has not looked
// yet is not copied from; they are kept for [Times].Tombstone. A node that heard of none
// for nearly as long is [Times.Stale]: its uploads are judged before they are believed.
//
// It is pure: registers, manifests and clocks are its caller's. It refuses to delete
// anything, and to say anything while a manifest could not be read.
//
// Read ledger.go, then orphans.go.
package collect
