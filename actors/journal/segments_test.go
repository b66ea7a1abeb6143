package journal_test

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/duck/vec"
	"github.com/pondmesh/pond/duck/vec/vectest"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/shuffle"
	"github.com/pondmesh/pond/shuffle/transfer"
)

var quiet = slog.New(slog.DiscardHandler)

func openSegments(t *testing.T, s journal.Store, cacheMax int64) *journal.Segments {
	t.Helper()
	segs, err := journal.OpenSegments(s, cacheMax, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(segs.Close)
	return segs
}

// numbers is a column of integers.
var numbers = &vec.Schema{Fields: []vec.Field{{Name: "i", Type: &vec.Type{Kind: vec.Int64, SQL: "BIGINT"}}}}

// write commits a segment of rows 0, 1, 2, …, dealt to partitions in turn.
func write(t *testing.T, segs *journal.Segments, h api.Held, rows int) api.Held {
	t.Helper()
	d, err := segs.Create()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Abort()
	w, err := shuffle.NewWriter(d, shuffle.WriterConfig{Schema: numbers, Partitioner: shuffle.RoundRobin(max(h.Partitions, 1), 0)})
	if err != nil {
		t.Fatal(err)
	}
	values := make([][]any, rows)
	for i := range values {
		values[i] = []any{uint64(i)}
	}
	chunk, keep := vectest.Chunk(numbers, values)
	_ = keep
	if err := w.Append(chunk); err != nil {
		t.Fatal(err)
	}
	sum, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	h.Rows, h.Partitions = sum.Rows, len(sum.PartitionRows)
	if h.Created == 0 {
		h.Created = time.Now().UnixMilli()
	}
	if h, err = d.Commit(h); err != nil {
		t.Fatal(err)
	}
	return h
}

func segmentID(t *testing.T, h api.Held) shuffle.SegmentID {
	t.Helper()
	id, err := shuffle.ParseSegmentID(h.Segment)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// stages is the stages of which segs holds anything, of s0, s1, …
func stages(segs *journal.Segments, of int) string {
	var out []string
	for i := range of {
		id := plan.StageID(fmt.Sprint("s", i))
		if n := len(segs.Held([]plan.StageID{id})); n > 0 {
			out = append(out, fmt.Sprintf("%s:%d", id, n))
		}
	}
	return strings.Join(out, " ")
}

// What was committed is held, readable, and found again by the next start; what
// was not has never been.
func TestSegments(t *testing.T) {
	for name, store := range stores(t) {
		t.Run(name, func(t *testing.T) {
			segs := openSegments(t, store, 1<<30)
			d, err := segs.Create()
			if err != nil {
				t.Fatal(err)
			}
			_, _ = d.Write([]byte("half"))
			d.Abort()
			h := write(t, segs, api.Held{Stage: "s0", Partition: 3, Attempt: 2, Job: "j", Lineage: 7, Partitions: 3}, 10)
			if h.Bytes == 0 || h.Rows != 10 {
				t.Errorf("committed: %+v", h)
			}
			for range 2 { // before and after a restart
				got := segs.Held([]plan.StageID{"s1", "s0"})
				if len(got) != 1 || got[0].Segment != h.Segment || got[0].Bytes != h.Bytes || got[0].Partition != 3 || got[0].Attempt != 2 || got[0].Lineage != 7 {
					t.Errorf("held: %+v", got)
				}
				info, err := segs.Parts(t.Context(), segmentID(t, h))
				if err != nil || !slices.Equal(info.Rows, []int64{4, 3, 3}) || len(info.Bytes) != 3 {
					t.Errorf("parts: %+v, %v", info, err)
				}
				b, err := segs.Schema(t.Context(), segmentID(t, h))
				if err != nil {
					t.Fatal(err)
				}
				if s, err := shuffle.DecodeSchema(b); err != nil || s.Field(0).Name != "i" {
					t.Errorf("schema: %v, %v", s, err)
				}
				segs = openSegments(t, store, 1<<30)
			}
		})
	}
}

// readExtents checks that a partition's blocks are those of so many rows.
func readExtents(t *testing.T, s transfer.Segment, partition int, rows int64) {
	t.Helper()
	extents, err := s.Extents(partition)
	if err != nil {
		t.Fatal(err)
	}
	got := int64(0)
	for _, x := range extents {
		b := make([]byte, x.Length)
		if _, err := s.ReadAt(b, x.Offset); err != nil {
			t.Fatal(err)
		}
		h, err := shuffle.ParseBlockHeader(b)
		if err != nil {
			t.Fatal(err)
		}
		got += int64(h.Rows)
	}
	if got != rows {
		t.Errorf("partition %d has %d rows, want %d", partition, got, rows)
	}
}

// A segment that is open stays readable when it is dropped; afterwards it is gone.
func TestOpenSegment(t *testing.T) {
	for name, store := range stores(t) {
		t.Run(name, func(t *testing.T) {
			segs := openSegments(t, store, 1<<30)
			h := write(t, segs, api.Held{Stage: "s0", Partitions: 2}, 5)
			id := segmentID(t, h)
			s, err := segs.Open(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			again, err := segs.Open(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if f := s.File(); f != nil && f == again.File() {
				t.Error("two users move the position of one file")
			}
			segs.Drop("s0", "another")
			if stages(segs, 1) != "s0:1" {
				t.Errorf("held: %s", stages(segs, 1))
			}
			segs.Drop("s0", h.Segment)
			segs.Drop("s0", h.Segment)
			if stages(segs, 1) != "" || len(listed(t, store, "segment")) != 0 {
				t.Errorf("held after Drop: %s", stages(segs, 1))
			}
			readExtents(t, s, 0, 3)
			readExtents(t, s, 1, 2)
			readExtents(t, again, transfer.AllPartitions, 5)
			if _, err := s.Extents(2); !errors.Is(err, transfer.ErrGone) {
				t.Errorf("a partition that there is not: %v", err)
			}
			if err := errors.Join(s.Close(), s.Close(), again.Close()); err != nil {
				t.Error(err)
			}
			if _, err := segs.Open(t.Context(), id); !errors.Is(err, transfer.ErrGone) {
				t.Errorf("Open after Drop: %v", err)
			}
			if _, err := segs.Schema(t.Context(), id); !errors.Is(err, plan.ErrFetch) {
				t.Errorf("Schema after Drop: %v", err)
			}
			if _, err := segs.Parts(t.Context(), id); !errors.Is(err, plan.ErrFetch) {
				t.Errorf("Parts after Drop: %v", err)
			}
		})
	}
}

// Beyond the cache's bound the oldest stages go, whole, but never one of an open
// job, nor a result that its client may still be reading.
func TestEvict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(journal.Memory)
		segs := openSegments(t, store, 1)
		add := func(stage plan.StageID, partitions int) {
			time.Sleep(time.Second)
			write(t, segs, api.Held{Stage: stage, Partitions: partitions}, 4)
		}
		for i := range 4 {
			add(plan.StageID(fmt.Sprint("s", i)), 2)
		}
		gone := write(t, segs, api.Held{Stage: "s5", Partitions: 2}, 4)
		segs.Drop("s5", gone.Segment) // a stage of which nothing is left
		add("s4", 1)                  // a result
		segs.Pin("j1", "s1")
		segs.Pin("j2", "s1")
		segs.Pin("j2", "s2")
		segs.Unpin("j1")
		if got := stages(segs, 6); got != "s1:1 s2:1 s4:1" {
			t.Errorf("while s1 and s2 are in use: %s", got)
		}
		segs.Unpin("j2")
		if got := stages(segs, 6); got != "s4:1" {
			t.Errorf("while the result is new: %s", got)
		}
		segs.Unpin("j3") // which leaves nothing
		time.Sleep(time.Hour)
		segs.Unpin("j3")
		if got := stages(segs, 6); got != "" || store.Len() != 0 {
			t.Errorf("in the end: %s, %d uploads", got, store.Len())
		}
	})
}

// A cache with room keeps the newest. It evicts some more than it must.
func TestEvictOldestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			room float64 // for so many segments
			want string
		}{{4, "s0:1 s1:1 s2:1 s3:1"}, {3.5, "s1:1 s2:1 s3:1"}, {3, "s2:1 s3:1"}} {
			store := new(journal.Memory)
			first := write(t, openSegments(t, store, 0), api.Held{Stage: "s0", Partitions: 2}, 4)
			segs := openSegments(t, store, int64(test.room*float64(first.Bytes)))
			for i := 1; i < 4; i++ {
				time.Sleep(time.Second)
				write(t, segs, api.Held{Stage: plan.StageID(fmt.Sprint("s", i)), Partitions: 2}, 4)
			}
			segs.Unpin("j")
			if got := stages(segs, 4); got != test.want {
				t.Errorf("with room for %v, kept: %s", test.room, got)
			}
		}
	})
}

