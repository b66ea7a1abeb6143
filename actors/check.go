package actors

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/plan/dist"
	"github.com/pondmesh/pond/actors/plan/logical"
)

// check has DuckDB bind a query that is not planned, so that mistakes are told at
// once. One that was found right is not checked again over the same files.
func (n *Node) check(ctx context.Context, q *dist.Query, files []plan.File) error {
	key := checkKey(q, files)
	if n.checked.has(key) {
		return nil
	}
	e, err := n.engines.Get(ctx, planning(q.Access, logical.OptimizerTries()[0]))
	if err != nil {
		return engineError("open DuckDB", err)
	}
	defer n.engines.Put(e)
	if _, err = bound(ctx, e, q.SQL, q.Views); err == nil {
		n.checked.add(key)
	}
	return err
}

// checkedMax is how many queries a node remembers to be right.
const checkedMax = 1000

// checked are queries that are right, by checkKey.
type checked struct {
	mu   sync.Mutex
	keys map[[sha256.Size]byte]bool
}

// checkKey is a hash of a query, its views, and its files as they are.
func checkKey(q *dist.Query, files []plan.File) [sha256.Size]byte {
	text := fmt.Sprintf("%q %q", q.SQL, q.Views)
	for _, f := range files {
		text += fmt.Sprintf(" %q %d %d", f.Path, f.Size, f.ModTime)
	}
	return sha256.Sum256([]byte(text))
}

func (c *checked) has(key [sha256.Size]byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.keys[key]
}

// add remembers a query; when there are too many, it forgets all others.
func (c *checked) add(key [sha256.Size]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.keys) >= checkedMax || c.keys == nil {
		c.keys = map[[sha256.Size]byte]bool{}
	}
	c.keys[key] = true
}
