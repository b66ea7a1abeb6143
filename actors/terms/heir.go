package terms

import (
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/mesh"
)

// DriverOf is a member as the driver of jobs.
func DriverOf(m mesh.Member) api.Driver { return api.Driver{Node: string(m.ID), Boot: string(m.Boot)} }

// Gone reports whether a driver does not drive any more: its node is not in the
// view, was started again, or is on its way out.
func Gone(v *mesh.View, d api.Driver) bool {
	m, ok := v.Find(mesh.NodeID(d.Node))
	return !ok || m.State != mesh.Alive || DriverOf(m) != d
}

// Turn is how many living nodes are to take the recorded job over before self does:
// those that stand before it among the job's homes. A node that is none of them
// comes after all. ok is false when self is not to take it over at all: it is
// leaving.
func Turn(v *mesh.View, rec *api.Record, self mesh.NodeID) (turn int, ok bool) {
	if m, here := v.Find(self); !here || m.State != mesh.Alive {
		return 0, false
	}
	for _, home := range rec.Homes {
		if home == string(self) {
			return turn, true
		}
		if m, here := v.Find(mesh.NodeID(home)); here && m.State == mesh.Alive {
			turn++
		}
	}
	return turn + 1, true // a home may be about to come back
}

// Times of taking jobs over.
const (
	TurnPause     = 3 * time.Second  // each home waits so long for those before it, and between two tries
	StartGrace    = 5 * time.Second  // a driver waits so long for the submitter to start the job
	CheckInterval = 20 * time.Second // a living driver is asked so often whether the job has ended
)

// Heir is what one node knows of a job that it keeps a record of and does not drive.
type Heir struct {
	driver api.Driver
	gone   time.Time // when the driver was seen to be gone, or a job of this node's own not to run; zero: it lives
	try    time.Time // no try to take it over before
	check  time.Time // no question to the living driver before
}

// NewHeir has just heard of the job. Times are a clock's that never goes back.
func NewHeir(rec *api.Record, now time.Time) *Heir {
	return &Heir{driver: rec.Driver, check: now.Add(CheckInterval)}
}

// Of reports whether the record names the driver that the heir waits for.
func (h *Heir) Of(rec *api.Record) bool { return h.driver == rec.Driver }

// Duty is what a node is to do about a job that it does not drive.
type Duty uint8

// Duties.
const (
	Wait     Duty = iota
	Ask           // the driver, which lives, whether the job has ended
	TakeOver      // the driver is gone, and it is this node's turn
)

// Due is what is to be done about the job now. It counts as begun.
func (h *Heir) Due(view *mesh.View, rec *api.Record, self mesh.NodeID, now time.Time) Duty {
	turn, ok := Turn(view, rec, self)
	own := rec.Driver.Node == string(self)
	if !own && !Gone(view, rec.Driver) {
		h.gone = time.Time{}
		if now.Before(h.check) {
			return Wait
		}
		h.check = now.Add(CheckInterval)
		return Ask
	}
	if h.gone.IsZero() {
		h.gone = now
	}
	wait := time.Duration(turn) * TurnPause
	if own && !Gone(view, rec.Driver) {
		wait = StartGrace
	}
	if !ok || now.Before(h.try) || now.Sub(h.gone) < wait {
		return Wait
	}
	h.try = now.Add(TurnPause)
	return TakeOver
}
