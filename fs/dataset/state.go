package dataset

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/register"
	"github.com/pondmesh/pond/fs/repair"
	"github.com/pondmesh/pond/fs/replica"
)

// Bounds of a State, beside those of its ledger.
const (
	jobsMax  = 256
	jobMax   = 64 // bytes of a job's id
	leaseSep = "."
)

// State is what a dataset's register holds. The zero value is that of a dataset that
// never was. It is never changed in place.
type State struct {
	collect.Ledger
	// Jobs have published lately, the latest first: whoever goes on with a job that died
	// finds it here. At most jobsMax.
	Jobs []Job `json:"jobs,omitempty"`
	// Owner made the dataset: who may change it, with admins. Of one that is not there it
	// says nothing: the next who makes it owns it.
	Owner string `json:"owner,omitempty"`
}

// Writer is who changes a dataset.
type Writer struct {
	Name  string // of a user; empty: of nobody that is known
	Admin bool   // may change what others own
}

// Job is what came of one.
type Job struct {
	ID      string `json:"id"`
	Version uint64 `json:"version"`
}

// Errors of a State.
var (
	// ErrPublished: the job has done it, perhaps under another driver.
	ErrPublished = errors.New("the job has published")
	ErrNotFound  = errors.New("there is no such dataset or version")
	ErrDamaged   = errors.New("damaged")
	ErrNotOwner  = errors.New("the dataset is another user's")
)

// PublishedError is ErrPublished, with the version that the job made.
type PublishedError struct {
	Job     string
	Version uint64
}

func (e *PublishedError) Error() string {
	return fmt.Sprintf("job %s has published version %d", e.Job, e.Version)
}

func (e *PublishedError) Unwrap() error { return ErrPublished }

// May is ErrNotOwner if the dataset is there, and another's. One without an owner was made
// by an admin, who alone may have no name.
func (s *State) May(by Writer) error {
	if _, there := s.Current(); !there || by.Admin || s.Owner == by.Name {
		return nil
	}
	return fmt.Errorf("%w: %s owns it", ErrNotOwner, cmp.Or(s.Owner, "an admin"))
}

// LeasedTo reports whether a lease is one of a job.
func LeasedTo(lease, job string) bool { return strings.HasPrefix(lease, job+leaseSep) }

// Find is a version that can be read; 0 is the newest.
func (s *State) Find(version uint64) (collect.Version, error) {
	if version == 0 {
		if v, ok := s.Current(); ok {
			return v, nil
		}
		return collect.Version{}, ErrNotFound
	}
	i := slices.IndexFunc(s.Versions, func(v collect.Version) bool { return v.Number == version })
	switch {
	case i >= 0:
		return s.Versions[i], nil
	case s.Last == 0:
		return collect.Version{}, fmt.Errorf("%w: there is no dataset of this name", ErrNotFound)
	case version <= s.Last:
		return collect.Version{}, fmt.Errorf("%w: version %d is kept no longer; the newest is %d", ErrNotFound, version, s.Last)
	}
	return collect.Version{}, fmt.Errorf("%w: version %d; the newest is %d", ErrNotFound, version, s.Last)
}

// Published is the version that a job has made.
func (s *State) Published(job string) (version uint64, ok bool) {
	i := slices.IndexFunc(s.Jobs, func(j Job) bool { return j.ID == job })
	if i < 0 {
		return 0, false
	}
	return s.Jobs[i].Version, true
}

// Lease is that of a job which has one.
func (s *State) Lease(job string) (lease string, ok bool) {
	i := slices.IndexFunc(s.Leases, func(l collect.Lease) bool { return LeasedTo(l.ID, job) })
	if i < 0 {
		return "", false
	}
	return s.Leases[i].ID, true
}

// Begin is the state in which a job has a lease: the one that it has, or a new one, for
// which drawn makes a name that was never used. What was uploaded under an earlier lease
// of the job is of no use then. It is ErrPublished if the job has published.
func (s State) Begin(job, drawn string) (next State, lease string, err error) {
	if job == "" || len(job) > jobMax || strings.Contains(job, leaseSep) || drawn == "" || len(drawn) > jobMax {
		return s, "", fmt.Errorf("job %.80q, lease %.80q: no ids", job, drawn)
	}
	if version, ok := s.Published(job); ok {
		return s, "", &PublishedError{job, version}
	}
	if lease, ok := s.Lease(job); ok {
		return s, lease, nil
	}
	lease = job + leaseSep + drawn
	s.Ledger, err = s.Grant(lease)
	return s, lease, err
}

// Publish is the state with a manifest as the newest version, and its number. The job's
// lease ends. It is ErrPublished if the job has published, and collect.ErrCondemned if
// it has that lease no longer.
func (s State) Publish(job, lease string, manifest repair.ID, holders []replica.Node, now time.Time) (State, error) {
	if version, ok := s.Published(job); ok {
		return s, &PublishedError{job, version}
	}
	var err error
	if s.Ledger, err = s.Ledger.Publish(lease, manifest, holders, now); err != nil {
		return s, err
	}
	s.Jobs = append([]Job{{job, s.Last}}, s.Jobs...)
	s.Jobs = s.Jobs[:min(len(s.Jobs), jobsMax)]
	return s, nil
}

// Encode is the state as the value of its register.
func (s *State) Encode() ([]byte, error) {
	b, err := json.Marshal(s)
	if err == nil && len(b) > register.DataMax {
		err = fmt.Errorf("%w: a register's value of %d bytes", collect.ErrTooMany, len(b))
	}
	return b, err
}

// DecodeState is the state that a register's data encode; no data are those of a dataset
// that never was.
func DecodeState(data []byte) (s State, err error) {
	if len(data) == 0 {
		return s, nil
	}
	if len(data) > register.DataMax {
		return s, fmt.Errorf("%w: a state of %d bytes", ErrDamaged, len(data))
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return State{}, fmt.Errorf("%w: a state: %w", ErrDamaged, err)
	}
	for i, v := range s.Versions {
		if v.Number == 0 || v.Number > s.Last || i > 0 && v.Number <= s.Versions[i-1].Number {
			return State{}, fmt.Errorf("%w: a state with version %d behind others, of %d", ErrDamaged, v.Number, s.Last)
		}
	}
	return s, nil
}
