package register

// listing is the keys that keepers hold, told by each in pages.
type listing struct {
	after map[KeeperID]Key // the last key that was told
	keys  map[Key]bool     // that were told
}

// newListing begins with keys that are known.
func newListing(known ...Key) listing {
	l := listing{map[KeeperID]Key{}, map[Key]bool{}}
	for _, k := range known {
		l.keys[k] = true
	}
	return l
}

// listed notes a page of a keeper's keys, and reports whether it was the last.
func (l *listing) listed(r Reply) bool {
	if r.Key != l.after[r.From] {
		return false // an old one, that came twice
	}
	for _, k := range r.Keys {
		l.keys[k], l.after[r.From] = true, k
	}
	return !r.More
}
