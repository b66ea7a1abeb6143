package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs/object"
)

// Runner runs attempts: see exec.Machine.
type Runner interface {
	Run(ctx context.Context, a exec.Attempt, packets exec.Packets) (*exec.Outcome, error)
}

// Machine runs attempts that read objects by one that reads files.
type Machine struct {
	Files Runner
	Cache *Cache

	mu   sync.Mutex
	last []mapped // the newest first, at most packetsKept
}

// mapped is a packet with local paths. A stage's attempts share one.
type mapped struct {
	from, to *api.Packet
	objects  []string // that its SQL may read
}

const packetsKept = 8

// Run runs an attempt: see exec.Machine.Run. Of Parquet objects it fetches the columns
// and row groups that the plan says are read; should DuckDB read others, it meets no
// header of a page there, and the attempt runs once more over whole objects.
func (m *Machine) Run(ctx context.Context, a exec.Attempt, packets exec.Packets) (*exec.Outcome, error) {
	packet, err := packets.Get(ctx, a.Stage, a.Version)
	if err != nil {
		return nil, err
	}
	if !readsObjects(packet) {
		return m.Files.Run(ctx, a, gotten{packets, packet})
	}
	needs, err := needsOf(packet, a)
	if err != nil {
		return nil, err
	}
	out, err := m.over(ctx, needs, a, packet, packets)
	if missed(err) && ctx.Err() == nil {
		m.Cache.c.Log.Warn("DuckDB reads what the plan does not say: the objects are fetched whole", "job", a.Job, "attempt", a.ID, "err", err)
		for i := range needs {
			needs[i].parquet = false
		}
		out, err = m.over(ctx, needs, a, packet, packets)
	}
	return out, err
}

// missed reports whether DuckDB read a part of a Parquet file that is not here: where a
// page's header should be there are zeros, which are none.
func missed(err error) bool {
	return err != nil && strings.Contains(err.Error(), "TProtocolException")
}

// over runs the attempt over local files.
func (m *Machine) over(ctx context.Context, needs []need, a exec.Attempt, packet *api.Packet, packets exec.Packets) (*exec.Outcome, error) {
	local, err := m.local(packet)
	if err != nil {
		return nil, err
	}
	release, err := m.Cache.bringAll(ctx, needs, local.objects...)
	if err != nil {
		return nil, err
	}
	defer release()
	out, err := m.Files.Run(ctx, a, gotten{packets, local.to})
	return out, m.Cache.toUser(err)
}

// gotten gives the attempt's packet, which has been asked for and judged.
type gotten struct {
	exec.Packets
	packet *api.Packet
}

func (p gotten) Get(context.Context, int, uint64) (*api.Packet, error) { return p.packet, nil }

// local is the packet with local paths.
func (m *Machine) local(p *api.Packet) (mapped, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.IndexFunc(m.last, func(o mapped) bool { return o.from == p }); i >= 0 {
		return m.last[i], nil
	}
	head := *p
	head.Up = nil // numbers, and many
	type plain api.Packet
	text, err := json.Marshal((*plain)(&head))
	if err != nil {
		return mapped{}, fmt.Errorf("remote: a packet: %w", err)
	}
	out := new(api.Packet)
	if err := json.Unmarshal([]byte(m.Cache.local(string(text))), (*plain)(out)); err != nil {
		return mapped{}, fmt.Errorf("remote: a packet: %w", err)
	}
	out.Up = p.Up
	m.last = slices.Insert(m.last, 0, mapped{p, out, objectsIn(p.Access)})
	m.last = m.last[:min(len(m.last), packetsKept)]
	return m.last[0], nil
}

// readsObjects reports whether a packet's job reads objects. Access is sorted.
func readsObjects(p *api.Packet) bool {
	i, found := slices.BinarySearch(p.Access, object.Root)
	return found || i < len(p.Access) && strings.HasPrefix(p.Access[i], object.Root)
}

// needsOf is what an attempt reads of objects.
func needsOf(packet *api.Packet, a exec.Attempt) ([]need, error) {
	in, err := plan.Assign(packet.Job, a.Stage, a.ID.Task.Partition, packet.Up)
	if err != nil {
		return nil, err
	}
	n := &gathered{by: map[string]int{}}
	stage := packet.Stage()
	for i, input := range stage.Inputs {
		if input.Scan != nil {
			n.scan(input.Scan, in.Parts[i].Pieces)
		}
	}
	for _, path := range objectsIn(stage.Access) {
		columns, known := stage.Reads[path]
		n.add(need{path: path, parquet: known, columns: columns, rows: []plan.Piece{{Whole: true}}})
	}
	return n.list, nil
}

// gathered are needs, one an object.
type gathered struct {
	list []need
	by   map[string]int
}

func (n *gathered) scan(s *plan.Scan, pieces []plan.Piece) {
	if s.From != "" || s.Format != plan.Parquet {
		if s.From != "" { // whose text names all the files
			pieces = slices.Concat(s.Splits...)
		}
		for _, p := range pieces {
			n.add(need{path: p.Path})
		}
		n.add(need{path: s.Like})
		return
	}
	columns := s.Options.Columns
	if s.Options.CSV["schema"] != "" { // which gives columns other names
		columns = nil
	}
	for _, p := range pieces {
		n.add(need{path: p.Path, parquet: true, columns: columns, rows: []plan.Piece{p}})
	}
	if len(pieces) == 0 {
		n.add(need{path: s.Like, parquet: true})
	}
}

// add joins a need with what is needed of the object already.
func (n *gathered) add(a need) {
	if !strings.HasPrefix(a.path, object.Root) {
		return
	}
	i, ok := n.by[a.path]
	if !ok {
		n.by[a.path] = len(n.list)
		n.list = append(n.list, a)
		return
	}
	have := &n.list[i]
	have.parquet = have.parquet && a.parquet
	have.rows = slices.Concat(have.rows, a.rows)
	if have.columns == nil || a.columns == nil {
		have.columns = nil
		return
	}
	have.columns = slices.Concat(have.columns, a.columns)
}
