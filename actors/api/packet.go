package api

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/pondmesh/pond/actors/plan"
)

// Packet is the data with which a node can run any task of one stage: fetched once a
// stage and version from the coordinator, and cached.
type Packet struct {
	ID      plan.JobID
	Version uint64
	Index   int       // of the stage in Job.Stages
	Job     *plan.Job // stages other than the packet's are stripped of their inputs
	Tasks   int       // of the stage
	Lineage uint64    // of what Where names: a task that was granted of another must not run on it
	Codec   string
	Access  []string // files, and folders with a trailing slash, that the job's SQL may read
	Owner   string   // whose job it is, and so what its tasks make
	Staging string   // where output files go: a folder, or a dataset
	Lease   string   // by which they are uploaded for a dataset
	Copies  int      // nodes that hold a segment before its attempt is done; less than 2: its own alone
	Up      map[int][]plan.SegmentInfo
	Where   map[int][]Location // of the segments in Up, one for one
}

// Stage is the packet's stage.
func (p *Packet) Stage() *plan.Stage { return p.Job.Stages[p.Index] }

// Location is a segment and the nodes that hold it.
type Location struct {
	Addr    string   // API of the one that is asked first
	Others  []string // those of the others, asked in turn when it cannot give the segment
	Segment string
}

// Holders are the APIs of all nodes that hold it, the first to ask first.
func (l *Location) Holders() []string { return append([]string{l.Addr}, l.Others...) }

// Prefer has a node asked first for all segments that it holds.
func (p *Packet) Prefer(addr string) {
	for _, list := range p.Where {
		for i := range list {
			l := &list[i]
			if k := slices.Index(l.Others, addr); k >= 0 {
				l.Addr, l.Others[k] = addr, l.Addr
			}
		}
	}
}

// MarshalBinary writes the packet:
//
//	length head stages { stage segments { rows bytes } }
//
// The head is JSON of all but Up; rows and bytes are lists of integers, each after its
// length; every number is a varint. Sizes are most of a packet whose stage reads many
// partitions, and the head is all of a short query's, which waits for it: gob, which
// tells the types with every packet, takes ten times as long for it.
func (p *Packet) MarshalBinary() ([]byte, error) {
	type plain Packet
	head := plain(*p)
	head.Up = nil
	text, err := json.Marshal(&head)
	if err != nil {
		return nil, fmt.Errorf("api: write a packet: %w", err)
	}
	b := append(binary.AppendVarint(nil, int64(len(text))), text...)
	b = binary.AppendVarint(b, int64(len(p.Up)))
	for _, up := range slices.Sorted(maps.Keys(p.Up)) {
		b = binary.AppendVarint(b, int64(up))
		b = binary.AppendVarint(b, int64(len(p.Up[up])))
		for _, s := range p.Up[up] {
			b = appendInts(appendInts(b, s.Rows), s.Bytes)
		}
	}
	return b, nil
}

func appendInts(b []byte, list []int64) []byte {
	b = binary.AppendVarint(b, int64(len(list)))
	for _, n := range list {
		b = binary.AppendVarint(b, n)
	}
	return b
}

// UnmarshalBinary reads what MarshalBinary wrote; anything else is an error.
func (p *Packet) UnmarshalBinary(b []byte) error {
	type plain Packet
	r := varints{b}
	n, err := r.length()
	if err != nil {
		return err
	}
	var got plain
	if err := json.Unmarshal(r.b[:n], &got); err != nil {
		return fmt.Errorf("api: read a packet: %w", err)
	}
	r.b = r.b[n:]
	stages, err := r.length()
	if err != nil {
		return err
	}
	got.Up = make(map[int][]plan.SegmentInfo, stages)
	for range stages {
		up, err := r.next()
		if err != nil {
			return err
		}
		if got.Up[int(up)], err = r.segments(); err != nil {
			return err
		}
	}
	if len(r.b) > 0 {
		return errPacket
	}
	*p = Packet(got)
	return nil
}

var errPacket = errors.New("api: read a packet: cut short, or of another version")

// varints is what is left to read of a packet.
type varints struct{ b []byte }

func (r *varints) next() (int64, error) {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		return 0, errPacket
	}
	r.b = r.b[n:]
	return v, nil
}

// length is the length of a list, each element of which takes a byte at least.
func (r *varints) length() (int, error) {
	v, err := r.next()
	if err == nil && (v < 0 || v > int64(len(r.b))) {
		err = errPacket
	}
	return int(v), err
}

func (r *varints) segments() ([]plan.SegmentInfo, error) {
	n, err := r.length()
	if err != nil {
		return nil, err
	}
	out := make([]plan.SegmentInfo, n)
	for i := range out {
		if out[i].Rows, err = r.ints(); err != nil {
			return nil, err
		}
		if out[i].Bytes, err = r.ints(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *varints) ints() ([]int64, error) {
	n, err := r.length()
	if n == 0 || err != nil {
		return nil, err
	}
	out := make([]int64, n)
	for i := range out {
		if out[i], err = r.next(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
