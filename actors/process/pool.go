package process

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pondmesh/pond/actors/plan"
)

// MethodConfine is the first request of a process: the body is its Access, as JSON. It
// gives up whatever else it could reach, for good.
const MethodConfine = "confine"

// methodAlive is answered by every process, whatever it works on.
const methodAlive = "alive"

// Access lists what an engine process may reach beside its own folder. Folders end in
// a slash. Both lists are sorted.
type Access struct {
	Read  []string
	Write []string

	key string // see Resolved
}

// Resolved is a with the files that its names mean now, which takes a look at each: Get
// believes it. Of an Access that was not resolved Get does so by itself.
func (a Access) Resolved() Access {
	a.key = a.resolve()
	return a
}

// Moved reports whether names of a, which is resolved, mean other files now. What a process
// is refused that was confined before, another one may have.
func (a Access) Moved() bool { return a.key != a.resolve() }

// Need is what a request asks of a process.
type Need struct {
	Access Access
	User   string // for whom it works: a process that did so once works for nobody else
	Memory int64  // bytes that the process may have; 0: no limit
}

// Config of a Pool.
type Config struct {
	Program []string // that is started; its Main makes it an engine process
	Config  string   // that each process is given, at most 100 KiB
	Dir     string   // below which each process has a folder of its own
	Blank   int      // processes kept ready for any Access
	Idle    int      // used ones kept for the next request of their Access
	Memory  int64    // bytes that all of them together may have; 0: no limit
	Log     *slog.Logger

	Tick time.Duration // how often a process that works is asked whether it is there; 0: a second
}

// Pool is a node's engine processes. It bounds those that it keeps, not those that
// are out. It is safe for concurrent use.
type Pool struct {
	config  Config
	started atomic.Int64
	ends    sync.WaitGroup // one wait for each process, and tend
	quit    chan struct{}
	wake    chan struct{} // tells tend that there may be something to do

	crashed, starved atomic.Int64

	mu     sync.Mutex
	moved  time.Time // when a request came or went last
	all    map[*Process]bool
	blank  []*Process
	idle   []*Process // least recently used first
	closed bool
}

// Times of a Pool.
const (
	idleMax   = 30 * time.Second      // a process that nobody needs for so long is ended
	idleBig   = 2 * time.Second       // the same for one that has much memory
	bigMemory = 96 << 20              // bytes that are much for one that does nothing
	lookNear  = 4 * time.Millisecond  // between two looks at memory while it may soon be too much
	lookBusy  = time.Second / 4       // the most between two while requests run: see pause
	lookIdle  = time.Second           // the same while none does
	nearShare = 70                    // percent of what may be had, from which on it is looked at most often
	growth    = 2 << 30               // bytes a second that a core may take
	tidyPause = 20 * time.Millisecond // starting a blank process waits so long, and until no request runs …
	tidyQuiet = 60 * time.Millisecond // … or came or went for so long, while one is ready: it takes 40 ms of a core …
	tidyMax   = time.Second / 4       // … but not much longer than that
	retryWait = time.Second           // after a start that failed
)

// Processes that do nothing may have idleShare percent of the memory though requests
// were promised all of it: few take what they may, and starting a process costs some 30
// ms of a core. Once all together have idleUntil percent they end: what they have takes a
// while to come back, and a request grows meanwhile.
const (
	idleShare = 25
	idleUntil = 50
)

// blankTriesMax is how many processes in a row may die before they work for one who
// waits for one: such a node's program, or its machine, is not fit for any.
const blankTriesMax = 10

// NewPool starts a pool, and its blank processes in the background.
func NewPool(c Config) *Pool {
	p := &Pool{config: c, quit: make(chan struct{}), wake: make(chan struct{}, 1), all: map[*Process]bool{}}
	p.ends.Go(p.tend)
	p.poke()
	return p
}

// silence is how often a process that works is asked whether it is there.
func (p *Pool) silence() time.Duration { return cmp.Or(p.config.Tick, silenceTick) }

// Close ends all processes, those that are out too.
func (p *Pool) Close() error {
	p.mu.Lock()
	closed := p.closed
	p.closed = true
	var list []*Process
	for pr := range p.all {
		list = append(list, pr)
	}
	p.mu.Unlock()
	if !closed {
		close(p.quit)
	}
	for _, pr := range list {
		pr.kill(endedIdle)
	}
	p.ends.Wait()
	return nil
}

