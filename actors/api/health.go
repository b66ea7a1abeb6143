package api

// Health is a node's answer to /healthz and /readyz.
type Health struct {
	Node     string    `json:"node"`
	OK       bool      `json:"ok"`
	Problems []Problem `json:"problems,omitempty"`
}

// Problem is something that is wrong with a node.
type Problem struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
}

// Kinds of problems.
const (
	StoreFailed  = "store failed"  // restart the node; its disk may be broken
	KeeperFailed = "keeper failed" // the same, for its part in registers
	DiskFull     = "disk full"
	NotJoined    = "not joined"
	IsLeaving    = "leaving"
	QueueFull    = "queue full"   // as many jobs wait as may
	NoRegisters  = "no registers" // the node knows of no keepers
	NoMajority   = "no majority of keepers"
)

// Usage is what a node holds on disk.
type Usage struct {
	Node  string      `json:"node"`
	Kinds []KindUsage `json:"kinds"`
	Disks []DiskUsage `json:"disks,omitempty"` // that of the data folder first
	// Error says why a node did not tell.
	Error string `json:"error,omitempty"`
}

// DiskUsage is one disk of a node.
type DiskUsage struct {
	Dir   string `json:"dir"`
	ID    string `json:"id,omitempty"`
	Bytes int64  `json:"bytes"` // of uploads
	Count int64  `json:"count"`
	Free  int64  `json:"free,omitempty"` // bytes; 0: not known
	Total int64  `json:"total,omitempty"`
	Aside int    `json:"aside,omitempty"` // stores that were damaged, and are kept beside the disk's
	Error string `json:"error,omitempty"` // why it is out of use
}

// KindUsage is the part of one kind.
type KindUsage struct {
	Kind  string `json:"kind"`
	Bytes int64  `json:"bytes"`
	Count int64  `json:"count"` // segments, records or files
	// Max is the most bytes that it may come to, and KeepMillis how long it may be there;
	// 0: no bound of its own.
	Max        int64 `json:"max,omitempty"`
	KeepMillis int64 `json:"keep_ms,omitempty"`
}

// Kinds of what a node holds.
const (
	UsageLive    = "live"    // segments of jobs that have not ended
	UsageKept    = "kept"    // segments of ended jobs: results that may yet be read, and what equal queries reuse
	UsageCopies  = "copies"  // segments that other nodes made, for as long as their jobs need them
	UsageRecords = "records" // of jobs, as their home replicas keep them
	UsageStaged  = "staged"  // files that jobs have written and not published, in folders beside their outputs
	UsageSpill   = "spill"   // what DuckDB has put aside
)
