package sandbox

// processCalls start processes, on this architecture.
var processCalls = []string{"fork", "vfork"}
