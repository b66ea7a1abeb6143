package mesh

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/hashicorp/serf/serf"

	"github.com/pondmesh/pond/mesh/offers"
)

// NodeID names a node for as long as its data lasts: letters, digits, '.', '_'
// and '-', at most 64 of them.
type NodeID string

// BootID names one start of a node. Of two boots of a node the greater is the
// newer, as far as the node's clock can be trusted.
type BootID string

// State is the state that a node announces of itself.
type State uint8

// The states of a member. A node that died or left is no member.
const (
	Alive   State = iota
	Leaving       // still works, takes no new work
)

func (s State) String() string {
	if s == Leaving {
		return "leaving"
	}
	return "alive"
}

// Member is one live node. It is a plain value: equal members are ==.
type Member struct {
	ID   NodeID
	Boot BootID
	Host string // an IP address
	// Ports at Host: gossip (TCP and UDP), actors (gRPC), API and data (HTTP).
	Gossip, Actors, API int
	Zone, Version       string
	Slots               int        // tasks it can run at once
	Memory              int64      // bytes it gives to tasks
	Offers              offers.Set // Go functions and kinds of actors that its program has
	State               State
}

// GossipAddr is host:port of the gossip, which others name as a seed.
func (m Member) GossipAddr() string { return hostPort(m.Host, m.Gossip) }

// ActorsAddr is host:port of the actors.
func (m Member) ActorsAddr() string { return hostPort(m.Host, m.Actors) }

// APIAddr is host:port of the API and the data plane.
func (m Member) APIAddr() string { return hostPort(m.Host, m.API) }

func hostPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// name is the member's name in Serf. It is never used twice, since memberlist
// rejects a name that comes back at another address.
func (m Member) name() string { return string(m.ID) + "-" + string(m.Boot) }

// Tags a member gossips about itself; together at most 512 bytes.
const (
	tagNode    = "n"
	tagBoot    = "b"
	tagActors  = "a"
	tagAPI     = "h"
	tagZone    = "z"
	tagVersion = "v"
	tagSlots   = "s"
	tagMemory  = "m"
	tagOffers  = "o"
	tagState   = "t"
)

func (m Member) tags() map[string]string {
	return map[string]string{
		tagNode:    string(m.ID),
		tagBoot:    string(m.Boot),
		tagActors:  strconv.Itoa(m.Actors),
		tagAPI:     strconv.Itoa(m.API),
		tagZone:    m.Zone,
		tagVersion: m.Version,
		tagSlots:   strconv.Itoa(m.Slots),
		tagMemory:  strconv.FormatInt(m.Memory, 10),
		tagOffers:  string(m.Offers),
		tagState:   strconv.Itoa(int(m.State)),
	}
}

// memberOf reads a Serf member. It is false for one that is dead, has left, or
// lacks a node id or a boot id.
func memberOf(s serf.Member) (Member, bool) {
	if s.Status != serf.StatusAlive && s.Status != serf.StatusLeaving {
		return Member{}, false
	}
	m := Member{
		ID:      NodeID(s.Tags[tagNode]),
		Boot:    BootID(s.Tags[tagBoot]),
		Host:    s.Addr.String(),
		Gossip:  int(s.Port),
		Zone:    s.Tags[tagZone],
		Version: s.Tags[tagVersion],
		Offers:  offers.Set(s.Tags[tagOffers]),
	}
	var errs [5]error
	m.Actors, errs[0] = strconv.Atoi(s.Tags[tagActors])
	m.API, errs[1] = strconv.Atoi(s.Tags[tagAPI])
	m.Slots, errs[2] = strconv.Atoi(s.Tags[tagSlots])
	m.Memory, errs[3] = strconv.ParseInt(s.Tags[tagMemory], 10, 64)
	state, err := strconv.ParseUint(s.Tags[tagState], 10, 8)
	errs[4] = err
	for _, err := range errs {
		if err != nil {
			return Member{}, false
		}
	}
	m.State = State(state)
	if s.Status == serf.StatusLeaving {
		m.State = Leaving
	}
	return m, m.ID != "" && m.Boot != ""
}

// newBoot makes a boot id, greater than after even if the clock went back:
// eleven hex digits of milliseconds since 1970, then eight random ones.
func newBoot(now time.Time, after BootID) BootID {
	millis := now.UnixMilli()
	if len(after) >= bootMillisDigits {
		if last, err := strconv.ParseInt(string(after[:bootMillisDigits]), 16, 64); err == nil {
			millis = max(millis, last+1)
		}
	}
	return BootID(fmt.Sprintf("%0*x%s", bootMillisDigits, millis, randomHex(4)))
}

const bootMillisDigits = 11

// randomHex is n random bytes in hex. crypto/rand never fails.
func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}
