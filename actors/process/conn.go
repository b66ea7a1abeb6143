package process

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"

	"github.com/pondmesh/pond/actors/plan"
)

// Bounds of a Conn.
const (
	MessageMax = 64 << 20 // bytes of a call's or a reply's body
	FilesMax   = 8        // open files beside one
	methodMax  = 64       // bytes of a method's name
	callsMax   = 1024     // of the other side, under way at once
	textMax    = 64 << 10 // bytes of each text of an error
	lostMax    = 4096     // tasks that an error says are to be run again

	// What the other side's calls that are under way may take together: the bytes of their
	// bodies, and so many for each file. Beyond it nothing more is read for a while.
	underWayMax = MessageMax
	fileWeight  = 1 << 20
)

// Handler answers a call of the other side. It owns files; the Conn closes those of
// the reply once they are sent. ctx ends when the caller gives up, or the Conn ends.
// Handlers run at the same time. Errors reach the caller as plan.Errors.
type Handler func(ctx context.Context, method string, body []byte, files []*os.File) (reply []byte, out []*os.File, err error)

// Caller makes calls: a Conn, or what stands for one.
type Caller interface {
	// Call calls the other side and waits for its reply, whose files the caller owns.
	// The files of the call stay the caller's. When ctx ends the other side is told,
	// and its reply is still waited for.
	Call(ctx context.Context, method string, body []byte, files ...*os.File) ([]byte, []*os.File, error)
}

// ErrEnded is the error of calls on a Conn whose other side is gone.
var ErrEnded = errors.New("process: the other side is gone")

// Conn is one end of a socket pair. It is safe for concurrent use.
type Conn struct {
	sock   *net.UnixConn
	handle Handler
	log    *slog.Logger
	ctx    context.Context // ends with the Conn: of the handlers
	cancel context.CancelFunc
	done   chan struct{}  // closed once nothing is read any more
	closed chan struct{}  // by Close
	once   sync.Once      // closes closed
	served sync.WaitGroup // the handlers
	freed  chan struct{}  // tells read that calls take less than they did

	writing sync.Mutex // one message is written at a time

	mu      sync.Mutex
	next    uint64
	waiting map[uint64]chan message       // calls of this side, by id
	serving map[uint64]context.CancelFunc // calls of the other side, at most callsMax
	taken   int                           // by those calls: see underWayMax
	ended   bool
}

// What a message is.
const (
	kindCall = iota + 1
	kindReply
	kindError  // a reply: the body is a plan.Error
	kindCancel // the caller does not want the reply any more
)

// A message is a header and a body. Integers are little-endian:
//
//	0  4  length of the body, at most MessageMax
//	4  1  kind
//	5  1  number of files, at most FilesMax
//	6  2  length of the method's name, at most methodMax: it stands before the body
//	8  8  id of the call, counted by its caller
type message struct {
	kind   byte
	id     uint64
	method string
	body   []byte
	files  []*os.File
}

const headerLen = 16

// NewConn starts a Conn, which owns sock until Close. handle answers the other
// side's calls.
func NewConn(sock *net.UnixConn, handle Handler, log *slog.Logger) *Conn {
	c := &Conn{sock: sock, handle: handle, log: log, done: make(chan struct{}), closed: make(chan struct{}), freed: make(chan struct{}, 1), waiting: map[uint64]chan message{}, serving: map[uint64]context.CancelFunc{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	go c.read()
	return c
}

// Done is closed when the Conn has ended: by Close, or because the other side is gone.
// Handlers may still run then.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Close ends the Conn and waits for its handlers, whose contexts end.
func (c *Conn) Close() error {
	c.once.Do(func() { close(c.closed) })
	err := c.sock.Close()
	<-c.done
	c.served.Wait()
	return err
}

// Call implements Caller. An error that the other side did not give is ErrEnded, or
// that of a message that is too large.
func (c *Conn) Call(ctx context.Context, method string, body []byte, files ...*os.File) ([]byte, []*os.File, error) {
	if len(body) > MessageMax || len(files) > FilesMax || len(method) > methodMax {
		return nil, nil, tooLarge(method, len(body))
	}
	id, reply, err := c.expect()
	if err != nil {
		return nil, nil, err
	}
	if err := c.send(message{kind: kindCall, id: id, method: method, body: body, files: files}); err != nil {
		c.forget(id)
		return nil, nil, err
	}
	var m message
	var ok bool
	select {
	case m, ok = <-reply:
	case <-ctx.Done():
		if err := c.send(message{kind: kindCancel, id: id}); err != nil {
			c.log.Debug("process: cancelling a call", "method", method, "err", err)
		}
		m, ok = <-reply
	}
	switch {
	case !ok:
		return nil, nil, ErrEnded
	case m.kind == kindError:
		CloseAll(m.files)
		return nil, nil, decodeError(m.body)
	}
	return m.body, m.files, nil
}

func tooLarge(method string, n int) error {
	return &plan.Error{Kind: plan.KindResource, Op: method, Text: fmt.Sprintf("a message of %d bytes between a node and its engine process: at most %d are allowed", n, MessageMax)}
}

// expect registers a call of this side.
func (c *Conn) expect() (uint64, chan message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return 0, nil, ErrEnded
	}
	c.next++
	reply := make(chan message, 1)
	c.waiting[c.next] = reply
	return c.next, reply, nil
}

func (c *Conn) forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
}

