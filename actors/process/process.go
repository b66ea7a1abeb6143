package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pondmesh/pond/actors/plan"
)

// Grace is how long a process may take to give up a request before it is ended.
const Grace = 500 * time.Millisecond

// How a process that stands still is found out: one that works on a request is asked each
// silenceTick whether it is there, and ended once it has not answered for so many ticks.
// A node that was stopped itself, or has no processor, counts none meanwhile.
const (
	silenceTick = time.Second
	silenceMax  = 20 // ticks
)

// Process is one engine process. Its user runs one request at a time, and gives it
// back to its Pool.
type Process struct {
	pool  *Pool
	conn  *Conn
	cmd   *exec.Cmd
	dir   string // its own folder, removed when it has ended
	said  *tail  // what it wrote to its standard error
	meter meter  // closed once it has ended

	key    string       // of its Access; "": blank
	used   time.Time    // when it came back; under Pool.mu
	handle atomic.Value // Handler of the request under way; a nil one in between
	limit  atomic.Int64 // bytes of memory beyond which it is ended; 0: none
	memory atomic.Int64 // bytes that it had when last looked at; as it was ended
	why    atomic.Int32 // reason for which it was ended; 0: it was not

	done  chan struct{} // closed once it has ended
	death *plan.Error   // set when done is closed
}

// Reasons for which a process is ended.
const (
	endedIdle = iota + 1
	endedMemory
	endedCancel
	endedSilent
)

// start starts a process of the pool.
func (p *Pool) start() (*Process, error) {
	mine, theirs, err := Pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	dir := filepath.Join(p.config.Dir, fmt.Sprintf("engine-%d", p.started.Add(1)))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		mine.Close()
		return nil, fmt.Errorf("process: start an engine process: %w", err)
	}
	pr := &Process{pool: p, dir: dir, said: &tail{log: p.config.Log}, done: make(chan struct{})}
	pr.handle.Store(Handler(nil))
	pr.cmd = exec.Command(p.config.Program[0], p.config.Program[1:]...)
	pr.cmd.Env = append(environment(), envDir+"="+dir, envConfig+"="+p.config.Config)
	pr.cmd.ExtraFiles = []*os.File{theirs}
	pr.cmd.Stderr = pr.said
	// A signal that a terminal sends to the node's process group is the node's to hear,
	// which ends its processes when it is ready to.
	pr.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := pr.cmd.Start(); err != nil {
		mine.Close()
		os.RemoveAll(dir)
		return nil, fmt.Errorf("process: start an engine process: %w", err)
	}
	pr.meter = newMeter(pr.Pid())
	pr.conn = NewConn(mine, pr.serve, p.config.Log)
	p.ends.Go(pr.wait)
	return pr, nil
}

// kept are the variables of the node's environment that its engine processes see:
// what else is there, such as keys, is none of DuckDB's.
var kept = []string{"LANG", "LC_ALL", "TZ", "GODEBUG", "GOMAXPROCS", "GOCOVERDIR", "GORACE"}

// malloc has the C library give memory back as soon as DuckDB frees it, whose blocks
// are of 256 KiB: otherwise a process holds half as much again as it uses.
var malloc = []string{"MALLOC_ARENA_MAX=2", "MALLOC_MMAP_THRESHOLD_=131072", "MALLOC_TRIM_THRESHOLD_=1048576"}

// environment is that of an engine process.
func environment() []string {
	env := append([]string{envEngine + "=1", "GOTRACEBACK=single"}, malloc...)
	for _, name := range kept {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// serve answers the process's own calls by the request that it works on.
func (pr *Process) serve(ctx context.Context, method string, body []byte, files []*os.File) ([]byte, []*os.File, error) {
	h, _ := pr.handle.Load().(Handler)
	if h == nil {
		CloseAll(files)
		return nil, nil, &plan.Error{Kind: plan.KindInternal, Op: method, Text: "an engine process asks, but works on no request"}
	}
	return h(ctx, method, body, files)
}

// Pid is its process id.
func (pr *Process) Pid() int { return pr.cmd.Process.Pid }

// Dir is its own folder, for spilling and the like: made before it, removed after it.
func (pr *Process) Dir() string { return pr.dir }

// Run has the process work on one request, and answers its calls meanwhile with h. It
// returns within Grace of the end of ctx: a process that does not give up until then
// is ended. When the process dies the error is of KindCrash, of KindMemory when it
// took more than it was given, or of KindUnavailable when somebody killed or stopped it.
func (pr *Process) Run(ctx context.Context, method string, body []byte, h Handler) ([]byte, error) {
	pr.handle.Store(h)
	defer pr.handle.Store(Handler(nil))
	replied, watched := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(watched)
		timer := time.NewTimer(Grace)
		defer timer.Stop()
		select {
		case <-replied:
		case <-timer.C:
			pr.kill(endedCancel)
		}
	})
	go pr.mind(replied)
	reply, files, err := pr.conn.Call(ctx, method, body)
	CloseAll(files) // of none is anything known
	close(replied)
	if !stop() {
		<-watched
	}
	if errors.Is(err, ErrEnded) {
		<-pr.done
		err = pr.death
	} else {
		err = told(err)
	}
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return reply, err
}

