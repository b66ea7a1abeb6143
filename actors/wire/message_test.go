package wire

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/pondmesh/pond/actors/plan"
)

func task() *Task {
	return &Task{StageId: strings.Repeat("ab", stageIDBytesMax/2), Stage: stagesMax, Partition: partitionsMax, Attempt: attemptsMax, Lineage: math.MaxUint64}
}

func segment(partitions int) *Segment {
	s := &Segment{Id: make([]byte, segmentIDBytes), Rows: 10, RawBytes: 300, Bytes: 100, Partitions: int32(partitions), Sum: math.MaxUint64}
	if s.StatsInline = partitions <= PartitionsInlineMax; s.StatsInline {
		s.PartitionBytes, s.PartitionRows = make([]int64, partitions), make([]int64, partitions)
		for i := range s.PartitionBytes {
			s.PartitionBytes[i], s.PartitionRows[i] = math.MaxInt64-int64(i), math.MaxInt64
		}
	}
	return s
}

// samples has one valid message a type, as full as its bounds let it be: whatever
// validates can be sent.
func samples() []proto.Message {
	runs, running, lost := []*Run{}, []*Task{}, []*Lost{}
	for range RunsMax {
		runs = append(runs, &Run{Task: task(), Memory: math.MaxInt64, SpecVersion: math.MaxInt64, Threads: math.MaxInt32})
	}
	for range RunningMax {
		running = append(running, task())
	}
	for i := range StageIDsMax {
		l := &Lost{StageId: fmt.Sprintf("%0*d", stageIDBytesMax, i)}
		for range LostPartitionsMax / StageIDsMax {
			l.Partitions = append(l.Partitions, partitionsMax)
		}
		lost = append(lost, l)
	}
	files := &Files{Manifest: strings.Repeat("m", nodeBytesMax), Count: math.MaxInt64, Rows: math.MaxInt64, Bytes: math.MaxInt64}
	failure := &TaskError{Kind: 255, Op: strings.Repeat("o", nodeBytesMax), Subject: strings.Repeat("s", errorSubjectBytesMax),
		Node: strings.Repeat("n", nodeBytesMax), Text: strings.Repeat("t", ErrorTextBytesMax), Hint: strings.Repeat("h", errorSubjectBytesMax), Lost: lost}
	return []proto.Message{
		&Ack{}, failure, &Work{Header: header(), CoordinatorAddr: "[::1]:7947", User: strings.Repeat("u", userBytesMax), Small: true},
		&Pull{Header: header(), Slots: slotsMax, Running: running, Small: true}, &Grant{Header: header(), Runs: runs},
		&Done{Header: header(), Task: task(), Segment: segment(PartitionsInlineMax), Files: files, CpuMs: 5, Slots: 1},
		&Failed{Header: header(), Task: task(), Error: failure, Slots: 1}, &Stop{Header: header()}, &Stop{Header: header(), Task: task()},
		&Copy{Header: header(), Task: task(), Segment: make([]byte, segmentIDBytes), Want: CopiesMax},
		&Copied{Header: header(), Task: task(), Segment: make([]byte, segmentIDBytes), Nodes: slices.Repeat([]string{strings.Repeat("n", nodeBytesMax)}, CopiesMax)},
	}
}

func TestMessagesComeBackEqual(t *testing.T) {
	seen := map[Type]bool{}
	for _, m := range samples() {
		typ, b, err := encode(m)
		if err != nil {
			t.Errorf("%T: %v", m, err)
			continue
		}
		back, err := decode(typ, b)
		if err != nil || !proto.Equal(m, back) {
			t.Errorf("%s of %d bytes came back as %v, %v", typ, len(b), back, err)
		}
		seen[typ] = true
	}
	for n, name := range Type_name {
		if !seen[Type(n)] && Type(n) != Type_NONE {
			t.Errorf("no sample of %s", name)
		}
	}
}