// While what may not go is too much, the ends of many jobs that leave little have it go.
func TestEvictLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(journal.Memory)
		first := write(t, openSegments(t, store, 0), api.Held{Stage: "s0", Partitions: 2}, 4)
		segs := openSegments(t, store, 32*first.Bytes)
		add := func(job plan.JobID, stage string) {
			write(t, segs, api.Held{Stage: plan.StageID(stage), Partitions: 2}, 4)
			segs.Pin(job, plan.StageID(stage))
		}
		for i := range 33 {
			add("open", fmt.Sprint("o", i))
		}
		for i := range 40 { // within a second
			job := plan.JobID(fmt.Sprint("j", i))
			add(job, string(job))
			segs.Unpin(job)
		}
		if n := store.Len(); n > 33+2+1 {
			t.Errorf("%d segments are kept", n)
		}
	})
}

// What was made before a time is reclaimed, unless an open job uses it or it may be a
// result that is being read; and what has become too much since.
func TestReclaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(journal.Memory)
		first := write(t, openSegments(t, store, 0), api.Held{Stage: "s0", Partitions: 2}, 4)
		segs := openSegments(t, store, 4*first.Bytes)
		for i := 1; i < 4; i++ {
			time.Sleep(time.Second)
			write(t, segs, api.Held{Stage: plan.StageID(fmt.Sprint("s", i)), Partitions: 1 + i%2}, 4)
		}
		segs.Pin("j", "s0")
		before := time.Now()
		if n := segs.Reclaim(time.Unix(0, 0)); n != 0 {
			t.Errorf("%d segments of a cache with room", n)
		}
		if n := segs.Reclaim(before); n != 1 || stages(segs, 4) != "s0:1 s2:1 s3:1" {
			t.Errorf("%d, left are %s", n, stages(segs, 4))
		}
		time.Sleep(time.Hour)
		if n := segs.Reclaim(before); n != 1 || stages(segs, 4) != "s0:1 s3:1" {
			t.Errorf("%d, left are %s", n, stages(segs, 4))
		}
	})
}

