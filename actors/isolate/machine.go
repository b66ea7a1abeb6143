package isolate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/exec"
	"github.com/pondmesh/pond/actors/funcs"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/process"
	"github.com/pondmesh/pond/fs/faults"
	"github.com/pondmesh/pond/shuffle/transfer"
)

// Journal takes the segments that attempts write.
type Journal interface {
	Share() (journal.Shared, error)
}

// Machine runs task attempts in engine processes, as exec.Machine does in this one.
// Its fields are set before the first Run, and not changed.
type Machine struct {
	Processes *process.Pool
	Memory    Budget
	Journal   Journal
	Blocks    *transfer.Client // reads segments, of this node and of others
	Funcs     *funcs.Registry  // called in this process
	Limits    exec.Limits      // those of Settings: the node looks again
	Faults    *faults.Injector // happen as an attempt begins; nil: none
	Log       *slog.Logger

	packets packetNames
}

// Settings is the configuration of the processes that Machine runs attempts in, each
// of which may use that many bytes of memory and keeps to the limits.
func Settings(memory int64, limits exec.Limits, f *funcs.Registry) (string, error) {
	s := settings{Memory: memory, Limits: limits}
	for _, sc := range f.Scalars() {
		s.Scalar = append(s.Scalar, scalarFunc{sc.Name, sc.Args, sc.Result, sc.Volatile})
	}
	s.Batch = f.BatchNames()
	out, err := json.Marshal(s)
	return string(out), err
}

// Run reads, computes and commits, in a process that may reach what the attempt's
// stage reads and writes. An error has left nothing behind but a staged file, which is
// never published. Errors are plan.Errors, or a context's.
func (m *Machine) Run(ctx context.Context, a exec.Attempt, packets exec.Packets) (*exec.Outcome, error) {
	packet, err := packets.Get(ctx, a.Stage, a.Version)
	if err != nil {
		return nil, err
	}
	access := m.packets.access(packet, false)
	out, err := m.try(ctx, a, packet, packets, access)
	if err != nil && errors.Is(err, errEnded) && ctx.Err() == nil {
		m.Log.Info("a task took more memory than it may, and runs again with less", "job", a.Job, "attempt", a.ID, "err", err)
		a.Frugal = true
		out, err = m.try(ctx, a, packet, packets, access)
	}
	for tries := 1; refused(err) && ctx.Err() == nil && access.Moved(); tries++ {
		if tries == movedTries {
			return nil, moving(err)
		}
		access = m.packets.access(packet, true)
		out, err = m.try(ctx, a, packet, packets, access)
	}
	return out, err
}

// movedTries is how often something is tried while the files that its names mean are
// replaced by others.
const movedTries = 5

// moving is the error of what failed while its files were replaced, each time that it was tried.
func moving(err error) error {
	return &plan.Error{Kind: plan.KindUnavailable, Op: "run", Text: fmt.Sprintf("files are replaced by others while they are opened, %d times by now: %v", movedTries, plan.AsError(err).Text),
		Hint: "run it again when they are no longer replaced, or write new files under other names"}
}

// refused reports whether an error may be of a process that was confined to files which are
// not there any more.
func refused(err error) bool {
	return errors.Is(err, plan.ErrDenied) || errors.Is(err, plan.ErrNotFound) || errors.Is(err, plan.ErrQuery) && strings.Contains(plan.AsError(err).Text, lockedText)
}

// lockedText is what DuckDB says of a path that is none of its own: of another one, which it
// makes of the name of a text file that is not there.
const lockedText = "disabled by configuration"

// errEnded is what an error wraps when a process was ended for its memory.
var errEnded = errors.New("ended for its memory")

// frugalShare is how much of its memory DuckDB is told that it has, in percent, when it
// took too much before: it does not count all that it takes.
const frugalShare = 60