func TestValidateRefuses(t *testing.T) {
	done := func(f func(*Done)) *Done {
		d := &Done{Header: header(), Task: task(), Segment: segment(4), Files: &Files{Manifest: "a"}}
		f(d)
		return d
	}
	head := func(f func(*Header)) *Stop {
		h := header()
		f(h)
		return &Stop{Header: h}
	}
	of := func(f func(*Task)) *Done {
		k := task()
		f(k)
		return &Done{Header: header(), Task: k}
	}
	many := make([]*Task, RunningMax+1)
	for i := range many {
		many[i] = task()
	}
	for _, c := range []struct {
		msg  proto.Message
		want string
	}{
		{&Stop{}, "header is missing"},
		{head(func(h *Header) { h.Job = "j1" }), "job has 2 characters"},
		{head(func(h *Header) { h.Job = strings.Repeat("G", 32) }), "lower-case hex"},
		{head(func(h *Header) { h.ToBoot = strings.Repeat("x", 200) }), "to_boot has 200 bytes"},
		{head(func(h *Header) { h.DeadlineUnixMs = -1 }), "deadline_unix_ms is negative"},
		{&Done{Header: header()}, "task is missing"},
		{of(func(k *Task) { k.StageId = "" }), "stage_id has 0 bytes"},
		{of(func(k *Task) { k.StageId = "../etc" }), "other characters"},
		{of(func(k *Task) { k.StageId = strings.Repeat("x", 65) }), "stage_id has 65 bytes"},
		{of(func(k *Task) { k.Stage = -1 }), "stage is -1"},
		{of(func(k *Task) { k.Partition = -1 }), "partition is -1"},
		{of(func(k *Task) { k.Partition = partitionsMax + 1 }), "partition is 1048577"},
		{of(func(k *Task) { k.Attempt = 0 }), "attempts count from 1"},
		{&Work{Header: header(), CoordinatorAddr: "host"}, "not host:port"},
		{&Work{Header: header(), CoordinatorAddr: "host:0"}, "no port number"},
		{&Work{Header: header(), CoordinatorAddr: "host:99999"}, "no port number"},
		{&Work{Header: header(), CoordinatorAddr: "h:1", User: strings.Repeat("u", userBytesMax+1)}, "user has 513 bytes"},
		{&Pull{Header: header(), Slots: -1}, "slots is -1"},
		{&Pull{Header: header(), Running: many}, "running is 513"},
		{&Grant{Header: header(), Runs: []*Run{{}}}, "task is missing"},
		{&Grant{Header: header(), Runs: []*Run{{Task: task(), Memory: -1}}}, "memory is negative"},
		{&Grant{Header: header(), Runs: make([]*Run, RunsMax+1)}, "runs is 257"},
		{done(func(d *Done) { d.Segment.Id = d.Segment.Id[:15] }), "segment id has 15 bytes"},
		{done(func(d *Done) { d.Segment.Rows = -1 }), "rows is negative"},
		{done(func(d *Done) { d.Segment.PartitionBytes[2] = -1 }), "partition_bytes is negative"},
		{done(func(d *Done) { d.Segment.Partitions = 5 }), "4 entries for 5 partitions"},
		{done(func(d *Done) { d.Segment.StatsInline = false }), "stats_inline is not set"},
		{done(func(d *Done) { d.Segment.PartitionRows = make([]int64, PartitionsInlineMax+1) }), "partition_rows is 1025"},
		{done(func(d *Done) { d.Files.Manifest = "" }), "manifest has 0 bytes"},
		{done(func(d *Done) { d.Files.Manifest = "../x" }), "other characters"},
		{done(func(d *Done) { d.Files.Bytes = -1 }), "files' bytes is negative"},
		{done(func(d *Done) { d.SpillBytes = -1 }), "spill_bytes is negative"},
		{done(func(d *Done) { d.Slots = 2 }), "slots is 2"},
		{&Failed{Header: header(), Task: task(), Slots: -1}, "slots is -1"},
		{&Failed{Header: header(), Task: task()}, "error is missing"},
		{&Failed{Header: header(), Task: task(), Error: &TaskError{Kind: 256}}, "kind is 256"},
		{&TaskError{Text: strings.Repeat("x", ErrorTextBytesMax+1)}, "text has 16385 bytes"},
		{&TaskError{Lost: []*Lost{{StageId: "s", Partitions: make([]int32, LostPartitionsMax+1)}}}, "lost partitions is 4097"},
		{&TaskError{Lost: []*Lost{{StageId: "s", Partitions: []int32{-1}}}}, "a lost partition is -1"},
		{&Stop{Header: header(), Task: &Task{}}, "stage_id has 0 bytes"},
		{nil, "not of this protocol"},
		{&Header{}, "not of this protocol"},
	} {
		if err := Validate(c.msg); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%T: %v, want %q", c.msg, err, c.want)
		}
	}
}

