package scenario

import (
	"time"

	"github.com/pondmesh/pond/fs/faults"
)

// Injected says what Inject does, at which point of the node.
type Injected struct {
	Point  faults.Point  `yaml:"point" json:"point,omitempty"`
	What   faults.Action `yaml:"what" json:"what,omitempty"`
	Skip   Count         `yaml:"skip" json:"skip,omitzero"`      // so often the point is passed first
	Times  int           `yaml:"times" json:"times,omitempty"`   // it happens so often at most; 0: once
	Chance int           `yaml:"chance" json:"chance,omitempty"` // in percent; 0: certainly
}

// Order is the fault as it is armed at a node. seed settles what Chance draws.
func (f *Fault) Order(seed uint64) faults.Order {
	o := faults.Order{Point: f.Point, Do: f.What, Skip: f.Skip.Min, Times: max(f.Times, 1), Chance: f.Chance, Late: time.Duration(f.Late).Milliseconds()}
	if f.Chance > 0 {
		o.Seed = seed
	}
	return o
}

// Deadly says whether the fault ends the node's process by itself.
func (f *Fault) Deadly() bool {
	return f.Do == Inject && (f.What == faults.Crash || f.What == faults.Torn)
}

func (f *Fault) validateInject() error {
	if f.Do != Inject {
		if f.Injected != (Injected{}) {
			return mistake(f.line, "point, what, skip, times and chance are of inject")
		}
		return nil
	}
	o := f.Order(0)
	if err := o.Check(); err != nil {
		return mistake(f.line, "%v", err)
	}
	if f.Skip.Min < 0 || f.Skip.Max < f.Skip.Min {
		return mistake(f.line, "skip: %d to %d is no count", f.Skip.Min, f.Skip.Max)
	}
	return nil
}