// try runs the attempt in one process.
func (m *Machine) try(ctx context.Context, a exec.Attempt, packet *api.Packet, packets exec.Packets, access process.Access) (out *exec.Outcome, err error) {
	pr, err := m.Processes.Get(ctx, process.Need{Access: access, User: packet.Owner, Memory: m.Memory.Limit(a.Memory)})
	if err != nil {
		return nil, err
	}
	defer func() { back(m.Processes, pr, err) }()
	s := &session{m: m, a: a, packet: packet, packets: packets, dir: pr.Dir()}
	defer s.close()
	inside := a
	if inside.Memory = m.Memory.Inside(a.Memory); a.Frugal {
		inside.Memory = inside.Memory * frugalShare / 100
	}
	request := runRequest{Attempt: inside, Segment: packet.Stage().Exchange.Kind != plan.Files}
	if request.Token, request.Packet, err = m.packets.small(packet); err != nil {
		return nil, err
	}
	body, err := jsonOf(request)
	if err != nil {
		return nil, err
	}
	m.strike(pr)
	begun := time.Now()
	watched, stop := s.watched(ctx, pr)
	body, err = pr.Run(watched, methodRun, body, s.serve)
	stop()
	if err != nil {
		err = died(pr, err, "run", "ran", textOf(packet.Stage()), exec.FilesOf(packet, a))
		if pr.Starved() {
			err = fmt.Errorf("%w: %w", errEnded, err)
		}
		return nil, err
	}
	told := new(runReply)
	if err := fromBytes(body, told); err != nil {
		return nil, exec.Named(a, packet.Stage(), disbelieved("%v", err))
	}
	if out, err = s.end(told, time.Since(begun)); err != nil {
		return nil, exec.Named(a, packet.Stage(), plan.AsError(err))
	}
	return out, nil
}

// strike has the process die, or stop, where that is armed.
func (m *Machine) strike(pr *process.Process) {
	switch m.Faults.At(faults.Attempt) {
	case faults.Kill:
		_ = syscall.Kill(pr.Pid(), syscall.SIGKILL)
	case faults.Hang:
		_ = syscall.Kill(pr.Pid(), syscall.SIGSTOP)
	}
}

// accessOf is what a process that runs tasks of a stage may reach.
func accessOf(stage *plan.Stage, access []string, staging string) (out process.Access) {
	o := engines.ForStage(stage, access, "", 0, 0)
	out.Read = slices.Concat(o.Files, o.Dirs)
	slices.Sort(out.Read)
	if stage.Exchange.Write != nil && staging != "" {
		out.Write = []string{staging + "/"}
	}
	return out
}

// packetNames keeps what is known of the last packets: a stage's tasks share one, of
// which some name thousands of files.
type packetNames struct {
	mu   sync.Mutex
	last []*packed // the newest first, at most packetsKept
	made int
}

type packed struct {
	packet   *api.Packet
	token    string    // names the packet for as long as it is one of the last: a process keeps one
	encode   sync.Once // sets the next two
	small    []byte    // the packet, if it has at most packetSent bytes; nil: it has more
	err      error
	access   process.Access // resolved
	resolved time.Time
}

const (
	packetsKept = 8
	resolvedFor = time.Second // which files an Access means is looked at no more often
)

// of is what is known of a packet; the lock is held.
func (p *packetNames) of(packet *api.Packet) *packed {
	if i := slices.IndexFunc(p.last, func(o *packed) bool { return o.packet == packet }); i >= 0 {
		return p.last[i]
	}
	p.made++
	p.last = slices.Insert(p.last, 0, &packed{packet: packet, token: fmt.Sprint(p.made)})
	p.last = p.last[:min(len(p.last), packetsKept)]
	return p.last[0]
}

// small is a packet's token, and the packet if it is small.
func (p *packetNames) small(packet *api.Packet) (token string, small []byte, err error) {
	p.mu.Lock()
	known := p.of(packet)
	p.mu.Unlock()
	known.encode.Do(func() { // not under the lock: large ones take a while
		b, err := packet.MarshalBinary()
		if known.err = err; len(b) <= packetSent {
			known.small = b
		}
	})
	return known.token, known.small, known.err
}

// access is what a process that runs tasks of the packet's stage may reach; anew: as it is now.
func (p *packetNames) access(packet *api.Packet, anew bool) process.Access {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.of(packet)
	if anew || time.Since(known.resolved) > resolvedFor {
		known.access = accessOf(packet.Stage(), packet.Access, packet.Staging).Resolved()
		known.resolved = time.Now()
	}
	return known.access
}
