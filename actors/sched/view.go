package sched

// StageStatus is the progress of one stage. Tasks = Waiting + Running + Done.
type StageStatus struct {
	Index   int
	Name    string
	Tasks   int
	Waiting int // not running: for inputs, a slot, or the end of a backoff
	Running int
	Done    int
	Reused  int // of Done, found already made
	Failed  int // attempts that failed
	Retries int // attempts beyond the first of their task
	// Of the winning attempts, together.
	Rows, RawBytes, Bytes int64
	Spilled, CPUMillis    int64
	// Of the running attempts, as last told by Progress.
	RunningRows, RunningBytes int64
	Wanted                    bool // false: complete, or what it makes is not needed
}