// Get takes a process out of the pool: one that had the same Access before, for the same
// user, else a blank one, else a new one. The caller gives it back with Put.
func (p *Pool) Get(ctx context.Context, n Need) (*Process, error) {
	key := n.Access.key
	if key == "" {
		key = n.Access.resolve()
	}
	key += n.User
	for try := 1; ; try++ {
		pr, err := p.take(key)
		if err != nil {
			return nil, err
		}
		p.spare(pr, n.Memory)
		pr.limit.Store(n.Memory)
		if pr.key == key {
			return pr, nil
		}
		err = pr.confine(ctx, n.Access)
		if err == nil {
			pr.key = key
			return pr, nil
		}
		died := pr.Dead()
		pr.kill(endedIdle)
		if !died || ctx.Err() != nil { // one that died blank says nothing about the next
			return nil, fmt.Errorf("process: confine an engine process: %w", err)
		}
		if try == blankTriesMax {
			return nil, &plan.Error{Kind: plan.KindResource, Op: "run", Text: fmt.Sprintf("%d engine processes in a row died before they were asked for anything, the last so: %v", try, err), Hint: "look at that node's log"}
		}
	}
}

// Dead reports whether the process has ended.
func (pr *Process) Dead() bool {
	select {
	case <-pr.done:
		return true
	default:
		return false
	}
}

// confine tells a blank process its Access.
func (pr *Process) confine(ctx context.Context, a Access) error {
	body, err := json.Marshal(a)
	if err != nil {
		return err
	}
	_, err = pr.Run(ctx, MethodConfine, body, nil)
	return err
}

// take takes a process of that key, or a blank one.
func (p *Pool) take(key string) (*Process, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	defer p.poke()
	p.moved = time.Now()
	for i, pr := range slices.Backward(p.idle) {
		if pr.key == key && !pr.Dead() {
			p.idle = slices.Delete(p.idle, i, i+1)
			return pr, nil
		}
	}
	for len(p.blank) > 0 {
		pr := p.blank[0] // the oldest is the likeliest to be ready
		if p.blank = p.blank[1:]; !pr.Dead() {
			return pr, nil
		}
	}
	return p.add()
}

// add starts a process; the lock is held.
func (p *Pool) add() (*Process, error) {
	pr, err := p.start()
	if err != nil {
		return nil, &plan.Error{Kind: plan.KindResource, Op: "run", Text: err.Error(), Hint: "look at the limits of processes and open files on that node"}
	}
	p.all[pr] = true
	return pr, nil
}

var errClosed = &plan.Error{Kind: plan.KindUnavailable, Op: "run", Text: "the node is stopping"}

// Put gives a process back. One that died, or was told to give up, is ended.
func (p *Pool) Put(pr *Process) {
	pr.limit.Store(0)
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.poke()
	p.moved = time.Now()
	if p.closed || pr.why.Load() != 0 || pr.key == "" || pr.Dead() || p.config.Idle == 0 {
		pr.kill(endedIdle)
		return
	}
	pr.used = p.moved
	p.idle = append(p.idle, pr)
	if len(p.idle) > p.config.Idle {
		p.idle[0].kill(endedIdle)
		p.idle = p.idle[1:]
	}
}

// Drop gives a process back that is not to be used again.
func (p *Pool) Drop(pr *Process) { pr.kill(endedIdle) }

// Stats are a pool's processes and how they ended.
type Stats struct {
	Alive   int
	Memory  int64 // bytes, of all, when last looked at
	Started int64
	Crashed int64 // nobody here ended them
	Starved int64 // ended for their memory
}

// Stats is how the pool stands.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Stats{Alive: len(p.all), Started: p.started.Load(), Crashed: p.crashed.Load(), Starved: p.starved.Load()}
	for pr := range p.all {
		s.Memory += pr.memory.Load()
	}
	return s
}

// gone forgets a process that has ended.
func (p *Pool) gone(pr *Process) {
	switch pr.why.Load() {
	case 0:
		p.crashed.Add(1)
	case endedMemory:
		p.starved.Add(1)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, pr)
	same := func(o *Process) bool { return o == pr }
	p.blank, p.idle = slices.DeleteFunc(p.blank, same), slices.DeleteFunc(p.idle, same)
	p.poke()
}

// poke wakes tend.
func (p *Pool) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// tend keeps blank processes ready, looks at memory, and ends what nobody needs.
func (p *Pool) tend() {
	look := time.NewTimer(0)
	defer look.Stop()
	var refill <-chan time.Time
	var since time.Time // when refill was set first
	for {
		select {
		case <-p.quit:
			return
		case <-p.wake:
			if refill == nil {
				refill, since = time.After(tidyPause), time.Now()
			}
			look.Reset(0)
		case <-refill:
			refill = nil
			if again := p.refill(time.Since(since)); again > 0 {
				refill = time.After(again)
			}
		case <-look.C:
			look.Reset(p.watch())
		}
	}
}

// mayStart reports whether a blank process is started beside so many that are ready, when
// one has been missed for so long. busy: a request runs; quiet is since one came or went.
func mayStart(ready int, busy bool, waited, quiet time.Duration) bool {
	return waited >= tidyMax || !busy && (ready == 0 || quiet >= tidyQuiet)
}

// busy reports whether a request has a process; the lock is held.
func (p *Pool) busy() bool { return len(p.all) > len(p.blank)+len(p.idle) }

