package isolate

// How a node's memory is shared out when DuckDB runs in processes of its own.
const (
	nodeShare   = 6        // one of so many parts is for the node's own process and blank ones …
	nodeMax     = 48 << 20 // … but no more bytes than that
	processBase = 16 << 20 // bytes of a process that does nothing yet
	slackShare  = 4        // one of so many parts is for what DuckDB does not count, and what is freed but not given back
)

// Budget is the memory of a node in bytes, shared out to engine processes.
type Budget int64

// own is what the node's own process and blank ones take.
func (b Budget) own() int64 { return min(int64(b)/nodeShare, nodeMax) }

// Processes is what all engine processes may have together.
func (b Budget) Processes() int64 { return int64(b) - b.own() }

// Limit is what the process of an attempt may have that was granted so much of the
// node's memory.
func (b Budget) Limit(granted int64) int64 {
	if b <= 0 {
		return granted
	}
	return int64(float64(granted) * float64(b.Processes()) / float64(b))
}

// Inside is what the attempt may count on in that process: DuckDB's memory, buffers
// and blocks.
func (b Budget) Inside(granted int64) int64 {
	limit := b.Limit(granted)
	return (limit - min(processBase, limit/4)) * (slackShare - 1) / slackShare
}
