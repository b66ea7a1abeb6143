// Package transfer moves shuffle blocks from the node that holds them to the
// one that wants them: one HTTP/1.1 request and one stream for each producer
// node and consumer.
//
//	consumer                                  producer
//	Client.Fetch(addr, wants) ─ POST /v1/blocks ─▶ Handler ─ Source.Open ─▶ Segment
//	Stream.Next ◀─ whole blocks ◀─ frames ◀──────── extents, read or sendfile
//
// Rows reads the streams of several nodes one after another as record batches.
//
// # Request
//
// Integers are little-endian. A body of any other length is refused.
//
//	0   4  magic "PBQ1"
//	4   4  flags: bit 0, careful: every byte is read before its frame is begun
//	8   4  number of segments, S
//	12  4  number of wants, W
//	16  …  S segment ids of 16 bytes
//	 …  …  W wants of 16 bytes: index of the segment (4), partition, -1 for all (4), offset to go on from (8)
//
// A want's bytes are its extents one after another; offsets count within them.
//
// # Response
//
// Content-Length, then frames: a header of 32 bytes and Length bytes.
//
//	0   4  want: its index in the request
//	4   1  kind: 1 data, 2 end
//	5   1  status (end): 0 ok, 1 gone, 2 corrupt, 3 internal, 4 denied
//	6   2  0
//	8   8  offset in the want; at its end: the want's total when the status is ok
//	16  8  length: of the data, or of the text that explains a status
//	24  8  total bytes of the want
//
// Wants are answered in order, each by data frames without gaps and one end
// frame; wants that are known to be gone, then those known to be corrupt, are
// ended before anything else is sent, so that a consumer learns of all losses at once. A stream that
// breaks is asked for again from the offset reached: offsets stand in every
// frame, so a byte cannot come twice or be skipped. A producer that cannot keep
// a promise in the middle (a segment vanished) ends that want and sends fewer
// bytes than Content-Length says; when it was inside a frame it cuts the
// connection, and the consumer asks again carefully.
//
// # Bounds
//
// A consumer holds at most its window, plus one buffer for each stream whose
// consumer is waiting on an empty queue: streams may be read in any order, even
// one after another, without a deadlock. A producer serves a bounded number of
// streams and cuts those that take nothing; the consumer then resumes.
//
// The package refuses to decode blocks (shuffle.Decode verifies their
// checksums), to know where segments are stored ([Source] does), and to choose
// producers. Nothing from the wire reaches a file system but a 128-bit id.
//
// Read transfer.go next, then wire.go, stream.go and server.go.
package transfer
