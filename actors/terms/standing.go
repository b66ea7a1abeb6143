package terms

import (
	"encoding/json"
	"fmt"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
)

// Decision is what has been decided of a job, for all terms.
type Decision string

// Decisions. From None all others may follow, from Publish an end; an end stays.
const (
	None      Decision = ""
	Publish   Decision = "publish"   // its files may be published: it is not cancelled any more
	Succeeded Decision = "succeeded" // its files are published, and the job is over
	Failed    Decision = "failed"    // the job is over
	Cancelled Decision = "cancelled" // the job is over
)

// Ended reports whether the job is over.
func (d Decision) Ended() bool { return d == Succeeded || d == Failed || d == Cancelled }

// Standing is the value of a job's register.
type Standing struct {
	Term     uint64     `json:"term"` // never goes back
	Driver   api.Driver `json:"driver"`
	Decision Decision   `json:"decision,omitempty"`
	Rows     int64      `json:"rows,omitempty"`  // of Publish and Succeeded
	Error    *api.Error `json:"error,omitempty"` // of an end, without its details
}

// first is the standing of a job whose register was never written.
func first(d api.Driver) Standing { return Standing{Term: 1, Driver: d} }

// raised is the standing under a new driver.
func (s Standing) raised(d api.Driver) Standing {
	s.Term, s.Driver = s.Term+1, d
	return s
}

// decided is the standing once the driver of a term has decided. It fails with
// plan.ErrFenced for every other driver, and when another decision stands.
func (s Standing) decided(term uint64, driver api.Driver, want Standing) (Standing, error) {
	switch {
	case s.Term != term || s.Driver != driver:
		return s, fenced("term %d of the job has passed to node %s, this is term %d", s.Term, s.Driver.Node, term)
	case s.Decision == want.Decision:
		return s, nil
	case s.Decision.Ended():
		return s, fenced("the job is over: it is %s", s.Decision)
	}
	want.Term, want.Driver = term, driver
	return want, nil
}

// same reports whether nothing has changed.
func (s Standing) same(o Standing) bool {
	return s.Term == o.Term && s.Driver == o.Driver && s.Decision == o.Decision
}

func fenced(format string, args ...any) *plan.Error {
	return &plan.Error{Kind: plan.KindFenced, Op: "drive", Subject: "job", Text: fmt.Sprintf(format, args...)}
}

// errorMax bounds the text of an end's error in the register, in bytes. The job's
// record has the whole.
const errorMax = 4 << 10

func (s Standing) encode() ([]byte, error) {
	if s.Error != nil {
		e := *s.Error
		e.Text, e.Hint = e.Text[:min(len(e.Text), errorMax)], e.Hint[:min(len(e.Hint), errorMax)]
		s.Error = &e
	}
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("terms: encode a standing: %w", err)
	}
	return b, nil
}

func decode(b []byte) (Standing, error) {
	var s Standing
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("terms: decode a standing: %w", err)
	}
	return s, nil
}
