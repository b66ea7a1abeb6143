package pond

import (
	"context"
	"os"
)

// Node is a member of a pond that lives in this process, and a Session on it.
type Node struct {
	*Session
	n   member
	tmp string // the data folder when none was given: removed at the end
}

// member is a node started by Join. It is an interface so that programs that only
// Connect do without DuckDB.
type member interface {
	Addr() string
	ID() string
	Done() <-chan struct{}
	Leave(context.Context) error
	Close() error
}

// Addr is the node's base address, to be given to others as a peer.
func (n *Node) Addr() string { return n.n.Addr() }

// ID is the node's identity, kept in its data folder.
func (n *Node) ID() string { return n.n.ID() }

// Done is closed when the node has stopped.
func (n *Node) Done() <-chan struct{} { return n.n.Done() }

// Leave drains the node, tells the others, and stops it. ctx cuts the draining
// short.
func (n *Node) Leave(ctx context.Context) error {
	n.Session.Close()
	err := n.n.Leave(ctx)
	removeTemp(n.tmp)
	return public(err)
}

// Close stops the node at once: others will take it for dead.
func (n *Node) Close() error {
	n.Session.Close()
	err := n.n.Close()
	removeTemp(n.tmp)
	return public(err)
}

func removeTemp(dir string) {
	if dir != "" {
		os.RemoveAll(dir) // of this process alone; what cannot be removed is in the system's temporary folder
	}
}
