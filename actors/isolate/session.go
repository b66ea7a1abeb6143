package isolate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/funcs"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/process"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/shuffle"
)

// session answers what a process asks while it runs one attempt.
type session struct {
	m       *Machine
	a       exec.Attempt
	packet  *api.Packet
	packets exec.Packets
	dir     string                  // for messages that are too large for a socket
	cancel  context.CancelCauseFunc // ends the attempt; set before the process works on it

	encoding sync.Mutex // packets are encoded one at a time: a process may ask a thousand times at once

	mu    sync.Mutex
	draft journal.Shared // that the attempt writes; nil: none
	relay *relay         // nil until the process dials
	over  bool           // nothing begins any more
}

// close ends all that the attempt had and did not commit.
func (s *session) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.draft != nil {
		s.draft.Abort()
	}
	if s.relay != nil {
		s.relay.close()
	}
}

// serve answers one call.
func (s *session) serve(ctx context.Context, method string, body []byte, files []*os.File) ([]byte, []*os.File, error) {
	switch method {
	case methodShape, methodBatch, methodScalar:
		return s.call(ctx, method, body, files)
	}
	process.CloseAll(files) // no other call has any
	switch method {
	case methodPacket:
		return s.sendPacket(ctx, body)
	case methodSchema:
		return s.sendSchema(ctx, body)
	case methodDial:
		return s.dial(string(body))
	case methodDraft:
		return s.share()
	case methodRoom:
		return nil, nil, s.room()
	case methodDeaf:
		if !s.packet.Stage().Unbound {
			return nil, nil, &plan.Error{Kind: plan.KindInternal, Op: "run", Text: "an engine process plans what is planned"}
		}
		s.cancel(engines.Late(engines.PlanTime(len(s.packet.Access))))
		return nil, nil, nil
	case methodAbort:
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.draft != nil {
			s.draft.Abort()
			s.draft = nil
		}
		return nil, nil, nil
	}
	return nil, nil, fmt.Errorf("isolate: an engine process asks for %q", method)
}

// sendPacket gives the attempt's packet.
func (s *session) sendPacket(ctx context.Context, body []byte) ([]byte, []*os.File, error) {
	var r packetRequest
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, nil, err
	}
	if r.Stage != s.a.Stage || r.Version > s.packet.Version {
		return nil, nil, &plan.Error{Kind: plan.KindInternal, Op: "run", Text: fmt.Sprintf("an engine process asks for stage %d in version %d", r.Stage, r.Version)}
	}
	s.encoding.Lock()
	defer s.encoding.Unlock()
	b, err := s.packet.MarshalBinary()
	if err != nil {
		return nil, nil, err
	}
	return pack(s.dir, func(w io.Writer) error { _, err := w.Write(b); return err })
}

func (s *session) sendSchema(ctx context.Context, body []byte) ([]byte, []*os.File, error) {
	var r schemaRequest
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, nil, err
	}
	if !s.readsFrom(&r) {
		return nil, nil, &plan.Error{Kind: plan.KindInternal, Op: "run", Text: fmt.Sprintf("an engine process asks %.100q for the columns of a segment that its attempt does not read", r.Addr)}
	}
	schema, err := s.packets.Schema(ctx, r.Stage, r.Addr, r.Segment)
	if err != nil {
		return nil, nil, err
	}
	out, err := shuffle.EncodeSchema(schema)
	return out, nil, err
}

// readsFrom reports whether a segment is of that stage, and on that node, as the packet
// says.
func (s *session) readsFrom(r *schemaRequest) bool {
	for _, up := range s.packet.Stage().Upstream() {
		if s.packet.Job.Stages[up].ID != r.Stage {
			continue
		}
		for _, l := range s.packet.Where[up] {
			if l.Segment == r.Segment && slices.Contains(l.Holders(), r.Addr) {
				return true
			}
		}
	}
	return false
}

// share begins a segment, in place of one that the attempt began before.
func (s *session) share() ([]byte, []*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil, nil, errOver
	}
	if s.draft != nil {
		s.draft.Abort()
		s.draft = nil
	}
	d, err := s.m.Journal.Share()
	if err != nil {
		return nil, nil, err
	}
	f, err := d.File()
	if err != nil {
		d.Abort()
		return nil, nil, journal.StorageError(err)
	}
	s.draft = d
	return nil, []*os.File{f}, nil
}

var errOver = &plan.Error{Kind: plan.KindInternal, Op: "run", Text: "an engine process asks for an attempt that is over"}

var errNoDraft = &plan.Error{Kind: plan.KindInternal, Op: "run", Text: "an engine process writes no segment"}

func (s *session) room() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draft == nil {
		return errNoDraft
	}
	return journal.StorageError(s.draft.Room())
}

// commit makes what the process wrote a segment. Whose it is the node knows better. The
// lock is held.
func (s *session) commit(told *api.Held, sums fs.Sums) (h api.Held, err error) {
	if s.draft == nil {
		return h, disbelieved("it is done, and has written nothing")
	}
	if err := s.checkDraft(0); err != nil {
		return h, err
	}
	if err := s.draft.Adopt(sums); err != nil {
		return h, journal.StorageError(err)
	}
	if h, err = heldOf(told, s.a, s.packet, sums.Size); err != nil {
		return h, err
	}
	if h, err = s.draft.Commit(h); err == nil {
		s.draft = nil
	}
	return h, err
}

