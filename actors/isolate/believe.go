package isolate

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/process"
)

// What an engine process says is believed as far as it is about rows that the process has
// read itself: a crafted file may have taken it over. All else the node knows better, or
// looks at.
const (
	factMax   = 1 << 50   // of anything that is counted
	callMax   = 1 << 30   // bytes of one call, in a file
	schemaMax = 16 << 20  // bytes of a schema
	footerMax = 256 << 20 // bytes of footers that come together
)

func disbelieved(format string, args ...any) error {
	return &plan.Error{Kind: plan.KindInternal, Op: "run", Text: "an engine process says what cannot be: " + fmt.Sprintf(format, args...)}
}

// heldOf are the facts of a segment of so many bytes that an attempt has written.
func heldOf(told *api.Held, a exec.Attempt, packet *api.Packet, size int64) (api.Held, error) {
	h := api.Held{
		Stage: a.ID.Task.Stage, Index: a.Stage, Partition: a.ID.Task.Partition, Attempt: a.ID.Attempt,
		Job: a.Job, Owner: packet.Owner, Lineage: a.Lineage, Tasks: packet.Tasks, Created: time.Now().UnixMilli(),
		Rows: told.Rows, RawBytes: told.RawBytes, Sum: told.Sum,
		Partitions: told.Partitions, PartitionRows: told.PartitionRows, PartitionBytes: told.PartitionBytes,
	}
	most, n := max(packet.Stage().Exchange.Partitions, 1), len(h.PartitionRows)
	switch {
	case h.Rows < 0 || h.Rows > factMax || h.RawBytes < 0 || h.RawBytes > factMax:
		return h, disbelieved("a segment of %d rows in %d bytes", h.Rows, h.RawBytes)
	case h.Partitions < 1 || h.Partitions > most || n != len(h.PartitionBytes) || n != 0 && n != h.Partitions:
		return h, disbelieved("a segment of %d partitions, of which it counts %d, for %d", h.Partitions, n, most)
	case n > 0 && (!addsUp(h.PartitionRows, h.Rows, h.Rows) || !addsUp(h.PartitionBytes, 0, size)):
		return h, disbelieved("partitions that are not those of %d rows in %d bytes", h.Rows, size)
	}
	return h, nil
}

// addsUp reports whether the sum of what is counted lies within bounds.
func addsUp(list []int64, least, most int64) bool {
	sum := int64(0)
	for _, n := range list {
		if n < 0 || n > most-sum {
			return false
		}
		sum += n
	}
	return sum >= least
}

// end commits the segment of an attempt that took that long, or counts its files.
func (s *session) end(reply *runReply, took time.Duration) (out *exec.Outcome, err error) {
	told := &reply.Outcome
	out = &exec.Outcome{Spilled: min(max(told.Spilled, 0), factMax), CPU: min(max(told.CPU, 0), took*time.Duration(runtime.NumCPU()))}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.packet.Stage().Exchange.Write == nil {
		if out.Segment, err = s.commit(&told.Segment, reply.Sums); err != nil {
			return nil, err
		}
		return out, nil
	}
	dir := exec.AttemptDir(s.packet.Staging, s.a)
	f := told.Files
	if f.Manifest != filepath.Base(dir) || f.Count < 0 || f.Rows < 0 || f.Count > math.MaxInt32 || f.Rows > factMax {
		return nil, disbelieved("%d files with %d rows, listed in %.100q", f.Count, f.Rows, f.Manifest)
	}
	f.Bytes = exec.FolderBytes(dir)
	out.Files = f
	return out, s.m.Limits.CheckOutput(f.Bytes)
}

// received is what a process has packed: a message, or one file that can be read to its end.
func received(body []byte, files []*os.File) (io.ReadCloser, error) {
	if len(files) == 0 {
		return unpack(body, nil), nil
	}
	info, err := files[0].Stat()
	if err == nil && (len(files) > 1 || !info.Mode().IsRegular() || info.Size() > callMax) {
		err = disbelieved("a call in %d files, the first %v with %d bytes", len(files), info.Mode(), info.Size())
	}
	if err != nil {
		process.CloseAll(files)
		return nil, err
	}
	return bounded{io.LimitReader(files[0], info.Size()), files[0]}, nil
}

// bounded is the part of a file that was there, and the file.
type bounded struct {
	io.Reader
	io.Closer
}