// refill starts blank processes until there are enough, and says when to try again: 0
// when there is no need to. They have been waited for so long.
func (p *Pool) refill(waited time.Duration) (again time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.closed && len(p.blank) < p.config.Blank && (len(p.all) == 0 || p.roomForBlank()) {
		if !mayStart(len(p.blank), p.busy(), waited, time.Since(p.moved)) {
			return tidyPause
		}
		pr, err := p.add()
		if err != nil {
			p.config.Log.Warn("process: starting an engine process", "err", err)
			return retryWait
		}
		p.blank = append(p.blank, pr)
	}
	return 0
}

// watch looks at the memory of all processes, ends those that have too much or that
// nobody needs, and says when to look again.
func (p *Pool) watch() time.Duration {
	p.mu.Lock()
	list := make([]*Process, 0, len(p.all))
	for pr := range p.all {
		list = append(list, pr)
	}
	busy := p.busy()
	p.mu.Unlock()
	next, sum := lookBusy, int64(0)
	for _, pr := range list {
		if pr.why.Load() != 0 {
			continue
		}
		has := pr.meter.resident()
		pr.memory.Store(has)
		sum += has
		limit := pr.limit.Load()
		if next = min(next, pause(has, limit)); limit > 0 && has > limit {
			pr.kill(endedMemory)
		}
	}
	p.endUnneeded()
	p.keepWithin(list)
	if !busy {
		return lookIdle
	}
	return min(next, pause(sum, p.config.Memory))
}

// pause is how long it takes memory to come near its limit, 0 being none. Looking more
// often than that costs a node that does little else some percent of a core.
func pause(memory, limit int64) time.Duration {
	if limit == 0 {
		return lookBusy
	}
	left := float64(limit*nearShare/100-memory) / float64(growth*runtime.NumCPU())
	return min(max(time.Duration(left*float64(time.Second)), lookNear), lookBusy)
}

// keepWithin ends idle and blank processes while all together may soon have too much
// memory, and the one that has most once they have it.
func (p *Pool) keepWithin(list []*Process) {
	if p.config.Memory == 0 {
		return
	}
	sum := int64(0)
	var most *Process
	for _, pr := range list {
		if pr.why.Load() != 0 {
			continue
		}
		has := pr.memory.Load()
		if sum += has; pr.limit.Load() > 0 && (most == nil || has > most.memory.Load()) {
			most = pr
		}
	}
	if sum -= p.endIdle(sum - p.config.Memory*idleUntil/100); sum > p.config.Memory && most != nil {
		most.kill(endedMemory)
	}
}

// blankMemory is about what a blank process takes: there must be room for it.
const blankMemory = 12 << 20

// roomForBlank reports whether a blank process can be kept; the lock is held. One that
// would soon be ended again is not started.
func (p *Pool) roomForBlank() bool {
	if p.config.Memory == 0 {
		return true
	}
	has := int64(blankMemory)
	for pr := range p.all {
		has += pr.memory.Load()
	}
	return has*100 <= p.config.Memory*idleUntil && p.excess(nil, blankMemory) <= 0
}

// excess is by how much the memory that all processes but one have, or may come to have,
// is too much when more bytes are promised; the lock is held.
func (p *Pool) excess(but *Process, more int64) int64 {
	for pr := range p.all {
		if pr != but {
			more += max(pr.memory.Load(), pr.limit.Load())
		}
	}
	return more - p.config.Memory*(100+idleShare)/100
}

// endIdle ends idle and blank processes until they give that many bytes back, and says
// how many they had.
func (p *Pool) endIdle(bytes int64) (had int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, list := range []*[]*Process{&p.idle, &p.blank} {
		for had < bytes && len(*list) > 0 {
			pr := (*list)[0]
			*list = (*list)[1:]
			had += pr.memory.Load()
			pr.kill(endedIdle)
		}
	}
	return had
}

// endUnneeded ends processes that have been idle for too long.
func (p *Pool) endUnneeded() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = slices.DeleteFunc(p.idle, func(pr *Process) bool {
		since := time.Since(pr.used)
		over := since > idleMax || since > idleBig && pr.memory.Load() > bigMemory
		if over {
			pr.kill(endedIdle)
		}
		return over
	})
}

// spare ends idle and blank processes until what is left has room beside pr with its
// new limit.
func (p *Pool) spare(pr *Process, limit int64) {
	if p.config.Memory == 0 {
		return
	}
	p.mu.Lock()
	excess := p.excess(pr, limit)
	p.mu.Unlock()
	p.endIdle(excess)
}

// resolve stands for an Access, and for which files its names mean now: rules of the
// kernel are about files, not about names.
func (a Access) resolve() string {
	h := sha256.New()
	for _, list := range [][]string{a.Read, a.Write} {
		for _, path := range list {
			id, _ := identity(path)
			fmt.Fprintf(h, "%q %s\n", path, id)
		}
		fmt.Fprintln(h)
	}
	return string(h.Sum(nil))
}

// numbered is identity where no more is known of a file than its number.
func numbered(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return "none"
		}
		return err.Error()
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprint(st.Dev, st.Ino)
	}
	return ""
}
