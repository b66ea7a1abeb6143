package api

import "github.com/pondmesh/pond/fs/register"

// RegisterBytesMax bounds a RegisterCall. Package registers makes them smaller.
const RegisterBytesMax = 8 << 20

// RegisterCall is what a node asks another's keeper, and the newest roster that it
// knows. One without requests only asks who is there.
type RegisterCall struct {
	Node     string             `json:"node"`
	Roster   register.Roster    `json:"roster"`
	Requests []register.Request `json:"requests,omitempty"`
}

// Recovery is what a recovery of the registers does, or would: see
// registers.Registers.Recover.
type Recovery struct {
	Alive     []string `json:"alive"`     // nodes of the old keepers that answer
	Gone      []string `json:"gone"`      // of those that do not: what only they know is lost
	Next      []string `json:"next"`      // of the new ones
	Registers int      `json:"registers"` // that were carried over
	Done      bool     `json:"done"`      // false: nothing was changed
}

// RegisterReply has a reply to each of the requests, in order.
type RegisterReply struct {
	Node    string            `json:"node"`
	Keeper  register.KeeperID `json:"keeper,omitempty"` // empty: its disk has failed
	Roster  register.Roster   `json:"roster"`
	Replies []register.Reply  `json:"replies,omitempty"`
	// Told by a node that knows of no roster: whether it has looked around already, the
	// nodes that it knows of, those that it was told to join, and the addresses of those
	// of them that it has not met.
	Asked   bool     `json:"asked,omitempty"`
	Peers   []string `json:"peers,omitempty"`
	Named   []string `json:"named,omitempty"`
	Missing []string `json:"missing,omitempty"`
}