// dial gives the process a connection on which it may ask a node for blocks of the
// segments that its attempt reads.
func (s *session) dial(addr string) ([]byte, []*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil, nil, errOver
	}
	if s.relay == nil {
		s.relay = newRelay(s.m.Blocks.Relay(s.reads(), s.m.Log))
	}
	mine, theirs, err := process.Pair()
	if err != nil {
		return nil, nil, err
	}
	if !s.relay.take(sendsFiles(mine)) {
		theirs.Close()
		return nil, nil, &plan.Error{Kind: plan.KindResource, Op: "read", Subject: addr, Text: "too many connections of an engine process"}
	}
	return nil, []*os.File{theirs}, nil
}

// reads tells the segments that the attempt reads, each from the nodes that the packet
// says.
func (s *session) reads() func(addr string, id shuffle.SegmentID) bool {
	type place struct {
		addr string
		id   shuffle.SegmentID
	}
	all := map[place]bool{}
	for _, list := range s.packet.Where {
		for _, l := range list {
			if id, err := shuffle.ParseSegmentID(l.Segment); err == nil {
				for _, addr := range l.Holders() {
					all[place{addr, id}] = true
				}
			}
		}
	}
	return func(addr string, id shuffle.SegmentID) bool { return all[place{addr, id}] }
}

// relayConnsMax is how many connections a process may have at once.
const relayConnsMax = 1024

// relay serves a process's connections. It is a listener too.
type relay struct {
	server *http.Server
	conns  chan net.Conn
	done   chan struct{}
	once   sync.Once
	ended  sync.WaitGroup
}

func newRelay(h http.Handler) *relay {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	r := &relay{conns: make(chan net.Conn, relayConnsMax), done: make(chan struct{})}
	r.server = &http.Server{Handler: h, Protocols: protocols}
	r.ended.Go(func() { _ = r.server.Serve(r) }) // it ends with close
	return r
}

func (r *relay) take(c net.Conn) bool {
	select {
	case r.conns <- c:
		return true
	default:
		c.Close()
		return false
	}
}

// close ends all connections.
func (r *relay) close() {
	_ = r.server.Close()
	r.Close()
	r.ended.Wait()
	for {
		select {
		case c := <-r.conns:
			c.Close()
		default:
			return
		}
	}
}

// Accept implements net.Listener.
func (r *relay) Accept() (net.Conn, error) {
	select {
	case c := <-r.conns:
		return c, nil
	case <-r.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (r *relay) Close() error {
	r.once.Do(func() { close(r.done) })
	return nil
}

// Addr implements net.Listener.
func (r *relay) Addr() net.Addr { return &net.UnixAddr{Name: "engine", Net: "unix"} }

// call calls a Go function.
func (s *session) call(ctx context.Context, method string, body []byte, files []*os.File) ([]byte, []*os.File, error) {
	in, err := received(body, files)
	if err != nil {
		return nil, nil, err
	}
	defer in.Close()
	name, err := readName(in)
	if err != nil {
		return nil, nil, err
	}
	if method == methodScalar {
		return s.scalar(ctx, name, in)
	}
	f, err := s.m.Funcs.Batch(name)
	if err != nil {
		return nil, nil, err
	}
	if method == methodShape {
		return s.shape(&f, in)
	}
	rec, err := readBatch(in)
	if err != nil {
		return nil, nil, err
	}
	defer rec.Release()
	return pack(s.dir, func(w io.Writer) error { return f.Run(ctx, s.m.Log, rec, batchWriter(w)) })
}

// shape is what a batch function makes of a schema.
func (s *session) shape(f *funcs.Batch, in io.Reader) ([]byte, []*os.File, error) {
	body, err := io.ReadAll(io.LimitReader(in, schemaMax))
	if err != nil {
		return nil, nil, err
	}
	schema, err := shuffle.DecodeSchema(body)
	if err != nil {
		return nil, nil, err
	}
	out, err := f.Output(s.m.Log, schema)
	if err != nil {
		return nil, nil, err
	}
	body, err = shuffle.EncodeSchema(out)
	return body, nil, err
}

func (s *session) scalar(ctx context.Context, name string, in io.Reader) ([]byte, []*os.File, error) {
	f, ok := s.m.Funcs.Scalar(name)
	if !ok {
		return nil, nil, &plan.Error{Kind: plan.KindInternal, Op: "call", Subject: name, Text: "no such Go function"}
	}
	args, err := readBatch(in)
	if err != nil {
		return nil, nil, err
	}
	defer args.Release()
	out, err := f.Run(ctx, s.m.Log, args)
	if err != nil {
		return nil, nil, err
	}
	defer out.Release()
	return pack(s.dir, func(w io.Writer) error { return writeArray(w, out) })
}

var errNoName = errors.New("isolate: a call of a function without its name")