// told is an error that the process gave. Terms and their ends are no matter of its: that
// this node's job has another driver it cannot know.
func told(err error) error {
	var pe *plan.Error
	if errors.As(err, &pe) && (pe.Kind == plan.KindFenced || !pe.Kind.Known()) {
		with := *pe
		with.Kind = plan.KindInternal
		return &with
	}
	return err
}

// mind ends the process if it stands still before over is closed: somebody has stopped
// it, and it would hold its request for ever.
func (pr *Process) mind(over <-chan struct{}) {
	tick := time.NewTicker(pr.pool.silence())
	defer tick.Stop()
	var answered chan struct{} // nil: it is not asked
	for silent := 0; silent < silenceMax; {
		select {
		case <-over:
			return
		case <-pr.done:
			return
		case <-answered:
			answered, silent = nil, 0
		case <-tick.C:
			if silent++; answered == nil {
				answered = make(chan struct{})
				go pr.ask(answered)
			}
		}
	}
	pr.kill(endedSilent)
}

// ask closes answered when the process has answered, or is gone.
func (pr *Process) ask(answered chan<- struct{}) {
	defer close(answered)
	_, files, _ := pr.conn.Call(context.Background(), methodAlive, nil)
	CloseAll(files)
}

// Starved reports whether the process was ended for its memory.
func (pr *Process) Starved() bool { return pr.why.Load() == endedMemory }

// kill ends the process, for a reason; the first one counts.
func (pr *Process) kill(why int32) {
	pr.why.CompareAndSwap(0, why)
	_ = pr.cmd.Process.Kill() // it may have ended
}

// wait waits until the process has ended, and clears up behind it.
func (pr *Process) wait() {
	err := pr.cmd.Wait()
	pr.meter.close()
	pr.conn.Close()
	pr.death = pr.explain(err)
	if why := pr.why.Load(); why == 0 || why == endedSilent {
		pr.pool.config.Log.Warn("an engine process ended", "pid", pr.Pid(), "why", pr.death.Text, "said", pr.said.String())
	}
	if err := os.RemoveAll(pr.dir); err != nil {
		pr.pool.config.Log.Warn("process: removing the folder of an engine process", "err", err)
	}
	close(pr.done)
	pr.pool.gone(pr)
}

// killedNear is how near to its limit, in percent, a process that the system killed
// must have been for its memory to be the reason.
const killedNear = 80

// explain says how the process ended.
func (pr *Process) explain(err error) *plan.Error {
	limit, memory := pr.limit.Load(), pr.memory.Load()
	if pr.why.Load() == endedMemory {
		text := fmt.Sprintf("DuckDB took %d MiB of memory, and may have %d", memory>>20, limit>>20)
		if memory <= limit {
			text = fmt.Sprintf("DuckDB had %d MiB of memory when all engine processes of the node together had more than they may", memory>>20)
		}
		return &plan.Error{Kind: plan.KindMemory, Op: "run", Text: text,
			Hint: "give nodes more --memory or fewer --slots, or make the query's rows and lists smaller"}
	}
	if pr.why.Load() == endedSilent {
		return &plan.Error{Kind: plan.KindUnavailable, Op: "run", Text: fmt.Sprintf("the engine process stood still for %v: somebody has stopped it, or its machine has no memory left", silenceMax*pr.pool.silence())}
	}
	if pr.why.Load() != 0 {
		return &plan.Error{Kind: plan.KindUnavailable, Op: "run", Text: "the node ended the engine process"}
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return &plan.Error{Kind: plan.KindCrash, Op: "run", Text: fmt.Sprintf("the engine process ended by itself (%v)", err)}
	}
	status, _ := exit.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		switch s := status.Signal(); s {
		case syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP:
			if limit > 0 && memory*100 > limit*killedNear {
				return &plan.Error{Kind: plan.KindMemory, Op: "run", Text: fmt.Sprintf("the system killed DuckDB, which had %d MiB of memory", memory>>20)}
			}
			return &plan.Error{Kind: plan.KindUnavailable, Op: "run", Text: fmt.Sprintf("the engine process was killed from outside: signal %d (%v)", s, s)}
		default:
			return crashed(s)
		}
	}
	if s := pr.said.signal(); s != 0 {
		return crashed(s)
	}
	text := fmt.Sprintf("DuckDB crashed: its process ended with status %d", status.ExitStatus())
	if line := pr.said.first(); line != "" {
		text += ": " + line
	}
	return &plan.Error{Kind: plan.KindCrash, Op: "run", Text: text}
}

