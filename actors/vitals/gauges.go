package vitals

import (
	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/metrics"
	"github.com/pondmesh/pond/mesh"
)

// Gauges is how the node stands, for its metrics.
func (v *Vitals) Gauges() metrics.Gauges {
	g := metrics.Gauges{
		Slots: v.Config.Slots, Running: int(v.Running()), MemoryLimit: v.Config.Memory, Ready: len(v.Unready()) == 0, Engines: metrics.Engines(v.Engines()),
		Coordinated: map[string]int{string(api.Queued): 0, string(api.Running): 0},
		Members:     map[string]int{mesh.Alive.String(): 0, mesh.Leaving.String(): 0},
		Stored:      map[string]int64{},
		DiskOK:      map[string]int64{}, DiskFree: map[string]int64{},
	}
	g.Connections, g.Refused = v.Connections()
	g.Waiting, g.JobsMax = v.Jobs.Waiting(), v.Config.JobsMax
	for state, n := range v.Jobs.States() {
		g.Coordinated[string(state)] = n
	}
	for _, k := range v.Usage().Kinds {
		g.Stored[k.Kind] = k.Bytes
	}
	_, g.StoredUploads = v.Disks.Usage()
	for _, s := range v.Disks.States() {
		if g.DiskOK[s.Dir] = 0; s.Err == nil {
			g.DiskOK[s.Dir], g.DiskFree[s.Dir] = 1, s.Free
		}
	}
	if !v.Up() {
		return g
	}
	g.Actors, g.Copies = v.Actors(), metrics.Copies(v.Copies())
	view := v.Peers.View()
	for _, m := range view.Members {
		g.Members[m.State.String()]++
	}
	all, missing := v.Keepers(view)
	g.Keepers, g.KeepersAlive = len(all), len(all)-len(missing)
	g.RegistersOK = v.Registers.Health() == nil
	return g
}
