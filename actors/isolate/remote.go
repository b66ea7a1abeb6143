package isolate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/funcs"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/process"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/shuffle"
)

// remotePackets asks the node for what all tasks of a stage share, and keeps the last
// of it.
type remotePackets struct {
	node process.Caller

	mu      sync.Mutex
	token   string // of the packet that the attempt is about
	last    namedPacket
	schemas map[plan.StageID]*arrow.Schema // at most schemasKept
}

const schemasKept = 64

// namedPacket is a packet, and the node's name for it.
type namedPacket struct {
	token  string
	packet *api.Packet
}

// begin takes what an attempt comes with.
func (p *remotePackets) begin(r *runRequest) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.token = r.Token
	if len(r.Packet) == 0 || p.here() {
		return nil
	}
	return p.keep(r.Packet)
}

// here reports whether the last packet is the attempt's. The lock is held.
func (p *remotePackets) here() bool { return p.last.packet != nil && p.last.token == p.token }

// keep decodes the attempt's packet. The lock is held.
func (p *remotePackets) keep(b []byte) error {
	packet := new(api.Packet)
	if err := packet.UnmarshalBinary(b); err != nil {
		return err
	}
	p.last = namedPacket{p.token, packet}
	return nil
}

// Get implements exec.Packets.
func (p *remotePackets) Get(ctx context.Context, stage int, version uint64) (*api.Packet, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.here() {
		return p.last.packet, nil
	}
	body, files, err := ask(ctx, p.node, methodPacket, packetRequest{stage, version})
	if err != nil {
		return nil, err
	}
	in := unpack(body, files)
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, api.PacketBytesMax))
	if err != nil {
		return nil, fmt.Errorf("isolate: read a packet: %w", err)
	}
	if err := p.keep(b); err != nil {
		return nil, err
	}
	return p.last.packet, nil
}

// Schema implements exec.Packets.
func (p *remotePackets) Schema(ctx context.Context, stage plan.StageID, addr, segment string) (*arrow.Schema, error) {
	p.mu.Lock()
	s := p.schemas[stage]
	p.mu.Unlock()
	if s != nil {
		return s, nil
	}
	body, _, err := ask(ctx, p.node, methodSchema, schemaRequest{stage, addr, segment})
	if err != nil {
		return nil, err
	}
	if s, err = shuffle.DecodeSchema(body); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.schemas == nil || len(p.schemas) >= schemasKept {
		p.schemas = map[plan.StageID]*arrow.Schema{}
	}
	p.schemas[stage] = s
	return s, nil
}

// ask is a call whose request is JSON.
func ask(ctx context.Context, node process.Caller, method string, req any) ([]byte, []*os.File, error) {
	body, err := jsonOf(req)
	if err != nil {
		return nil, nil, err
	}
	return node.Call(ctx, method, body)
}

// remoteJournal has the node begin segments, and keeps what it needs to commit them.
type remoteJournal struct {
	node  process.Caller
	sums  fs.Sums                  // of the last one that was written to its end
	ahead func() (*os.File, error) // waits for the attempt's first segment; nil: it is taken, or there is none
	begun time.Time                // when that was asked for
}

// begin asks for the segment of an attempt that writes one: its file is made while DuckDB
// binds the query.
func (j *remoteJournal) begin(writes bool) {
	j.sums = fs.Sums{}
	if writes {
		j.ahead, j.begun = sync.OnceValues(j.ask), time.Now()
		go j.ahead() //nolint:errcheck // Create or end takes it, and waits for it
	}
}

// end closes the file that the attempt did not take. It waits for it: the node would take a
// question that comes later for the next attempt's.
func (j *remoteJournal) end() {
	if j.ahead != nil {
		if f, err := j.ahead(); err == nil {
			f.Close()
		}
		j.ahead = nil
	}
}

// ask has the node begin a segment.
func (j *remoteJournal) ask() (*os.File, error) {
	_, files, err := j.node.Call(context.Background(), methodDraft, nil)
	if err == nil && len(files) != 1 {
		process.CloseAll(files)
		err = errNoReply
	}
	if err != nil {
		return nil, err
	}
	return files[0], nil
}

// Create implements exec.Journal.
func (j *remoteJournal) Create() (journal.Draft, error) {
	ask, room := j.ask, int64(roomEvery) // there is room when it begins
	if j.ahead != nil {
		if ask, j.ahead = j.ahead, nil; time.Since(j.begun) > roomFor {
			room = 0
		}
	}
	f, err := ask()
	if err != nil {
		return nil, err
	}
	return &remoteDraft{j: j, file: f, room: room}, nil
}

