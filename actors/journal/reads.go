package journal

import (
	"context"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// readsMax is of how many jobs it is known when their rows were read; the one that was
// read last of all is known of longest.
const readsMax = 4096

// reads are when the rows of results were read here. The caller holds the lock of the
// Segments that they are of.
type reads map[plan.JobID]api.RowTimes

// note notes that rows of a job are being read, or were until now.
func (r reads) note(job plan.JobID, now int64) {
	t, known := r[job]
	if !known {
		t.First = now
		if len(r) >= readsMax {
			r.forget()
		}
	}
	t.Last = now
	r[job] = t
}

func (r reads) forget() {
	var oldest plan.JobID
	for id, t := range r {
		if oldest == "" || t.Last < r[oldest].Last {
			oldest = id
		}
	}
	delete(r, oldest)
}

// readFor is the job whose result a segment is opened for; empty: for none.
func readFor(ctx context.Context) plan.JobID {
	job := plan.JobID(transfer.ReadFor(ctx))
	if job == "" || job.Check() != nil {
		return ""
	}
	return job
}

// Read says when clients have read the rows of a job's result that are here.
func (s *Segments) Read(job plan.JobID) api.RowTimes {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads[job]
}

func (s *Segments) noteRead(job plan.JobID) {
	if job == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads.note(job, time.Now().UnixMilli())
}
