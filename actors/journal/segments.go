package journal

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/shuffle"
)

// kindSegment marks a segment's upload in the store.
const kindSegment = "segment"

// Bounds.
const (
	heldSegmentsPerAsk = 1 << 20          // facts in one answer; more are made again
	resultKeep         = 10 * time.Minute // a result stays readable at least so long
	evictShare         = 16               // of what may be kept, one part goes beyond what has to
	evictPause         = time.Second      // after a look at all that is here, if too little could go
)

// Segments are the committed segments that this node still holds. The store is the
// truth; the index in memory is rebuilt from it at start. It is safe for
// concurrent use, and a [transfer.Source].
type Segments struct {
	store    Store
	cacheMax int64 // bytes kept of stages that no open job uses
	log      *slog.Logger

	mu      sync.Mutex
	byStage map[plan.StageID][]api.Held          // every segment in the store, once; no empty list
	bytes   int64                                // sum of Held.Bytes over byStage
	copies  map[plan.JobID]map[plan.StageID]int  // how many of Held.Copy there are in byStage; no zero
	full    time.Time                            // until then no job's end has anything evicted, unless left is much
	left    int64                                // bytes that jobs have left since the last look at what may go
	inUse   map[plan.JobID]map[plan.StageID]bool // stages of open jobs: never evicted
	waiters []chan struct{}                      // closed and dropped once inUse is empty
	open    map[shuffle.SegmentID]*openSegment   // at most openSegmentsMax
	clock   int64                                // counts calls of Open
	opened  time.Time
	reads   reads
}

// OpenSegments reads the segments of the store. Beyond cacheMax bytes the oldest
// segments that no open job uses are deleted. The caller ends it with Close,
// before the store.
func OpenSegments(store Store, cacheMax int64, log *slog.Logger) (*Segments, error) {
	s := &Segments{store: store, cacheMax: cacheMax, log: log, opened: time.Now(),
		byStage: map[plan.StageID][]api.Held{},
		copies:  map[plan.JobID]map[plan.StageID]int{},
		inUse:   map[plan.JobID]map[plan.StageID]bool{},
		open:    map[shuffle.SegmentID]*openSegment{},
		reads:   reads{}}
	for info, err := range store.List(kindSegment) {
		if err != nil {
			return nil, fmt.Errorf("journal: list segments: %w", err)
		}
		var h api.Held
		if err := json.Unmarshal(info.Attrs, &h); err != nil {
			log.Warn("dropping a segment with unreadable facts", "segment", info.ID, "err", err)
			_ = store.Delete(info.ID)
			continue
		}
		h.Segment, h.Bytes = info.ID.String(), info.Size
		s.add(h)
	}
	return s, nil
}

func (s *Segments) add(h api.Held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byStage[h.Stage] = append(s.byStage[h.Stage], h)
	s.count(h, 1)
}

// count notes that so many segments like h came, or went; the lock is held.
func (s *Segments) count(h api.Held, n int) {
	s.bytes += int64(n) * h.Bytes
	if !h.Copy {
		return
	}
	of := s.copies[h.Job]
	if of == nil {
		of = map[plan.StageID]int{}
		s.copies[h.Job] = of
	}
	if of[h.Stage] += n; of[h.Stage] == 0 {
		delete(of, h.Stage)
	}
	if len(of) == 0 {
		delete(s.copies, h.Job)
	}
}

// Draft is a segment being written, by one goroutine at a time. It is invisible
// until Commit.
type Draft interface {
	io.Writer
	// Commit makes the draft a segment of this node, and returns its facts with its
	// id and size.
	Commit(h api.Held) (api.Held, error)
	// Abort leaves nothing behind; after Commit it does nothing.
	Abort()
}

// Shared is a draft that another process writes, all of it, by way of File. The caller
// closes the file, and then has the draft Adopt what was written.
type Shared interface {
	Draft
	File() (*os.File, error)
	// Room says whether the disk is too full to go on.
	Room() error
	Adopt(fs.Sums) error
}

