package mesh

import "slices"

// rebuild publishes a view if anything changed. Only Join and then run call it.
func (m *Mesh) rebuild() {
	m.mu.Lock()
	b, self := m.boot, m.self
	m.mu.Unlock()
	var members []Member
	if b != nil {
		members = b.members()
	}
	old := m.view.Load()
	v := newView(old, members)
	if v == old {
		return
	}
	if old != nil {
		m.note(old, v, b)
	}
	m.view.Store(v)
	if old != nil {
		close(old.superseded)
	}
	if me, ok := v.Find(self.ID); ok && me.Boot > self.Boot {
		m.log.Error("mesh: another process goes by this node's id", "node", me.ID, "addr", me.GossipAddr())
	}
}

// note logs the changes and keeps track of lost nodes. b may be nil.
func (m *Mesh) note(old, v *View, b *boot) {
	found := make(map[string]bool)
	for _, n := range v.Members {
		found[n.GossipAddr()] = true
		was, ok := old.Find(n.ID)
		switch {
		case !ok:
			m.log.Info("mesh: node joined", "node", n.ID, "boot", n.Boot, "addr", n.GossipAddr())
		case was.Boot != n.Boot:
			m.log.Info("mesh: node restarted", "node", n.ID, "boot", n.Boot, "addr", n.GossipAddr())
		case was.State != n.State:
			m.log.Info("mesh: node changed", "node", n.ID, "state", n.State)
		}
	}
	var lost []string
	for _, n := range old.Members {
		if _, ok := v.Find(n.ID); ok {
			continue
		}
		if b != nil && b.left(n) {
			m.log.Info("mesh: node left", "node", n.ID, "boot", n.Boot)
			continue
		}
		m.log.Warn("mesh: node lost", "node", n.ID, "boot", n.Boot, "addr", n.GossipAddr())
		lost = append(lost, n.GossipAddr())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lost = remember(m.lost, lost, found)
}

// lostMax bounds the addresses of lost members that are remembered.
const lostMax = 64

// remember adds the newly lost addresses to lost, removes those found, and
// forgets the oldest beyond lostMax. Each address is kept once.
func remember(lost, newly []string, found map[string]bool) []string {
	for _, addr := range newly {
		if !slices.Contains(lost, addr) {
			lost = append(lost, addr)
		}
	}
	lost = slices.DeleteFunc(lost, func(addr string) bool { return found[addr] })
	return lost[max(0, len(lost)-lostMax):]
}
