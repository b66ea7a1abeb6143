package replicas

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/syserr"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/fs/layout"
	"github.com/pondmesh/pond/fs/repair"
	"github.com/pondmesh/pond/fs/replica"
	"github.com/pondmesh/pond/mesh"
)

// Bounds of what nodes say of their copies.
const (
	// InventoryBytesMax bounds a question: sums of all groups.
	InventoryBytesMax = 2 << 20
	idsMax            = 1 << 17 // told in one answer
	askMax            = 20 * time.Second
)

// question asks what another node holds, and tells what the asking one does.
type question struct {
	Node    replica.Node `json:"node"`
	Version uint64       `json:"version"`           // of the layout that it knows
	Drained bool         `json:"drained,omitempty"` // it is to be no place of copies
	Sums    []byte       `json:"sums,omitempty"`    // of its groups
	// Groups are those of which the ids are asked for; none: the sums of all.
	Groups []layout.Group `json:"groups,omitempty"`
}

// reply is what a node says.
type reply struct {
	Node  replica.Node `json:"node"`
	Ack   layout.Ack   `json:"ack"`
	Stale bool         `json:"stale,omitempty"`
	// Drained: the node is to be no place of copies, and stays a member.
	Drained bool   `json:"drained,omitempty"`
	Bytes   int64  `json:"bytes,omitempty"` // of its disks
	Sums    []byte `json:"sums,omitempty"`
	IDs     []byte `json:"ids,omitempty"` // of the groups that were asked for
}

// sum stands for the uploads of a group: two nodes with equal ones have the same.
type sum struct {
	held, buried       uint32
	heldXOR, buriedXOR [16]byte
}

const sumSize = 2 + 4 + 4 + 16 + 16

func xor(into *[16]byte, id fs.UploadID) {
	for i := range into {
		into[i] ^= id[i]
	}
}

// writeSums is sums on the wire, a group after another.
func writeSums(sums map[layout.Group]*sum) []byte {
	b := make([]byte, 0, sumSize*len(sums))
	for g, s := range sums {
		b = binary.BigEndian.AppendUint16(b, uint16(g))
		b = binary.BigEndian.AppendUint32(b, s.held)
		b = binary.BigEndian.AppendUint32(b, s.buried)
		b = append(append(b, s.heldXOR[:]...), s.buriedXOR[:]...)
	}
	return b
}

func readSums(b []byte) (map[layout.Group]*sum, error) {
	if len(b)%sumSize != 0 || len(b) > sumSize*layout.Groups {
		return nil, fmt.Errorf("%w: sums of %d bytes", fs.ErrInvalid, len(b))
	}
	out := make(map[layout.Group]*sum, len(b)/sumSize)
	for ; len(b) > 0; b = b[sumSize:] {
		g := layout.Group(binary.BigEndian.Uint16(b))
		if g >= layout.Groups {
			return nil, fmt.Errorf("%w: group %d", fs.ErrInvalid, g)
		}
		out[g] = &sum{binary.BigEndian.Uint32(b[2:]), binary.BigEndian.Uint32(b[6:]), [16]byte(b[10:]), [16]byte(b[26:])}
	}
	return out, nil
}

// An id on the wire: held or buried, the id, and when it was buried, in Unix
// nanoseconds.
const idSize = 1 + 16 + 8

func appendID(b []byte, info *fs.Info) []byte {
	if info.Kind == fs.KindBuried {
		b = append(append(b, 1), info.ID[:]...)
		return binary.BigEndian.AppendUint64(b, uint64(info.Committed.UnixNano()))
	}
	return append(append(append(b, 0), info.ID[:]...), make([]byte, 8)...)
}