// Create begins a segment. The caller writes its bytes and ends it with Commit or
// Abort.
func (s *Segments) Create() (Draft, error) { return s.Share() }

// Share begins a segment that another process writes.
func (s *Segments) Share() (Shared, error) {
	u, err := s.store.Create(kindSegment)
	if err != nil {
		return nil, StorageError(err)
	}
	return &draft{s: s, Upload: u}, nil
}

type draft struct {
	s *Segments
	Upload
}

// Commit does not fsync: a segment can be computed again, and a crash of the
// machine costs a rerun.
func (d *draft) Commit(h api.Held) (api.Held, error) {
	facts, err := json.Marshal(h)
	if err != nil {
		return h, fmt.Errorf("journal: encode the facts of a segment: %w", err)
	}
	info, err := d.Upload.Commit(facts, false)
	if err != nil {
		return h, StorageError(err)
	}
	h.Segment, h.Bytes = info.ID.String(), info.Size
	d.s.add(h)
	return h, nil
}

func (d *draft) Abort() { _ = d.Upload.Abort() } // the next start clears the remains

// Held lists the segments of some stages that are here.
func (s *Segments) Held(stages []plan.StageID) []api.Held {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []api.Held{}
	for _, id := range stages {
		out = append(out, s.byStage[id]...)
		if len(out) > heldSegmentsPerAsk {
			return out[:heldSegmentsPerAsk]
		}
	}
	return out
}

// Usage sums up segments.
type Usage struct{ Bytes, Count int64 }

// Usage is the segments of stages that open jobs use, the others, and copies of what other
// nodes made.
func (s *Segments) Usage() (live, kept, copies Usage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pinned := s.pinned()
	for id, hs := range s.byStage {
		u := &kept
		if pinned[id] {
			u = &live
		}
		for _, h := range hs {
			to := u
			if h.Copy {
				to = &copies
			}
			to.Bytes += h.Bytes
			to.Count++
		}
	}
	return live, kept, copies
}

// pinned are the stages that open jobs use; the lock is held.
func (s *Segments) pinned() map[plan.StageID]bool {
	out := map[plan.StageID]bool{}
	for _, stages := range s.inUse {
		for id := range stages {
			out[id] = true
		}
	}
	return out
}

// Pin keeps the segments of a job's stages while the job is open.
func (s *Segments) Pin(job plan.JobID, stage plan.StageID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pin(job, stage)
}

// pin is Pin; the lock is held.
func (s *Segments) pin(job plan.JobID, stage plan.StageID) {
	if s.inUse[job] == nil {
		s.inUse[job] = map[plan.StageID]bool{}
	}
	s.inUse[job][stage] = true
}

// Unpin ends a job's hold, closes the segments that no open job has a use for, and
// evicts copies of the job and of what it used, and the oldest segments beyond the cache's bound.
func (s *Segments) Unpin(job plan.JobID) {
	s.mu.Lock()
	used := s.inUse[job]
	delete(s.inUse, job)
	s.closeIdle()
	if len(s.inUse) == 0 {
		for _, ch := range s.waiters {
			close(ch)
		}
		s.waiters = nil
	}
	s.left += s.sum(used)
	stages := slices.AppendSeq(slices.Collect(maps.Keys(s.copies[job])), maps.Keys(used))
	victims := append(s.idleCopies(stages, func(h api.Held) bool { return h.Job == job || used[h.Stage] }), s.evict(time.Time{})...)
	s.mu.Unlock()
	s.remove(victims)
}

// sum is the bytes of some stages' segments; the lock is held.
func (s *Segments) sum(stages map[plan.StageID]bool) (n int64) {
	for id := range stages {
		for _, h := range s.byStage[id] {
			n += h.Bytes
		}
	}
	return n
}