// send writes one message.
func (c *Conn) send(m message) error {
	head := make([]byte, headerLen, headerLen+len(m.method)+min(len(m.body), smallBody))
	binary.LittleEndian.PutUint32(head[0:], uint32(len(m.body)))
	head[4], head[5] = m.kind, byte(len(m.files))
	binary.LittleEndian.PutUint16(head[6:], uint16(len(m.method)))
	binary.LittleEndian.PutUint64(head[8:], m.id)
	head = append(head, m.method...)
	rest := m.body
	if len(rest) <= smallBody {
		head, rest = append(head, rest...), nil
	}
	var rights []byte
	if len(m.files) > 0 {
		fds := make([]int, len(m.files))
		for i, f := range m.files {
			fds[i] = int(f.Fd())
		}
		rights = syscall.UnixRights(fds...)
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	n, _, err := c.sock.WriteMsgUnix(head, rights, nil)
	if err == nil && n < len(head) {
		_, err = c.sock.Write(head[n:])
	}
	if err == nil && len(rest) > 0 {
		_, err = c.sock.Write(rest)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrEnded, err)
	}
	return nil
}

// smallBody is the largest body that is copied to be written with its header.
const smallBody = 16 << 10

// read takes messages until the other side is gone or sends nonsense.
func (c *Conn) read() {
	for {
		m, err := c.receive()
		if err == nil {
			err = c.take(m)
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				c.log.Warn("process: reading from the other side", "err", err)
			}
			break
		}
	}
	c.sock.Close()
	c.cancel()
	c.mu.Lock()
	c.ended = true
	for id, reply := range c.waiting {
		close(reply)
		delete(c.waiting, id)
	}
	c.mu.Unlock()
	close(c.done)
}

// receive reads one message.
func (c *Conn) receive() (m message, err error) {
	defer func() {
		if err != nil {
			CloseAll(m.files)
		}
	}()
	var head [headerLen]byte
	oob := make([]byte, syscall.CmsgSpace(FilesMax*4))
	for at := 0; at < headerLen; {
		n, oobn, _, _, err := c.sock.ReadMsgUnix(head[at:], oob)
		if err != nil {
			return m, err
		}
		if n == 0 {
			return m, io.EOF
		}
		at += n
		if m.files, err = appendFiles(m.files, oob[:oobn]); err != nil {
			return m, err
		}
	}
	size, method := binary.LittleEndian.Uint32(head[0:]), binary.LittleEndian.Uint16(head[6:])
	m.kind, m.id = head[4], binary.LittleEndian.Uint64(head[8:])
	if size > MessageMax || method > methodMax || int(head[5]) != len(m.files) {
		return m, fmt.Errorf("process: a message of %d bytes with %d files, of which %d came", size, head[5], len(m.files))
	}
	if m.kind == kindCall && !c.admit(m.weight(int(size))) {
		return m, net.ErrClosed
	}
	buf := make([]byte, int(method)+int(size))
	if _, err := io.ReadFull(c.sock, buf); err != nil {
		return m, fmt.Errorf("process: a message that is cut short: %w", err)
	}
	m.method, m.body = string(buf[:method]), buf[method:]
	return m, nil
}

// weight is what a call takes while it is under way.
func (m *message) weight(body int) int { return body + len(m.files)*fileWeight }

// admit waits until a call of that weight may be under way: the other side is not trusted
// to ask for no more than this one has memory and open files for. It fails once the Conn
// is closed.
func (c *Conn) admit(weight int) bool {
	for {
		c.mu.Lock()
		ok := c.taken == 0 || c.taken+weight <= underWayMax
		if ok {
			c.taken += weight
		}
		c.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-c.freed:
		case <-c.closed:
			return false
		}
	}
}