func crashed(s syscall.Signal) *plan.Error {
	return &plan.Error{Kind: plan.KindCrash, Op: "run", Text: fmt.Sprintf("DuckDB crashed: signal %d (%v)", s, s)}
}

// tailMax is how much of the beginning and of the end of what a process says is kept.
const tailMax = 2 << 10

// What goes into the node's log of one process's: lines in a window. Those beyond it are
// counted, and left out.
const (
	saidMax    = 100
	saidWindow = 10 * time.Second
)

// tail takes what a process writes to its standard error. Lines of its log go on to the
// node's; of the rest, such as the last words of a runtime, the beginning and the end
// are kept.
type tail struct {
	log *slog.Logger

	mu         sync.Mutex
	line       []byte // that has not ended yet
	head, rest []byte
	since      time.Time // when the window began
	said, left int       // lines in it, and left out
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	for {
		line, after, ended := bytes.Cut(p, []byte("\n"))
		if t.line = append(t.line, line...); !ended && len(t.line) <= tailMax {
			return n, nil
		}
		if p = after; !t.forward(t.line) {
			t.keep(append(t.line, '\n'))
		}
		t.line = t.line[:0]
	}
}

// forward writes a line of the process's log into the node's.
func (t *tail) forward(line []byte) bool {
	var rec map[string]any
	if len(line) == 0 || line[0] != '{' || json.Unmarshal(line, &rec) != nil {
		return false
	}
	var level slog.Level
	text, _ := rec[slog.LevelKey].(string)
	if level.UnmarshalText([]byte(text)) != nil {
		return false
	}
	if !t.mayLog() {
		return true
	}
	msg, _ := rec[slog.MessageKey].(string)
	var args []any
	for _, k := range slices.Sorted(maps.Keys(rec)) {
		if k != slog.LevelKey && k != slog.MessageKey && k != slog.TimeKey {
			args = append(args, k, rec[k])
		}
	}
	t.log.Log(context.Background(), level, msg, args...)
	return true
}

// mayLog reports whether another line may go into the node's log, and tells how many
// could not in the window before.
func (t *tail) mayLog() bool {
	if now := time.Now(); now.Sub(t.since) >= saidWindow {
		if t.left > 0 {
			t.log.Warn("an engine process said more than is logged", "left_out", t.left)
		}
		t.since, t.said, t.left = now, 0, 0
	}
	if t.said++; t.said > saidMax {
		t.left++
		return false
	}
	return true
}

func (t *tail) keep(p []byte) {
	n := min(len(p), tailMax-len(t.head))
	t.head = append(t.head, p[:n]...)
	if t.rest = append(t.rest, p[n:]...); len(t.rest) > tailMax {
		t.rest = slices.Clone(t.rest[len(t.rest)-tailMax:])
	}
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.head) + string(t.rest) + string(t.line)
}

// first is the first line said.
func (t *tail) first() string {
	line, _, _ := strings.Cut(strings.TrimSpace(t.String()), "\n")
	return line
}

// signalSaid is how the Go runtime tells a signal that it met in C.
var signalSaid = regexp.MustCompile(`(?m)^(?:\[signal )?(SIG[A-Z]+):`)

var signals = map[string]syscall.Signal{"SIGSEGV": syscall.SIGSEGV, "SIGBUS": syscall.SIGBUS, "SIGFPE": syscall.SIGFPE, "SIGABRT": syscall.SIGABRT, "SIGILL": syscall.SIGILL, "SIGTRAP": syscall.SIGTRAP, "SIGSYS": syscall.SIGSYS}

// signal is the one that the Go runtime of the process died of; 0: none.
func (t *tail) signal() syscall.Signal {
	if m := signalSaid.FindStringSubmatch(t.String()); m != nil {
		return signals[m[1]]
	}
	return 0
}
