package exec

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs"
)

// Limits bound what queries put on a node's disk, in bytes; 0: only the disk does.
type Limits struct {
	Spill  int64 // rows that one task spills at once; its Go functions may spool as much beside
	Result int64 // a job's result, as stored until its client has read it
	Output int64 // the files that a job writes
}

// Spilled is the error of a task that spills too much. Another node may allow more.
func (l Limits) Spilled() error {
	return &plan.Error{Kind: plan.KindResource, Op: "spill", Text: "a task spills more than the " + sizeText(l.Spill) + " that this node allows it (--spill-max)",
		Hint: "raise --spill-max, give nodes more --memory, or use more partitions"}
}

// CheckResult refuses a result, or a task's part of it, that is too large.
func (l Limits) CheckResult(bytes int64) error {
	if l.Result == 0 || bytes <= l.Result {
		return nil
	}
	return &plan.Error{Kind: plan.KindUser, Op: "run", Text: "the result is larger than the " + sizeText(l.Result) + " that this node allows (--result-max)",
		Hint: "write it to files with COPY, aggregate or LIMIT it, or have the nodes started with a larger --result-max"}
}

// CheckOutput refuses files, of a job or of a task, that are too large.
func (l Limits) CheckOutput(bytes int64) error {
	if l.Output == 0 || bytes <= l.Output {
		return nil
	}
	return &plan.Error{Kind: plan.KindUser, Op: "write", Text: "the files are larger than the " + sizeText(l.Output) + " that this node allows a job to write (--output-max)",
		Hint: "write less, or have the nodes started with a larger --output-max"}
}

func sizeText(n int64) string { return humanize.IBytes(uint64(n)) }

// IsResult says whether a packet's stage makes rows for the client, which are the
// result, rather than for other stages.
func IsResult(p *api.Packet) bool {
	return p.Job.Result.Write == nil && p.Index == len(p.Job.Stages)-1
}

// explain makes an error about the limit of what DuckDB says when it keeps to it.
func (l Limits) explain(err error) error {
	if l.Spill > 0 && err != nil && strings.Contains(plan.AsError(err).Text, "max_temp_directory_size") {
		return l.Spilled()
	}
	return err
}

// checkSpools refuses what a task's Go functions have spooled, if it is too much.
func (l Limits) checkSpools(spools []*spool) error {
	var bytes int64
	for _, s := range spools {
		bytes += s.size
	}
	if l.Spill > 0 && bytes > l.Spill {
		return l.Spilled()
	}
	return nil
}

// boundedDraft is a segment that takes no more bytes than a result may have.
type boundedDraft struct {
	journal.Draft
	limits  Limits
	written int64
}

func (d *boundedDraft) Write(p []byte) (int, error) {
	if err := d.limits.CheckResult(d.written + int64(len(p))); err != nil {
		return 0, err
	}
	n, err := d.Draft.Write(p)
	d.written += int64(n)
	return n, err
}

// OutputPause is the interval at which the files that a task writes are measured.
const OutputPause = 250 * time.Millisecond

// FolderBytes is the size of all files below dir. What disappears meanwhile has none.
func FolderBytes(dir string) int64 {
	bytes, _, _ := fs.DirUsage(dir) // of what cannot be looked at, nothing is known
	return bytes
}

// Every calls look again and again until it returns an error, with which it calls
// over, or until stop is called, which waits for look to end.
func Every(pause time.Duration, look func() error, over func(error)) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if err := look(); err != nil {
					over(err)
					return
				}
			case <-quit:
				return
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

// AttemptDir is the folder below a staging folder to which an attempt writes.
func AttemptDir(staging string, a Attempt) string { return filepath.Join(staging, attemptName(a)) }

func attemptName(a Attempt) string {
	return fmt.Sprintf("part-%05d-%.8s-%d", a.ID.Task.Partition, string(a.Job), a.ID.Attempt)
}
