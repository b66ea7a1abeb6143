package chaos

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pondmesh/pond/chaos/scenario"
	"github.com/pondmesh/pond/chaos/sim"
)

// Simulated is the shipped scenario of simulated nodes.
const Simulated = "sim"

// simulate carries a plan out on simulated nodes, in simulated time. logs is a folder
// with what happened, unless the verdict is OK or Invalid.
func simulate(o SiteOptions, p *scenario.Plan) (r *Record, logs string, err error) {
	r = &Record{When: time.Now().UTC().Truncate(time.Second), Version: o.Version, Plan: p}
	got := sim.Run(p.Seed, sim.Options{Nodes: p.Setup.Nodes})
	r.Took = got.Stats.Millis
	for _, s := range got.Strikes {
		r.Fired = append(r.Fired, Fired{Do: scenario.Action(s.Kind), Who: "simulated", Node: s.Node, At: s.At, Recovery: s.Recovery})
	}
	switch {
	case got.Err != nil:
		r.Verdict, r.Error = simulated(got.Err), got.Err.Error()
	case len(r.Fired) == 0:
		r.Verdict, r.Error = Invalid, ErrNotFired.Error()
	default:
		r.Verdict = OK
	}
	if !r.Verdict.Bad() {
		return r, "", nil
	}
	logs = filepath.Join(o.Dir, fmt.Sprintf("logs-%d", p.Seed))
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return nil, "", err
	}
	trace := sim.Run(p.Seed, sim.Options{Nodes: p.Setup.Nodes, Trace: true}).Trace
	return r, logs, os.WriteFile(filepath.Join(logs, "trace.txt"), []byte(strings.Join(trace, "\n")+"\n"), 0o644)
}

// simulated is what an error of a simulated run means.
func simulated(err error) Verdict {
	switch {
	case errors.Is(err, sim.ErrDiffers):
		return Wrong
	case errors.Is(err, sim.ErrFailed):
		return Failed
	case errors.Is(err, sim.ErrHung):
		return Hung
	}
	return Unclean
}
