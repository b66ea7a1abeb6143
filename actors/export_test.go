package actors

// Forget has the node's worker drop every job, as it does when it has lost sight
// of their coordinators.
func (n *Node) Forget() { n.wire.System().Root.Send(n.worker, &abandonMsg{}) }

// CloseStore has whatever this node would store fail.
func (n *Node) CloseStore() error { return n.store.Close() }
