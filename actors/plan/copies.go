package plan

// Copies says when the segments of a job get a second holder, so that a node's loss costs
// no rerun.
type Copies string

// When they do.
const (
	AutoCopies  Copies = ""      // as LazyCopies, once the job has run for long on many nodes
	NoCopies    Copies = "none"  // never
	LazyCopies  Copies = "lazy"  // after the attempt that made them is done, beside other work
	EagerCopies Copies = "eager" // before it is
)

// SegmentCopies is how many nodes hold a segment that has copies, its maker among them.
const SegmentCopies = 2

// CopyRate is how many bytes a second a node copies beside other work: half of what a
// network of a gigabit carries, so that tasks which read over it go on.
const CopyRate = 64 << 20

// Before is how many nodes hold a segment before its attempt is done.
func (c Copies) Before() int {
	if c == EagerCopies {
		return SegmentCopies
	}
	return 1
}
