package journal

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs"
)

// Adopt takes a segment that came from the node that made it, for as long as its job is
// open here: see Unpin.
func (s *Segments) Adopt(info fs.Info) (plan.JobID, error) {
	var h api.Held
	if err := json.Unmarshal(info.Attrs, &h); err != nil {
		return "", fmt.Errorf("journal: the facts of segment %s: %w", info.ID, err)
	}
	if err := h.Job.Check(); err != nil || !h.Copy || h.Stage == "" {
		return "", fmt.Errorf("journal: segment %s is no copy of a job's: %w", info.ID, fs.ErrInvalid)
	}
	h.Segment, h.Bytes = info.ID.String(), info.Size
	s.Pin(h.Job, h.Stage)
	s.add(h)
	return h.Job, nil
}

// Facts are those of a segment that is here.
func (s *Segments) Facts(stage plan.StageID, segment string) (h api.Held, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.byStage[stage], func(h api.Held) bool { return h.Segment == segment })
	if i < 0 {
		return h, false
	}
	return s.byStage[stage][i], true
}

// Claim keeps the copies that are here of a job's segments while it is open.
func (s *Segments) Claim(job plan.JobID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for stage := range s.copies[job] {
		s.pin(job, stage)
	}
}

// copyKeep is how long a copy waits for its job to be heard of, after a start of the node.
const copyKeep = 5 * time.Minute

// unheard reports whether a copy has waited for so long.
func (s *Segments) unheard(h api.Held) bool {
	return time.Since(time.UnixMilli(h.Created)) >= copyKeep && time.Since(s.opened) >= copyKeep
}

// idleCopies takes those copies of some stages out of the index that no open job uses
// and that hold no result which its client has yet to read; the lock is held.
func (s *Segments) idleCopies(stages []plan.StageID, which func(api.Held) bool) (out []fs.UploadID) {
	pinned, now := s.pinned(), time.Now()
	for _, stage := range stages {
		hs := s.byStage[stage]
		if pinned[stage] || fresh(hs, now) {
			continue
		}
		for _, h := range slices.Clone(hs) {
			id, err := fs.ParseUploadID(h.Segment)
			if err == nil && h.Copy && which(h) {
				s.forget(stage, h.Segment)
				out = append(out, id)
			}
		}
	}
	return out
}
