package transfer

import "io"

// Stream is the blocks that one node has for one consumer.
type Stream struct{}

// Next is the next block, in order of wants and within a want in the segment's
// order. io.EOF: all wants have been answered.
//
// A *LostError concerns only the segments it names: Next may be called again
// and goes on with the other wants, io.EOF at their end. After any other error
// every call returns that error. Not for concurrent use.
func (s *Stream) Next() (Block, error) { return Block{}, io.EOF }

// Close ends the stream and closes its connection unless all has been read.
// Blocks already handed out stay valid until released.
func (s *Stream) Close() error { return nil }
