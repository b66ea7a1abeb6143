package wire

import (
	"fmt"
	"net"
	"strconv"

	"google.golang.org/protobuf/proto"
)

// Validate checks everything about a message that can be checked without
// knowing the job: ids' shapes, counts, ranges. Its errors are ErrInvalid.
func Validate(m proto.Message) error {
	c := checker{}
	switch m := m.(type) {
	case *Ack:
	case *TaskError:
		c.taskError(m)
	case *Work:
		c.header(m.Header)
		c.addr("coordinator_addr", m.CoordinatorAddr)
		c.text("user", m.User, userBytesMax)
	case *Pull:
		c.header(m.Header)
		c.count("slots", int64(m.Slots), slotsMax)
		c.tasks("running", m.Running)
	case *Grant:
		c.header(m.Header)
		c.runs(m.Runs)
	case *Done:
		c.done(m)
	case *Failed:
		c.header(m.Header)
		c.task(m.Task)
		c.count("slots", int64(m.Slots), 1)
		if m.Error == nil {
			c.fail("error is missing")
		} else {
			c.taskError(m.Error)
		}
	case *Stop:
		c.header(m.Header)
		if m.Task != nil {
			c.task(m.Task)
		}
	case *Copy:
		c.header(m.Header)
		c.task(m.Task)
		c.segmentID(m.Segment)
		c.count("want", int64(m.Want), CopiesMax)
	case *Copied:
		c.header(m.Header)
		c.task(m.Task)
		c.segmentID(m.Segment)
		c.copies(m.Nodes)
	default:
		return fmt.Errorf("%w: %T is not of this protocol", ErrInvalid, m)
	}
	if c.problem != "" {
		return fmt.Errorf("%w: %s: %s", ErrInvalid, typeOf(m), c.problem)
	}
	return nil
}

// checker remembers the first problem.
type checker struct{ problem string }

func (c *checker) fail(format string, args ...any) {
	if c.problem == "" {
		c.problem = fmt.Sprintf(format, args...)
	}
}

func (c *checker) count(name string, n, most int64) {
	if n < 0 || n > most {
		c.fail("%s is %d, not within 0 and %d", name, n, most)
	}
}

// sizes takes names and numbers in turn.
func (c *checker) sizes(pairs ...any) {
	for i := 0; i < len(pairs); i += 2 {
		if n := pairs[i+1].(int64); n < 0 {
			c.fail("%s is negative: %d", pairs[i], n)
		}
	}
}

func (c *checker) text(name, s string, most int) {
	if len(s) > most {
		c.fail("%s has %d bytes, more than %d", name, len(s), most)
	}
}

func (c *checker) id(name, s string, most int) {
	if s == "" || len(s) > most {
		c.fail("%s has %d bytes, not 1 to %d", name, len(s), most)
		return
	}
	for _, b := range []byte(s) {
		if !(b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '-' || b == '_') {
			c.fail("%s %q has other characters than letters, digits, - and _", name, s)
			return
		}
	}
}

func (c *checker) addr(name, s string) {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" || len(s) > addrBytesMax {
		c.fail("%s is not host:port", name)
		return
	}
	if p, err := strconv.ParseUint(port, 10, 16); err != nil || p == 0 {
		c.fail("%s has no port number", name)
	}
}

func (c *checker) header(h *Header) {
	if h == nil {
		c.fail("header is missing")
		return
	}
	if len(h.Job) != jobIDBytes {
		c.fail("job has %d characters, not %d", len(h.Job), jobIDBytes)
		return
	}
	for _, b := range []byte(h.Job) {
		if !(b >= '0' && b <= '9' || b >= 'a' && b <= 'f') {
			c.fail("job %q is not in lower-case hex", h.Job)
			return
		}
	}
	c.text("to_boot", h.ToBoot, nodeBytesMax)
	c.sizes("deadline_unix_ms", h.DeadlineUnixMs)
}

func (c *checker) task(t *Task) {
	if t == nil {
		c.fail("task is missing")
		return
	}
	c.id("stage_id", t.StageId, stageIDBytesMax)
	c.count("stage", int64(t.Stage), stagesMax)
	c.count("partition", int64(t.Partition), partitionsMax)
	c.count("attempt", int64(t.Attempt), attemptsMax)
	if t.Attempt == 0 {
		c.fail("attempt is 0: attempts count from 1")
	}
}