// readIDs sorts what a node told of some groups.
func readIDs(b []byte, into map[layout.Group]repair.Inventory) error {
	if len(b)%idSize != 0 || len(b) > idSize*idsMax {
		return fmt.Errorf("%w: ids of %d bytes", fs.ErrInvalid, len(b))
	}
	for ; len(b) > 0; b = b[idSize:] {
		id := repair.ID(b[1:17])
		inv, ok := into[layout.GroupOf(id)]
		switch {
		case !ok:
			return fmt.Errorf("%w: an upload of a group that was not asked for", fs.ErrInvalid)
		case b[0] == 1:
			inv.Buried[id] = time.Unix(0, int64(binary.BigEndian.Uint64(b[17:])))
		default:
			inv.Held[id] = true
		}
	}
	return nil
}

func newInventory(stale bool) repair.Inventory {
	return repair.Inventory{Held: map[repair.ID]bool{}, Buried: map[repair.ID]time.Time{}, Stale: stale}
}

// counts reports whether an upload of the store is told to others.
func (r *Replicas) counts(info *fs.Info, now time.Time) bool {
	return info.Kind == kindCopy || info.Kind == fs.KindBuried && !r.cfg.Times.Expired(info.Committed, now)
}

// sums are those of this node's groups, read from the store each time: nothing of what it
// holds is remembered beside it.
func (r *Replicas) sums() (map[layout.Group]*sum, error) {
	out, now := map[layout.Group]*sum{}, time.Now()
	for info, err := range r.store.List("") {
		if err != nil {
			return nil, err
		}
		if !r.counts(&info, now) {
			continue
		}
		g := layout.GroupOf(info.ID)
		s := out[g]
		if s == nil {
			s = new(sum)
			out[g] = s
		}
		if info.Kind == fs.KindBuried {
			s.buried++
			xor(&s.buriedXOR, info.ID)
		} else {
			s.held++
			xor(&s.heldXOR, info.ID)
		}
	}
	return out, nil
}

// ids are the first and the last of a group.
func ids(g layout.Group) (from, to fs.UploadID) {
	from = fs.UploadID{byte(g >> 6), byte(g << 2)}
	to = fs.UploadID(bytes.Repeat([]byte{255}, 16))
	to[0], to[1] = from[0], from[1]|3
	return from, to
}

// group lists the uploads of a group on this node.
func (r *Replicas) group(g layout.Group, each func(*fs.Info)) error {
	now := time.Now()
	from, to := ids(g)
	for info, err := range r.store.Between(from, to) {
		if err != nil {
			return err
		}
		if r.counts(&info, now) {
			each(&info)
		}
	}
	return nil
}

// inventory is what this node says of a group.
func (r *Replicas) inventory(g layout.Group, stale bool) (repair.Inventory, error) {
	inv := newInventory(stale)
	err := r.group(g, func(info *fs.Info) {
		if info.Kind == fs.KindBuried {
			inv.Buried[repair.ID(info.ID)] = info.Committed
		} else {
			inv.Held[repair.ID(info.ID)] = true
		}
	})
	return inv, err
}

// ServeInventory tells what this node holds.
func (r *Replicas) ServeInventory(_ http.ResponseWriter, req *http.Request) (any, error) {
	var q question
	if err := json.NewDecoder(req.Body).Decode(&q); err != nil || len(q.Groups) > layout.Groups {
		return nil, &plan.Error{Kind: plan.KindUser, Op: "inventory", Text: fmt.Sprintf("the question is none: %v", err)}
	}
	out, err := r.tell(&q)
	if err != nil {
		return nil, syserr.Own("inventory", "", err)
	}
	return out, nil
}

func (r *Replicas) tell(q *question) (*reply, error) {
	stale, err := r.doubt()
	if err != nil {
		return nil, err
	}
	out := &reply{Node: r.self(), Stale: stale, Ack: r.ack(), Drained: r.Drained(), Bytes: r.store.Size()}
	if q.Version > out.Ack.Seen {
		r.nudge()
	}
	if len(q.Groups) == 0 {
		if len(q.Sums) > 0 {
			r.heardOf(q.Node, q.Drained)
		}
		sums, err := r.sums()
		if err != nil {
			return nil, err
		}
		out.Sums = writeSums(sums)
		return out, nil
	}
	for _, g := range q.Groups {
		if err := r.group(g, func(info *fs.Info) { out.IDs = appendID(out.IDs, info) }); err != nil {
			return nil, err
		}
		if len(out.IDs) > idSize*idsMax {
			return nil, fmt.Errorf("%w: more than %d uploads in %d groups", fs.ErrInvalid, idsMax, len(q.Groups))
		}
	}
	return out, nil
}

