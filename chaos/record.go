package chaos

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pondmesh/pond/chaos/scenario"
	"github.com/pondmesh/pond/fs/faults"
)

// Verdict is what a run has shown.
type Verdict string

const (
	OK      Verdict = "ok"
	Wrong   Verdict = "wrong"   // the answer is not DuckDB's
	Failed  Verdict = "failed"  // the job ended with an error
	Hung    Verdict = "hung"    // it had not ended in time
	Unclean Verdict = "unclean" // the pond did not become whole again, something was left over, or an invariant is broken
	Invalid Verdict = "invalid" // a fault never fired: nothing is shown
	Broken  Verdict = "broken"  // the run itself could not be made
)

// Bad says whether the verdict is one against the pond.
func (v Verdict) Bad() bool { return v == Wrong || v == Failed || v == Hung || v == Unclean }

// Record is one run: a line of JSON in a file of records. Times are in milliseconds.
type Record struct {
	When    time.Time      `json:"when"`
	Version string         `json:"version"`
	Plan    *scenario.Plan `json:"plan"`
	Verdict Verdict        `json:"verdict"`
	Error   string         `json:"error,omitempty"`
	Job     string         `json:"job,omitempty"` // its id
	Took    int64          `json:"took_ms"`       // from its first fault-free status to its end
	Plain   int64          `json:"plain_ms"`      // the same job without faults, on the same pond
	Fired   []Fired        `json:"fired,omitempty"`
	// Planted are errors put into the answer before it was compared, Caught those that
	// the comparison saw.
	Planted int `json:"planted,omitempty"`
	Caught  int `json:"caught,omitempty"`
}

// Fired is a fault that happened.
type Fired struct {
	Do       scenario.Action `json:"do"`
	Who      scenario.Target `json:"who"`
	Point    faults.Point    `json:"point,omitempty"` // of inject, as What
	What     faults.Action   `json:"what,omitempty"`
	Node     int             `json:"node"` // index; -1: all
	At       int64           `json:"at_ms"`
	Recovery int64           `json:"recovery_ms"` // until the job was heard to go on
}

// Kind is what the fault is counted as.
func (f Fired) Kind() string {
	if f.Do == scenario.Inject {
		return string(f.What) + " at " + string(f.Point)
	}
	return string(f.Do) + " " + string(f.Who)
}

// Write appends the record to a file of records.
func (r *Record) Write(w io.Writer) error {
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("chaos: record: %w", err)
	}
	if _, err := w.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("chaos: record: %w", err)
	}
	return nil
}

// recordBytesMax bounds a line of a file of records.
const recordBytesMax = 4 << 20

// ReadRecords reads a file of records. Its errors name the line.
func ReadRecords(r io.Reader) ([]*Record, error) {
	var out []*Record
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, recordBytesMax)
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		rec := &Record{}
		err := json.Unmarshal(lines.Bytes(), rec)
		if err == nil && rec.Plan == nil {
			err = errors.New("it has no plan")
		}
		if err != nil {
			return nil, fmt.Errorf("chaos: record in line %d: %w", n, err)
		}
		out = append(out, rec)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("chaos: records: %w", err)
	}
	return out, nil
}