// remoteDraft is a segment that this process writes and the node commits.
type remoteDraft struct {
	j    *remoteJournal
	file *os.File // nil once it has ended
	sums fs.Sums
	room int64 // bytes until the node is asked again whether there is room
}

// roomEvery is how many bytes are written before the node is asked whether its disk
// has room for more; roomFor is how long it is believed that there is room for the first.
const (
	roomEvery = 64 << 20
	roomFor   = time.Second
)

func (d *remoteDraft) Write(p []byte) (int, error) {
	if d.file == nil {
		return 0, os.ErrClosed
	}
	if d.room -= int64(len(p)); d.room <= 0 {
		if _, _, err := d.j.node.Call(context.Background(), methodRoom, nil); err != nil {
			return 0, err
		}
		d.room = roomEvery
	}
	n, err := d.file.Write(p)
	d.sums.Add(p[:n])
	return n, err
}

// Commit ends the writing. The node commits when it hears of the attempt's end.
func (d *remoteDraft) Commit(h api.Held) (api.Held, error) {
	if d.file == nil {
		return h, os.ErrClosed
	}
	err := d.file.Close()
	if d.file = nil; err == nil {
		d.j.sums = d.sums
	}
	return h, err
}

// Abort has the node remove the segment. After Commit it does nothing.
func (d *remoteDraft) Abort() {
	if d.file == nil {
		return
	}
	d.file.Close()
	d.file = nil
	_, _, _ = d.j.node.Call(context.Background(), methodAbort, nil) // the node does it at the attempt's end anyway
}

// dialer connects to nodes by way of one's own.
func dialer(node process.Caller) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, _, addr string) (net.Conn, error) {
		_, files, err := node.Call(ctx, methodDial, []byte(addr))
		if err != nil {
			return nil, err
		}
		if len(files) != 1 {
			return nil, errNoReply
		}
		defer files[0].Close()
		return net.FileConn(files[0])
	}
}

// remoteFuncs are the node's Go functions, called there.
func remoteFuncs(c process.Child, s settings) (*funcs.Registry, error) {
	r := new(funcs.Registry)
	var errs []error
	for _, f := range s.Scalar {
		errs = append(errs, r.AddScalar(funcs.Scalar{Name: f.Name, Args: f.Args, Result: f.Result, Volatile: f.Volatile, Call: remoteScalar(c, f.Name)}))
	}
	for _, name := range s.Batch {
		errs = append(errs, r.AddBatch(funcs.Batch{Name: name, Schema: remoteShape(c, name), Call: remoteBatch(c, name)}))
	}
	return r, errors.Join(errs...)
}

func remoteScalar(c process.Child, name string) funcs.ScalarFunc {
	return func(ctx context.Context, args arrow.RecordBatch) (arrow.Array, error) {
		in, err := callFunc(ctx, c, methodScalar, name, func(w io.Writer) error { return writeBatch(w, args) })
		if err != nil {
			return nil, err
		}
		defer in.Close()
		return readArray(in)
	}
}

func remoteShape(c process.Child, name string) func(*arrow.Schema) (*arrow.Schema, error) {
	return func(in *arrow.Schema) (*arrow.Schema, error) {
		body, err := shuffle.EncodeSchema(in)
		if err != nil {
			return nil, err
		}
		out, err := callFunc(context.Background(), c, methodShape, name, func(w io.Writer) error { _, err := w.Write(body); return err })
		if err != nil {
			return nil, err
		}
		defer out.Close()
		if body, err = io.ReadAll(out); err != nil {
			return nil, err
		}
		return shuffle.DecodeSchema(body)
	}
}

func remoteBatch(c process.Child, name string) funcs.BatchFunc {
	return func(ctx context.Context, in arrow.RecordBatch, yield func(arrow.RecordBatch) error) error {
		out, err := callFunc(ctx, c, methodBatch, name, func(w io.Writer) error { return writeBatch(w, in) })
		if err != nil {
			return err
		}
		defer out.Close()
		for {
			rec, err := readBatch(out)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			err = yield(rec)
			rec.Release()
			if err != nil {
				return err
			}
		}
	}
}

// callFunc has the node call a function with what write writes.
func callFunc(ctx context.Context, c process.Child, method, name string, write func(io.Writer) error) (io.ReadCloser, error) {
	body, files, err := pack(c.Dir, func(w io.Writer) error {
		if err := writeName(w, name); err != nil {
			return err
		}
		return write(w)
	})
	if err != nil {
		return nil, err
	}
	defer process.CloseAll(files)
	body, out, err := c.Node.Call(ctx, method, body, files...)
	if err != nil {
		return nil, err
	}
	return unpack(body, out), nil
}