// said is what one node says of its groups.
type said struct {
	*reply
	groups map[layout.Group]repair.Inventory // those that are not as this node's
	sums   map[layout.Group]*sum
}

// askNode asks a node what it holds: its sums, and the ids of groups that differ from mine.
func (r *Replicas) askNode(ctx context.Context, n replica.Node, mine map[layout.Group]*sum, text []byte) (*said, error) {
	ctx, cancel := context.WithTimeout(ctx, askMax)
	defer cancel()
	s := &said{reply: new(reply), groups: map[layout.Group]repair.Inventory{}}
	if err := r.call(ctx, n, "/v1/inventory", &question{Node: r.self(), Version: r.ack().Seen, Drained: r.Drained(), Sums: text}, s.reply); err != nil {
		return nil, err
	}
	var err error
	if s.sums, err = readSums(s.Sums); err != nil {
		return nil, err
	}
	if s.reply.Node != n {
		return nil, fmt.Errorf("node %q answers for node %q", s.reply.Node, n)
	}
	var page []layout.Group
	count := uint32(0)
	for g, theirs := range s.sums {
		if own := mine[g]; own != nil && *own == *theirs {
			continue
		}
		if count+theirs.held+theirs.buried > idsMax/2 && len(page) > 0 {
			if err := r.askIDs(ctx, n, page, s); err != nil {
				return nil, err
			}
			page, count = nil, 0
		}
		page, count = append(page, g), count+theirs.held+theirs.buried
	}
	if len(page) > 0 {
		err = r.askIDs(ctx, n, page, s)
	}
	return s, err
}

func (r *Replicas) askIDs(ctx context.Context, n replica.Node, page []layout.Group, s *said) error {
	var out reply
	if err := r.call(ctx, n, "/v1/inventory", &question{Node: r.self(), Groups: page}, &out); err != nil {
		return err
	}
	for _, g := range page {
		s.groups[g] = newInventory(s.Stale)
	}
	return readIDs(out.IDs, s.groups)
}

// inventory is what the node said of a group, which is as mine where the sums are.
func (s *said) inventory(g layout.Group, mine repair.Inventory) repair.Inventory {
	inv, differs := s.groups[g]
	switch {
	case differs:
		return inv
	case s.sums[g] == nil:
		return newInventory(s.Stale)
	}
	mine.Stale = s.Stale
	return mine
}

// doubt reports whether this node, or one of its disks, has been away for longer than
// tombstones are told: what it holds may have been deleted meanwhile.
func (r *Replicas) doubt() (bool, error) {
	heard, err := r.store.Heard()
	if err != nil {
		return false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.stale && r.cfg.Times.Stale(heard, time.Now()) {
		r.stale = true
		r.log.Warn("this node, or one of its disks, has been away for so long that it may hold what was deleted: its copies are checked before they are believed", "last heard", heard)
	}
	return r.stale, nil
}

// heardShare is what part of the time that a node may be away passes before it is noted
// again that it has heard of tombstones.
const heardShare = 100

// believe ends the doubt, and is called whenever most others have been heard.
func (r *Replicas) believe(now time.Time) error {
	heard, err := r.store.Heard()
	if err == nil && now.Sub(heard) >= r.cfg.Times.Away/heardShare {
		err = r.store.Hear()
	}
	if err == nil {
		r.mu.Lock()
		r.stale = false
		r.mu.Unlock()
	}
	return err
}

func (r *Replicas) member(n replica.Node) (mesh.Member, bool) {
	return r.cfg.View().Find(mesh.NodeID(n))
}
