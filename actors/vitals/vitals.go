// Package vitals is how a node stands: what is wrong with it, what it holds on disk,
// what it counts for its metrics.
//
// It looks at the parts of a node that are there: while the node calls its peers, the
// membership and what comes after it are not looked at. What it says of other nodes is
// what they answer, or that they do not.
//
// It refuses to know the node, to ask any part for more than how it is, and to mend what
// it finds: who reads it does that.
//
// Read vitals.go, then usage.go and gauges.go.
package vitals

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/fair"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/process"
	"github.com/pondmesh/pond/actors/replicas"
	"github.com/pondmesh/pond/actors/setup"
	"github.com/pondmesh/pond/fs/disks"
	"github.com/pondmesh/pond/mesh"
)

// Vitals are those of one node: the parts that are looked at. They are safe for
// concurrent use. Fields are set before that and never changed, but for those of the
// second part, which may come up to the moment at which Up says that the node has joined.
type Vitals struct {
	Config      *setup.Config
	Up          func() bool  // the node has joined its pond
	Peers       *peers.Peers // its View is read once the node is up
	Store       Store        // of segments and records
	Keeper      Keeper
	Disks       Disks
	Segments    func() (live, kept, copies journal.Usage)
	Staged      func() (bytes, count int64) // of outputs that were opened here
	Jobs        Jobs
	Running     func() int64 // task attempts
	Engines     func() process.Stats
	Connections func() (open map[string]int, refused map[string]int64)
	Log         *slog.Logger

	// Read once the node is up.
	Self      func() mesh.Member
	Registers Registers
	Copies    func() replicas.Figures
	Actors    func() int // of users, that are active
}

// Store is a store of a node: see fs.Store.
type Store interface {
	Err() error  // it has failed
	Room() error // it is too full
	Usage() (bytes, count int64)
}

// Keeper is a node's keeper of registers: see fs.Keeper.
type Keeper interface{ Err() error }

// Disks are a node's: see disks.Disks.
type Disks interface {
	States() []disks.State
	Usage() (bytes, count int64)
}

// Jobs are those that a node drives: see jobs.Jobs.
type Jobs interface {
	Full(fair.Entrant) error
	Waiting() int
	States() map[api.State]int
}

// Registers are the pond's, as a node uses them: see registers.Registers.
type Registers interface {
	Health() error
	Keepers() []string
}

// Failed lists what only a restart of the node, or a hand on its machine, can mend.
func (v *Vitals) Failed() (out []api.Problem) {
	if err := v.Store.Err(); err != nil {
		out = append(out, api.Problem{Kind: api.StoreFailed, Text: err.Error()})
	}
	if err := v.Keeper.Err(); err != nil {
		out = append(out, api.Problem{Kind: api.KeeperFailed, Text: err.Error()})
	}
	return out
}

// Unready lists what keeps the node from taking jobs, or from running their tasks.
func (v *Vitals) Unready() []api.Problem {
	out := v.Failed()
	if err := v.Store.Room(); err != nil {
		out = append(out, api.Problem{Kind: api.DiskFull, Text: err.Error()})
	}
	if !v.Up() {
		return append(out, api.Problem{Kind: api.NotJoined, Text: "none of its peers has answered yet"})
	}
	if v.Self().State == mesh.Leaving {
		out = append(out, api.Problem{Kind: api.IsLeaving, Text: "the node takes no more work, and ends when what needs it has ended"})
	}
	if err := v.Jobs.Full(fair.Entrant{}); err != nil {
		out = append(out, api.Problem{Kind: api.QueueFull, Text: plan.AsError(err).Text})
	}
	if p := v.Undecided(); p != nil {
		out = append(out, *p)
	}
	return out
}

// Undecided is what keeps the node from the registers, without which no job begins, is
// taken over or ends; nil if nothing is known to.
func (v *Vitals) Undecided() *api.Problem {
	if err := v.Registers.Health(); err != nil {
		return &api.Problem{Kind: api.NoRegisters, Text: err.Error()}
	}
	all, missing := v.Keepers(v.Peers.View())
	if 2*len(missing) < len(all) {
		return nil
	}
	return &api.Problem{Kind: api.NoMajority, Text: fmt.Sprintf("%d of %d nodes that keep registers are seen here; missing: %s", len(all)-len(missing), len(all), strings.Join(missing, ", "))}
}

// Keepers are the nodes that keep registers, and those of them that are not in a view.
func (v *Vitals) Keepers(view *mesh.View) (all, missing []string) {
	all = v.Registers.Keepers()
	for _, k := range all {
		if _, alive := view.Find(mesh.NodeID(k)); !alive {
			missing = append(missing, k)
		}
	}
	return all, missing
}