func (c *checker) tasks(name string, ts []*Task) {
	c.count(name, int64(len(ts)), RunningMax)
	for _, t := range ts {
		c.task(t)
	}
}

func (c *checker) runs(runs []*Run) {
	c.count("runs", int64(len(runs)), RunsMax)
	for _, r := range runs {
		if r == nil {
			c.fail("run is missing")
			return
		}
		c.task(r.Task)
		c.sizes("memory", r.Memory, "spec_version", r.SpecVersion)
	}
}

func (c *checker) segment(s *Segment) {
	if s == nil {
		c.fail("segment is missing")
		return
	}
	c.segmentID(s.Id)
	c.sizes("rows", s.Rows, "raw_bytes", s.RawBytes, "bytes", s.Bytes)
	c.count("partitions", int64(s.Partitions), partitionsMax)
	c.partitions("partition_bytes", s, s.PartitionBytes)
	c.partitions("partition_rows", s, s.PartitionRows)
	c.copies(s.Copies)
}

func (c *checker) segmentID(id []byte) {
	if len(id) != segmentIDBytes {
		c.fail("segment id has %d bytes, not %d", len(id), segmentIDBytes)
	}
}

func (c *checker) copies(nodes []string) {
	c.count("copies", int64(len(nodes)), CopiesMax)
	for _, n := range nodes {
		c.text("a copy's node", n, nodeBytesMax)
	}
}

// partitions checks a segment's values of each of its partitions.
func (c *checker) partitions(name string, s *Segment, values []int64) {
	n := len(values)
	c.count(name, int64(n), PartitionsInlineMax)
	switch {
	case s.StatsInline && n != int(s.Partitions):
		c.fail("%s has %d entries for %d partitions", name, n, s.Partitions)
	case !s.StatsInline && n != 0:
		c.fail("%s has %d entries though stats_inline is not set", name, n)
	}
	for _, v := range values {
		c.sizes(name, v)
	}
}

func (c *checker) done(m *Done) {
	c.header(m.Header)
	c.task(m.Task)
	if m.Segment != nil {
		c.segment(m.Segment)
	}
	if f := m.Files; f != nil {
		c.id("files' manifest", f.Manifest, nodeBytesMax)
		c.sizes("files' count", f.Count, "files' rows", f.Rows, "files' bytes", f.Bytes)
	}
	c.sizes("spill_bytes", m.SpillBytes, "cpu_ms", m.CpuMs)
	c.count("slots", int64(m.Slots), 1)
}

func (c *checker) taskError(e *TaskError) {
	c.count("kind", int64(e.Kind), 255)
	c.text("op", e.Op, nodeBytesMax)
	c.text("subject", e.Subject, errorSubjectBytesMax)
	c.text("node", e.Node, nodeBytesMax)
	c.text("text", e.Text, ErrorTextBytesMax)
	c.text("hint", e.Hint, errorSubjectBytesMax)
	c.count("lost", int64(len(e.Lost)), StageIDsMax)
	n := 0
	for _, l := range e.Lost {
		c.id("a lost stage_id", l.GetStageId(), stageIDBytesMax)
		n += len(l.GetPartitions())
		for _, p := range l.GetPartitions() {
			c.count("a lost partition", int64(p), partitionsMax)
		}
	}
	c.count("lost partitions", int64(n), LostPartitionsMax)
}

// validateEnvelope checks all of an envelope but its payload.
func validateEnvelope(e *Envelope) error {
	c := checker{}
	switch e.Kind {
	case Envelope_SEND, Envelope_CALL, Envelope_REPLY, Envelope_ERROR:
	default:
		c.fail("unknown kind %d", int32(e.Kind))
	}
	c.id("from_node", e.FromNode, nodeBytesMax)
	c.id("from_boot", e.FromBoot, nodeBytesMax)
	c.addr("from_addr", e.FromAddr)
	if len(e.Payload) > MessageBytesMax {
		c.fail("payload has %d bytes, more than %d", len(e.Payload), MessageBytesMax)
	}
	if c.problem != "" {
		return fmt.Errorf("%w: envelope: %s", ErrInvalid, c.problem)
	}
	return nil
}