// appendFiles adds the open files that came with some bytes.
func appendFiles(files []*os.File, oob []byte) ([]*os.File, error) {
	if len(oob) == 0 {
		return files, nil
	}
	list, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return files, fmt.Errorf("process: files beside a message: %w", err)
	}
	for i := range list {
		fds, err := syscall.ParseUnixRights(&list[i])
		if err != nil {
			return files, fmt.Errorf("process: files beside a message: %w", err)
		}
		for _, fd := range fds {
			syscall.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files, nil
}

// take hands a message to who waits for it. An error is the other side's nonsense.
func (c *Conn) take(m message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch m.kind {
	case kindCall:
		if len(c.serving) >= callsMax || c.serving[m.id] != nil {
			CloseAll(m.files)
			return fmt.Errorf("process: call %d of the other side: %d are under way", m.id, len(c.serving))
		}
		ctx, cancel := context.WithCancel(c.ctx)
		c.serving[m.id] = cancel
		c.served.Go(func() { c.serve(ctx, m) })
	case kindReply, kindError:
		reply := c.waiting[m.id]
		if reply == nil {
			CloseAll(m.files)
			return fmt.Errorf("process: a reply to call %d, for which nobody waits", m.id)
		}
		delete(c.waiting, m.id)
		reply <- m
	case kindCancel:
		CloseAll(m.files) // it needs none
		if cancel := c.serving[m.id]; cancel != nil {
			cancel()
		}
	default:
		CloseAll(m.files)
		return fmt.Errorf("process: a message of kind %d", m.kind)
	}
	return nil
}

// serve answers one call.
func (c *Conn) serve(ctx context.Context, m message) {
	body, files, err := c.answer(ctx, m)
	reply, weight := message{kind: kindReply, id: m.id, body: body, files: files}, m.weight(len(m.body))
	if err == nil && (len(body) > MessageMax || len(files) > FilesMax) {
		err = tooLarge(m.method, len(body))
	}
	if err != nil {
		reply = message{kind: kindError, id: m.id, body: encodeError(err)}
	}
	c.mu.Lock()
	c.serving[m.id]()
	delete(c.serving, m.id)
	c.taken -= weight
	c.mu.Unlock()
	select {
	case c.freed <- struct{}{}:
	default: // read has been told, and has not looked yet
	}
	err = c.send(reply)
	CloseAll(files)
	if err != nil && c.ctx.Err() == nil {
		c.log.Debug("process: replying", "method", m.method, "err", err)
	}
}

// answer calls the handler. A panic is its error.
func (c *Conn) answer(ctx context.Context, m message) (body []byte, files []*os.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			c.log.Error("process: a handler panicked", "method", m.method, "panic", r, "stack", string(debug.Stack()))
			err = &plan.Error{Kind: plan.KindInternal, Op: m.method, Text: fmt.Sprintf("panic: %v", r)}
		}
	}()
	return c.handle(ctx, m.method, m.body, m.files)
}

// encodeError is an error as it crosses. Those of a context keep their kind.
func encodeError(err error) []byte {
	pe := *plan.AsError(err)
	switch {
	case errors.Is(err, context.Canceled):
		pe.Kind = plan.KindCancelled
	case errors.Is(err, context.DeadlineExceeded):
		pe.Kind = plan.KindDeadline
	}
	bound(&pe)
	body, err := json.Marshal(&pe)
	if err != nil {
		body = []byte(`{"Text":"an error that cannot be told"}`)
	}
	return body
}

func decodeError(body []byte) error {
	pe := new(plan.Error)
	if err := json.Unmarshal(body, pe); err != nil {
		return fmt.Errorf("process: an error that cannot be read: %w", err)
	}
	bound(pe)
	return pe
}

// bound cuts an error to what is shown and kept of it.
func bound(e *plan.Error) {
	for _, s := range []*string{&e.Op, &e.Subject, &e.Node, &e.Text, &e.Hint, &e.Code} {
		if len(*s) > textMax {
			*s = strings.ToValidUTF8((*s)[:textMax], "") + " …"
		}
	}
	e.Lost = e.Lost[:min(len(e.Lost), lostMax)]
}

// CloseAll closes the files of a call.
func CloseAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// Pair makes the two ends of a socket pair.
func Pair() (mine *net.UnixConn, theirs *os.File, err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, fmt.Errorf("process: make a socket pair: %w", err)
	}
	theirs = os.NewFile(uintptr(fds[1]), "engine")
	if mine, err = unixConn(os.NewFile(uintptr(fds[0]), "node")); err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return mine, theirs, nil
}

// unixConn is a socket's file as a connection. It closes the file.
func unixConn(f *os.File) (*net.UnixConn, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("process: use the socket of a pair: %w", err)
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("process: the socket of a pair is a %T", c)
	}
	return u, nil
}
