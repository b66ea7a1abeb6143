package actors

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/distribute"
)

// check has DuckDB bind a query that is not planned, so that mistakes are told at
// once, in an engine that can run it then. One that was found right is not checked
// again over the same files.
func (n *Node) check(ctx context.Context, q *distribute.Query, files []plan.File, job *compiledJob) error {
	key := queryKey(q, "", files)
	if _, ok := n.checked.get(key); ok {
		return nil
	}
	e, err := n.engines.Get(ctx, engines.ForStage(job.plan.Stages[0], job.access, n.engines.Config.SlotMemory(), n.engines.Config.Threads(engines.AllCores)))
	if err != nil {
		return engines.Error("open DuckDB", err)
	}
	defer n.engines.Put(e)
	if _, err = bound(ctx, e, q.SQL, q.Views); err == nil {
		n.checked.put(key, struct{}{}, 0)
	}
	return err
}

// queryKey is a query, the optimizers that are off, and its files as they are.
func queryKey(q *distribute.Query, off string, files []plan.File) memoKey {
	key := fmt.Appendf(nil, "%q %q %q", q.SQL, q.Views, off)
	for _, f := range files {
		key = fmt.Appendf(key, " %q %d %d", f.Path, f.Size, f.ModTime)
	}
	return sha256.Sum256(key)
}
