package layout

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/pondmesh/pond/fs/replica"
)

// text is a layout in columns: versions differ by few members, so that each name stands
// there once.
type text struct {
	Numbers []uint64       `json:"numbers,omitempty"` // of versions
	Copies  []int          `json:"copies,omitempty"`
	Nodes   []replica.Node `json:"nodes,omitempty"` // members of any version; one whose zone differs between them is there twice
	Zones   []string       `json:"zones,omitempty"` // each once
	Zone    []int          `json:"zone,omitempty"`  // of each node: an index into Zones
	Seen    []uint64       `json:"seen,omitempty"`  // of each node
	Synced  []uint64       `json:"synced,omitempty"`
	Weights [][]float64    `json:"weights,omitempty"` // of each version, of each node; -1: it is no member
}

// row is what of a member is the same in all versions.
type row struct {
	node replica.Node
	zone string
}

// MarshalJSON implements json.Marshaler.
func (l Layout) MarshalJSON() ([]byte, error) { return json.Marshal(l.text()) }

func (l *Layout) text() text {
	var t text
	rows, zones := map[row]int{}, map[string]int{}
	for _, v := range l.Versions {
		for _, m := range v.Members {
			r := row{m.Node, m.Zone}
			if _, ok := rows[r]; ok {
				continue
			}
			if _, ok := zones[m.Zone]; !ok {
				zones[m.Zone] = len(t.Zones)
				t.Zones = append(t.Zones, m.Zone)
			}
			rows[r] = len(t.Nodes)
			a := l.Acks[m.Node]
			t.Nodes, t.Zone = append(t.Nodes, m.Node), append(t.Zone, zones[m.Zone])
			t.Seen, t.Synced = append(t.Seen, a.Seen), append(t.Synced, a.Synced)
		}
	}
	for _, v := range l.Versions {
		weights := slices.Repeat([]float64{-1}, len(t.Nodes))
		for _, m := range v.Members {
			weights[rows[row{m.Node, m.Zone}]] = m.Weight
		}
		t.Numbers, t.Copies, t.Weights = append(t.Numbers, v.Number), append(t.Copies, v.Copies), append(t.Weights, weights)
	}
	return t
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *Layout) UnmarshalJSON(data []byte) error {
	var t text
	if err := json.Unmarshal(data, &t); err != nil {
		return err
	}
	next, err := t.layout()
	if err != nil {
		return err
	}
	*l = next
	return nil
}

func (t *text) layout() (l Layout, err error) {
	versions, nodes := len(t.Numbers), len(t.Nodes)
	if versions > versionsMax || len(t.Copies) != versions || len(t.Weights) != versions ||
		nodes > versionsMax*membersMax || len(t.Zone) != nodes || len(t.Seen) != nodes || len(t.Synced) != nodes {
		return l, fmt.Errorf("%w: its columns differ in length, or are too many", ErrInvalid)
	}
	l.Acks = map[replica.Node]Ack{}
	for i, n := range t.Nodes {
		if z := t.Zone[i]; z < 0 || z >= len(t.Zones) {
			return Layout{}, fmt.Errorf("%w: zone %d of %d", ErrInvalid, z, len(t.Zones))
		}
		l.Acks[n] = Ack{t.Seen[i], t.Synced[i]}
	}
	for i, number := range t.Numbers {
		v, err := t.version(i)
		if err != nil {
			return Layout{}, err
		}
		if i > 0 && number <= t.Numbers[i-1] {
			return Layout{}, fmt.Errorf("%w: version %d follows %d", ErrInvalid, number, t.Numbers[i-1])
		}
		l.Versions = append(l.Versions, v)
	}
	return l, nil
}

func (t *text) version(i int) (v Version, err error) {
	if len(t.Weights[i]) != len(t.Nodes) {
		return v, fmt.Errorf("%w: %d weights of %d nodes", ErrInvalid, len(t.Weights[i]), len(t.Nodes))
	}
	v = Version{Number: t.Numbers[i], Copies: t.Copies[i]}
	for j, w := range t.Weights[i] {
		if w != -1 {
			v.Members = append(v.Members, Member{t.Nodes[j], t.Zones[t.Zone[j]], w})
		}
	}
	slices.SortFunc(v.Members, func(a, b Member) int { return compare(a.Node, b.Node) })
	v.ranks = ranked(v.Members)
	return v, check(v.Copies, v.Members)
}

// largest is how many bytes the layout's text has when all nodes have come to the newest
// version.
func (l Layout) largest() int {
	all := map[replica.Node]Ack{}
	for _, v := range l.Versions {
		for _, m := range v.Members {
			all[m.Node] = Ack{l.newest(), l.newest()}
		}
	}
	l.Acks = all
	b, err := l.MarshalJSON()
	if err != nil {
		panic(err) // of texts and finite numbers only
	}
	return len(b)
}