func TestReleased(t *testing.T) {
	segs := openSegments(t, new(journal.Memory), 1<<30)
	<-segs.Released() // nothing is in use
	segs.Pin("j1", "s0")
	segs.Pin("j2", "s0")
	released := segs.Released()
	segs.Unpin("j1")
	select {
	case <-released:
		t.Error("released while a job has a segment here")
	default:
	}
	segs.Unpin("j2")
	<-released
}

// More segments are open in turn than indexes are kept: each still reads right,
// those whose index was dropped too.
func TestManyOpen(t *testing.T) {
	segs := openSegments(t, new(journal.Memory), 1<<30)
	segs.Pin("j", "s0")
	first, err := segs.Open(t.Context(), segmentID(t, write(t, segs, api.Held{Stage: "s0"}, 1)))
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	for range 600 {
		s, err := segs.Open(t.Context(), segmentID(t, write(t, segs, api.Held{Stage: "s0"}, 2)))
		if err != nil {
			t.Fatal(err)
		}
		readExtents(t, s, 0, 2)
		s.Close()
	}
	readExtents(t, first, 0, 1)
}

// A full disk is told as such, and facts that cannot be read cost their segment
// alone.
func TestSegmentFaults(t *testing.T) {
	store := new(journal.Memory)
	segs := openSegments(t, store, 1<<30)
	write(t, segs, api.Held{Stage: "s0"}, 1)
	store.FailWith(fs.ErrNoSpace)
	if _, err := segs.Create(); !errors.Is(err, plan.ErrResource) {
		t.Errorf("Create on a full disk: %v", err)
	}
	store.FailWith(nil)
	d, err := segs.Create()
	if err != nil {
		t.Fatal(err)
	}
	store.FailWith(fs.ErrNoSpace)
	if _, err := d.Commit(api.Held{Stage: "s1"}); !errors.Is(err, plan.ErrResource) {
		t.Errorf("Commit on a full disk: %v", err)
	}
	store.FailWith(nil)
	commit(t, store, "segment", "text", "no facts")
	segs = openSegments(t, store, 1<<30)
	if got := stages(segs, 2); got != "s0:1" || store.Len() != 1 {
		t.Errorf("after a restart: %s, %d uploads", got, store.Len())
	}
}

// opens counts the readers of a store that are open.
type opens struct {
	journal.Store
	n int
}

type openReader struct {
	journal.Reader
	o *opens
}

func (o *opens) Reader(id fs.UploadID) (journal.Reader, error) {
	r, err := o.Store.Reader(id)
	if err != nil {
		return nil, err
	}
	o.n++
	return openReader{r, o}, nil
}

func (r openReader) Close() error {
	r.o.n--
	return r.Reader.Close()
}

// Files are open for jobs that run and for readers alone.
func TestNothingStaysOpen(t *testing.T) {
	store := &opens{Store: new(journal.Memory)}
	segs := openSegments(t, store, 1<<30)
	segs.Pin("a", "s0")
	segs.Pin("b", "s1")
	read := func(stage plan.StageID) shuffle.SegmentID {
		id := segmentID(t, write(t, segs, api.Held{Stage: stage}, 2))
		s, err := segs.Open(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		readExtents(t, s, 0, 2)
		s.Close()
		return id
	}
	for range 10 {
		read("s0")
		read("s1")
	}
	for _, c := range []struct {
		job  plan.JobID
		want int
	}{{"a", 10}, {"b", 0}} {
		if segs.Unpin(c.job); store.n != c.want {
			t.Errorf("%d files are open after job %s, want %d", store.n, c.job, c.want)
		}
	}
	if read("s0"); store.n != 0 {
		t.Errorf("%d files are open after a result was read", store.n)
	}
}
