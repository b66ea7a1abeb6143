package actors

import (
	"cmp"
	"time"

	"github.com/pondmesh/pond/mesh/delay"
)

// reclaimEvery is how often a node looks for what ended jobs have left for too long.
const reclaimEvery = time.Minute

// reclaim deletes what ended jobs have left for too long, or too much of it.
func (n *Node) reclaim() {
	for delay.For(n.ctx, min(reclaimEvery, cmp.Or(max(n.cfg.KeepFor, 0), reclaimEvery))) == nil {
		before := time.Unix(0, 0)
		if n.cfg.KeepFor > 0 {
			before = time.Now().Add(-n.cfg.KeepFor)
		}
		segments, records := n.segments.Reclaim(before), n.records.Reclaim(before)
		n.jobs.Forget(before)
		if segments+records > 0 {
			n.log.Info("what ended jobs left is deleted", "segments", segments, "records", records)
		}
	}
}