// Any error can be sent, and what it says within bounds comes back.
func TestTaskErrorsFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string, most int) string {
			return rapid.Custom(func(t *rapid.T) string {
				return strings.Repeat(string(rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "text")), rapid.IntRange(0, most).Draw(t, "times"))
			}).Draw(t, name)
		}
		e := &plan.Error{
			Kind: plan.Kind(rapid.Uint8().Draw(t, "kind")),
			Op:   text("op", 50), Subject: text("subject", 500), Node: text("node", 50), Text: text("text", 5000), Hint: text("hint", 500),
		}
		stages := rapid.IntRange(1, 2*StageIDsMax).Draw(t, "stages")
		for i := range rapid.IntRange(0, 2*LostPartitionsMax).Draw(t, "lost") {
			e.Lost = append(e.Lost, plan.TaskID{Stage: plan.StageID(fmt.Sprintf("%064d", i%stages)), Partition: partitionsMax - i})
		}
		_, b, err := encode(ToProto(e))
		if err != nil {
			t.Fatalf("cannot be sent: %v", err)
		}
		m, err := decode(Type_TASK_ERROR, b)
		if err != nil {
			t.Fatal(err)
		}
		back := FromProto(m.(*TaskError))
		if back.Kind != e.Kind || !strings.HasPrefix(strings.ToValidUTF8(e.Text, "\uFFFD"), back.Text) {
			t.Fatalf("%v came back as %v", e, back)
		}
		lost := map[plan.TaskID]bool{}
		for _, id := range e.Lost {
			lost[id] = true
		}
		for _, id := range back.Lost {
			if !lost[id] {
				t.Fatalf("%v was not lost", id)
			}
		}
		if len(e.Lost) > 0 && len(back.Lost) == 0 {
			t.Fatal("nothing is lost any more")
		}
	})
}

func TestSmallErrorsComeBackEqual(t *testing.T) {
	e := &plan.Error{Kind: plan.KindFetch, Op: "fetch", Subject: "s", Node: "n", Text: "gone", Hint: "wait",
		Lost: []plan.TaskID{{Stage: "a", Partition: 1}, {Stage: "a", Partition: 2}, {Stage: "b", Partition: 1}}}
	if back := FromProto(ToProto(e)); !reflect.DeepEqual(e, back) {
		t.Errorf("%+v came back as %+v", e, back)
	}
	if ToProto(nil) != nil || FromProto(nil) != nil {
		t.Error("nil did not stay nil")
	}
	if k := FromProto(&TaskError{Kind: 1 << 20}).Kind; k != plan.KindInternal {
		t.Errorf("an impossible kind became %v", k)
	}
	id := plan.AttemptID{Task: plan.TaskID{Stage: "a", Partition: 5}, Attempt: 2}
	if back := NewTask(id, 9, 1).AttemptID(); back != id {
		t.Errorf("%v came back as %v", id, back)
	}
}

// FuzzEnvelope: whatever comes, opening it neither panics nor lets anything
// invalid through, and what it lets through can be sent on.
func FuzzEnvelope(f *testing.F) {
	for _, m := range samples() {
		typ, b, err := encode(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(marshal(f, &Envelope{Kind: Envelope_CALL, Id: 1, FromNode: "n", FromBoot: "b", FromAddr: "h:1", Type: typ, Payload: b}))
	}
	f.Add([]byte{})
	w := &Wire{conf: Config{Node: "n", Boot: "b"}}
	f.Fuzz(func(t *testing.T, b []byte) {
		var env Envelope
		if proto.Unmarshal(b, &env) != nil || validateEnvelope(&env) != nil {
			return
		}
		m, err := w.open(&env)
		if err != nil {
			if errors.Is(err, plan.ErrFenced) || errors.Is(err, plan.ErrDeadline) || errors.Is(err, ErrInvalid) || errors.Is(err, ErrTooLarge) {
				return
			}
			t.Fatalf("refused without a kind: %v", err)
		}
		if err := Validate(m); err != nil {
			t.Fatalf("let in: %v", err)
		}
		if te, ok := m.(*TaskError); ok {
			m = ToProto(FromProto(te))
		}
		// Re-encoding may be larger only where strings of the envelope got into
		// the header.
		if proto.Size(m)+2*nodeBytesMax > MessageBytesMax {
			return
		}
		if _, _, err := encode(m); err != nil {
			t.Fatalf("cannot be sent on: %v", err)
		}
	})
}