// Reclaim evicts what no open job uses beyond the cache's bound, copies, and stages of
// which every segment was made before a time. It returns how many segments that were.
func (s *Segments) Reclaim(before time.Time) int {
	s.mu.Lock()
	victims := append(s.idleCopies(slices.Collect(maps.Keys(s.byStage)), s.unheard), s.evict(before)...)
	s.mu.Unlock()
	s.remove(victims)
	return len(victims)
}

// evict takes segments out of the index if they are too much, until the rest fits with
// some room, and those of stages that ended before a time, unless it is zero; the lock is
// held. It looks at all that is here, and jobs may end by the hundred a second: between two
// looks much has come, or time has passed.
func (s *Segments) evict(before time.Time) []fs.UploadID {
	now, most := time.Now(), s.cacheMax
	if s.bytes > most {
		most -= most / evictShare
	}
	if before.IsZero() && (s.bytes <= most || now.Before(s.full) && s.left <= s.cacheMax/evictShare) {
		return nil
	}
	s.left = 0
	pinned := s.pinned()
	type stageAge struct {
		id   plan.StageID
		last int64
	}
	var order []stageAge
	for id, hs := range s.byStage {
		if !pinned[id] && !fresh(hs, now) {
			newest := slices.MaxFunc(hs, func(a, b api.Held) int { return cmp.Compare(a.Created, b.Created) })
			order = append(order, stageAge{id, newest.Created})
		}
	}
	slices.SortFunc(order, func(a, b stageAge) int { return cmp.Compare(a.last, b.last) })
	var out []fs.UploadID
	for _, st := range order {
		if s.bytes <= most && (before.IsZero() || st.last >= before.UnixMilli()) {
			break
		}
		for _, h := range s.byStage[st.id] {
			s.count(h, -1)
			if id, err := fs.ParseUploadID(h.Segment); err == nil {
				out = append(out, id)
			}
		}
		delete(s.byStage, st.id)
	}
	if s.bytes > most {
		s.full = now.Add(evictPause)
	}
	return out
}

// fresh reports whether hs may be a result that its client has yet to read: such
// are in one partition.
func fresh(hs []api.Held, now time.Time) bool {
	return slices.ContainsFunc(hs, func(h api.Held) bool {
		return h.Partitions <= 1 && now.Sub(time.UnixMilli(h.Created)) < resultKeep
	})
}

// Drop removes one segment: a losing attempt's.
func (s *Segments) Drop(stage plan.StageID, segment string) {
	s.mu.Lock()
	_, ok := s.forget(stage, segment)
	s.mu.Unlock()
	if id, err := fs.ParseUploadID(segment); ok && err == nil {
		s.remove([]fs.UploadID{id})
	}
}

// forget takes a segment out of the index; the lock is held.
func (s *Segments) forget(stage plan.StageID, segment string) (h api.Held, ok bool) {
	hs := s.byStage[stage]
	i := slices.IndexFunc(hs, func(h api.Held) bool { return h.Segment == segment })
	if i < 0 {
		return h, false
	}
	h = hs[i]
	s.count(h, -1)
	if s.byStage[stage] = slices.Delete(hs, i, i+1); len(s.byStage[stage]) == 0 {
		delete(s.byStage, stage)
	}
	return h, true
}

func (s *Segments) remove(ids []fs.UploadID) {
	if len(ids) == 0 {
		return
	}
	s.mu.Lock()
	for _, id := range ids {
		if o := s.open[shuffle.SegmentID(id)]; o != nil {
			delete(s.open, shuffle.SegmentID(id))
			s.release(o)
		}
	}
	s.mu.Unlock()
	if err := s.store.Delete(ids...); err != nil {
		s.log.Warn("deleting segments", "count", len(ids), "err", err)
	}
}

// Released is closed once no open job has a segment here.
func (s *Segments) Released() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := make(chan struct{})
	if len(s.inUse) == 0 {
		close(ch)
	} else {
		s.waiters = append(s.waiters, ch)
	}
	return ch
}

func (s *Segments) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, o := range s.open {
		delete(s.open, id)
		s.release(o)
	}
}
