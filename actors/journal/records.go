package journal

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs"
)

// kindJob marks a job record's upload in the store.
const kindJob = "job"

// endedRecordsMax is how many ended jobs a node remembers; older ones go first.
const endedRecordsMax = 1000

// Records are the jobs for which this node is a home replica: their specs, stored
// durably before the submitter is told that they are taken, and how they ended. A
// newer version of a record is a new upload; the older one is deleted after the
// newer is durable.
type Records struct {
	store    Store
	bytesMax int64 // of ended jobs' records, as far as others leave room
	log      *slog.Logger

	mu    sync.Mutex
	jobs  map[plan.JobID]*recordEntry
	bytes int64 // sum of size over jobs
}

// recordEntry is the newest version of a record: upload holds its bytes. rec is
// never changed.
type recordEntry struct {
	rec    *api.Record
	upload fs.UploadID
	size   int64
}

// OpenRecords reads the records of the store. Beyond 1,000 records or bytesMax bytes the
// oldest of ended jobs are deleted; 0: no bound of bytes. A crash may leave several versions of
// a record: it keeps the newest and deletes the others. It deletes damaged ones
// too: a job's other home replicas keep theirs.
func OpenRecords(store Store, bytesMax int64, log *slog.Logger) (*Records, error) {
	r := &Records{store: store, bytesMax: bytesMax, log: log, jobs: map[plan.JobID]*recordEntry{}}
	for info, err := range store.List(kindJob) {
		if err != nil {
			return nil, fmt.Errorf("journal: list job records: %w", err)
		}
		rec, err := r.read(info)
		if err != nil {
			log.Warn("a job record cannot be read: its other home replicas answer for the job", "upload", info.ID, "dropped", !passes(err), "err", err)
			if !passes(err) {
				_ = store.Delete(info.ID)
			}
			continue
		}
		old := r.jobs[rec.Spec.ID]
		if old != nil && !newer(rec, old.rec) {
			_ = store.Delete(info.ID)
			continue
		}
		if old != nil {
			_ = store.Delete(old.upload)
		}
		r.set(rec, info)
	}
	return r, nil
}

func (r *Records) read(info fs.Info) (*api.Record, error) {
	b := info.Attrs
	if info.Size > 0 {
		rd, err := r.store.Reader(info.ID)
		if err != nil {
			return nil, err
		}
		defer rd.Close()
		b = make([]byte, rd.Size())
		if _, err := rd.ReadAt(b, 0); err != nil {
			return nil, err
		}
	}
	rec := new(api.Record)
	if err := json.Unmarshal(b, rec); err != nil {
		return nil, err
	}
	if rec.Spec == nil || rec.Spec.ID == "" {
		return nil, fmt.Errorf("record without a job")
	}
	return rec, nil
}

// newer reports whether a replaces b: an ended job's record wins, then the term, then
// what is known of its wait. That a
// job without files failed is not put to the vote: a later term, which may know better,
// wins over it.
func newer(a, b *api.Record) bool {
	switch {
	case a.Status != nil && b.Status == nil:
		return a.Status.State == api.Succeeded || a.Term >= b.Term
	case a.Status == nil && b.Status != nil:
		return b.Status.State != api.Succeeded && a.Term > b.Term
	}
	return a.Term > b.Term || a.Term == b.Term && a.Status == nil && a.Wait > b.Wait
}

// Put makes rec durable, unless a newer version is here already. A record of another
// job by the same id is refused: an error that is plan.ErrExists.
func (r *Records) Put(rec *api.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.jobs[rec.Spec.ID]
	if old != nil {
		if err := rec.Spec.Same(old.rec.Spec); err != nil {
			return err
		}
	}
	if old != nil && !newer(rec, old.rec) {
		return nil
	}
	b, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("journal: encode the record of job %s: %w", rec.Spec.ID, err)
	}
	info, err := r.write(b)
	if err != nil {
		return StorageError(fmt.Errorf("journal: record job %s: %w", rec.Spec.ID, err))
	}
	r.set(rec, info)
	var stale []fs.UploadID
	if old != nil {
		stale = append(stale, old.upload)
	}
	r.remove(append(stale, r.forget(time.Time{})...))
	return nil
}

// write makes a record's bytes durable: as an upload's facts, which costs a third of
// what a file does, if they are short enough. It is what a short statement waits for.
func (r *Records) write(b []byte) (fs.Info, error) {
	if len(b) <= fs.AttrsMax {
		return r.store.Note(kindJob, b, true)
	}
	u, err := r.store.Create(kindJob)
	if err != nil {
		return fs.Info{}, err
	}
	if _, err := u.Write(b); err != nil {
		u.Abort()
		return fs.Info{}, err
	}
	return u.Commit(nil, true)
}

// set makes a record the one of its job; the lock is held.
func (r *Records) set(rec *api.Record, info fs.Info) {
	if old := r.jobs[rec.Spec.ID]; old != nil {
		r.bytes -= old.size
	}
	size := info.Size + int64(len(info.Attrs))
	r.bytes += size
	r.jobs[rec.Spec.ID] = &recordEntry{rec: rec, upload: info.ID, size: size}
}

func (r *Records) remove(ids []fs.UploadID) {
	if len(ids) == 0 {
		return
	}
	if err := r.store.Delete(ids...); err != nil {
		r.log.Warn("deleting old job records", "err", err)
	}
}

// Reclaim forgets the jobs that ended before a time, and returns how many.
func (r *Records) Reclaim(before time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.forget(before)
	r.remove(old)
	return len(old)
}

// forget drops the oldest ended records beyond the bounds, and those that ended before
// a time, unless it is zero; the lock is held.
func (r *Records) forget(before time.Time) []fs.UploadID {
	var out []fs.UploadID
	drop := func(e *recordEntry) {
		r.bytes -= e.size
		delete(r.jobs, e.rec.Spec.ID)
		out = append(out, e.upload)
	}
	if !before.IsZero() {
		for _, e := range r.jobs {
			if e.rec.Status != nil && e.rec.Status.Ended < before.UnixMilli() {
				drop(e)
			}
		}
	}
	for len(r.jobs) > endedRecordsMax || r.bytesMax > 0 && r.bytes > r.bytesMax {
		oldest := r.oldest() // of few beyond a bound, mostly one
		if oldest == nil {
			break
		}
		drop(oldest)
	}
	return out
}

// oldest is the record of the job that ended first; nil if none has. The lock is held.
func (r *Records) oldest() (first *recordEntry) {
	for _, e := range r.jobs {
		if e.rec.Status != nil && (first == nil || e.rec.Status.Ended < first.rec.Status.Ended) {
			first = e
		}
	}
	return first
}

// Get is the record of a job; nil when none is kept here. It must not be changed.
func (r *Records) Get(id plan.JobID) *api.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.jobs[id]; e != nil {
		return e.rec
	}
	return nil
}

// Open is the records of jobs that have not ended. They must not be changed.
func (r *Records) Open() []*api.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*api.Record
	for _, e := range r.jobs {
		if e.rec.Status == nil {
			out = append(out, e.rec)
		}
	}
	return out
}

// List is every record kept here. They must not be changed.
func (r *Records) List() []*api.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]*api.Record, 0, len(r.jobs))
	for _, e := range r.jobs {
		out = append(out, e.rec)
	}
	return out
}
