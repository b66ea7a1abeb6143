// Package registers is the pond's registers as a node uses them: [Registers.Get] and
// [Registers.CAS] of small linearizable values, with the node's own keeper and those of
// others behind them.
//
// What is decided, package register decides: proposers, acceptors, what the roster
// becomes. Here is what acts on it: messages in batches to other nodes, resends, waits,
// and the loop that founds a pond's roster and keeps it whole.
//
// It refuses to know the node: keepers are found by the node's id, which their own
// begins with, and who is alive is an address book and a wake-up, never a quorum.
//
// Keys are overwritten, never deleted. Each costs every keeper its value and about 400
// bytes of memory, and on disk about 1.4 KB while it is small, for as long as the pond
// lives; a change of the roster takes about half a millisecond for each. Whoever is done
// with one overwrites it with little.
//
// Read registers.go, then link.go, roster.go and found.go.
package registers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/fs/register"
)

// Bounds of an operation.
const (
	operationsMax = 256              // at once; more wait
	patience      = 15 * time.Second // of an operation whose context has no deadline
	resendFirst   = 200 * time.Millisecond
	resendMax     = 2 * time.Second
	backoffFirst  = 2 * time.Millisecond
	backoffMax    = 200 * time.Millisecond
)

// ErrNoRoster: the pond has no keepers yet, or none of its nodes was asked that knows
// them.
var ErrNoRoster = errors.New("registers: no keepers are known yet")

// Keeper is a node's own keeper, which fs.OpenKeeper opens.
type Keeper interface {
	ID() register.KeeperID
	Answer(context.Context, []register.Request) ([]register.Reply, error)
	// Lost reports that the node had another keeper, whose data are gone.
	Lost() bool
	Err() error
}

// Member is a node that is alive.
type Member struct {
	Node, Addr, Zone string // Addr is its API's
	Leaving          bool
}

// Config is what registers need of their node.
type Config struct {
	Node   string
	Keeper Keeper
	// View is who is alive, the node itself included, and when that has changed.
	View func() ([]Member, <-chan struct{})
	// Ask carries a call to the node whose API is at an address.
	Ask func(ctx context.Context, addr string, c *api.RegisterCall) (*api.RegisterReply, error)
	// Seeds are the nodes that this one was told to join: a node that has some founds no
	// pond without them.
	Seeds func(context.Context) []Seed
	Grace time.Duration // how long a keeper may be dead before it is replaced
	Log   *slog.Logger
}

// Registers are those of one pond. Its methods may be called from many goroutines.
type Registers struct {
	cfg   Config
	self  register.KeeperID
	turns chan struct{} // one an operation
	ctx   context.Context
	stop  context.CancelFunc
	life  sync.Mutex // held to start a goroutine, and to end
	goes  sync.WaitGroup
	wake  chan struct{} // the roster's loop has something to do

	mu     sync.Mutex
	p      *register.Proposer
	known  chan struct{} // closed once there is a roster
	why    string        // there is none
	links  map[string]*link
	addrs  map[string]string // of nodes, as last seen
	strays map[string]bool   // nodes of other ponds
	// What a node tells that knows of no roster; asked is set once it has asked itself.
	asked                 bool
	peers, named, missing []string
}

// Open starts the node's registers. They end with Close; the keeper is its owner's to
// close after that.
func Open(cfg Config) (*Registers, error) {
	r := &Registers{cfg: cfg, self: cfg.Keeper.ID(), turns: make(chan struct{}, operationsMax), wake: make(chan struct{}, 1),
		known: make(chan struct{}), why: "the node has just started", links: map[string]*link{}, addrs: map[string]string{}, strays: map[string]bool{}}
	r.ctx, r.stop = context.WithCancel(context.Background())
	own, err := r.ownRoster()
	if err != nil {
		r.stop()
		return nil, err
	}
	r.p = register.NewProposer(cfg.Node+"-"+rand.Text(), own)
	if own.Version > 0 {
		close(r.known)
	}
	members, _ := cfg.View()
	r.note(members)
	r.spawn(r.follow)
	r.spawn(r.keep)
	return r, nil
}

// ownRoster is the one that the node's keeper knows.
func (r *Registers) ownRoster() (register.Roster, error) {
	replies, err := r.cfg.Keeper.Answer(r.ctx, []register.Request{{Kind: register.Read, To: r.self, Roster: noRoster}})
	if err != nil {
		return register.Roster{}, fmt.Errorf("registers: %w", err)
	}
	return replies[0].Roster, nil
}

// noRoster is a version that no roster has: a request of it is answered by the roster.
const noRoster = 1<<64 - 1

// Close ends the registers; operations under way fail.
func (r *Registers) Close() {
	r.life.Lock()
	r.stop()
	r.life.Unlock()
	r.goes.Wait()
}

// spawn starts a goroutine that Close waits for, unless that has begun.
func (r *Registers) spawn(f func()) bool {
	r.life.Lock()
	defer r.life.Unlock()
	if r.ctx.Err() != nil {
		return false
	}
	r.goes.Go(f)
	return true
}

// Roster is the newest that the node has heard of; its version is 0 if there is none.
func (r *Registers) Roster() register.Roster {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.p.Roster()
}

// Keepers are the nodes that keep the registers, as far as this one has heard.
func (r *Registers) Keepers() (nodes []string) {
	for _, k := range r.Roster().All() {
		nodes = append(nodes, NodeOf(k))
	}
	return nodes
}

// Health is why registers cannot be used by this node, or its keeper not by others; nil
// if all is well as far as is known without asking others.
func (r *Registers) Health() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.cfg.Keeper.Err(); err != nil {
		return fmt.Errorf("registers: this node's keeper has stopped: %w", err)
	}
	if r.p.Roster().Version == 0 {
		return fmt.Errorf("%w: %s", ErrNoRoster, r.why)
	}
	return nil
}

// NodeOf is the node that a keeper belongs to.
func NodeOf(k register.KeeperID) string {
	node, _, _ := strings.Cut(string(k), "/")
	return node
}

// Get reads a register. One that was never written has version 0 and no data. The
// error is register.ErrMinority, with how many of how many keepers answered, or
// ErrNoRoster. A ctx without a deadline gets one of 15 s.
func (r *Registers) Get(ctx context.Context, key register.Key) (data []byte, version uint64, err error) {
	if err := check(key, nil); err != nil {
		return nil, 0, err
	}
	v, err := r.operate(ctx, func() *register.Operation { return r.p.Get(key) })
	return v.Data, v.Version, err
}

// CAS gives a register new data if its version is expect, and tells its version and
// data then. id names the change: the same one again, by whomever, is the same change,
// and its success is seen, though others have changed the value since; it is retried
// until ctx ends. Errors are, for errors.Is:
//
//	register.ErrConflict   the version is another: it and the data are those that there
//	                       are. The change has not happened; if the error is ErrUnknown
//	                       too, it may have, and eight others since: the data must tell
//	register.ErrUnknown    the change may have happened, or may happen yet
//	register.ErrMinority   it has not, nor will it; so too after ErrNoRoster
func (r *Registers) CAS(ctx context.Context, key register.Key, id register.ChangeID, expect uint64, data []byte) (version uint64, current []byte, err error) {
	if err := check(key, data); err != nil {
		return 0, nil, err
	}
	if id == "" || len(id) > register.KeyMax {
		return 0, nil, fmt.Errorf("registers: a change of %q with an id of %d bytes: 1 to %d are possible", key, len(id), register.KeyMax)
	}
	v, err := r.operate(ctx, func() *register.Operation { return r.p.CAS(key, id, expect, data) })
	return v.Version, v.Data, err
}

// NewChange is an id for a change.
func NewChange() register.ChangeID { return register.ChangeID(rand.Text()) }

func check(key register.Key, data []byte) error {
	switch {
	case key == "" || len(key) > register.KeyMax:
		return fmt.Errorf("registers: a key of %d bytes: 1 to %d are possible", len(key), register.KeyMax)
	case key == register.RosterKey || key == register.FoundingKey:
		return fmt.Errorf("registers: %q is the keepers' own", key)
	case len(data) > register.DataMax:
		return fmt.Errorf("registers: %d bytes for %q: %d are possible", len(data), key, register.DataMax)
	}
	return nil
}

// operate carries out an operation of an owner.
func (r *Registers) operate(ctx context.Context, make func() *register.Operation) (register.Value, error) {
	ctx, cancel := r.within(ctx, patience)
	defer cancel()
	select {
	case r.turns <- struct{}{}:
		defer func() { <-r.turns }()
	case <-ctx.Done():
		return register.Value{}, fmt.Errorf("%w: %d operations are under way, and the time is over", register.ErrMinority, operationsMax)
	}
	select {
	case <-r.known:
	case <-ctx.Done():
		r.mu.Lock()
		defer r.mu.Unlock()
		return register.Value{}, fmt.Errorf("%w: %s", ErrNoRoster, r.why)
	}
	r.mu.Lock()
	op := make()
	first := op.Start()
	r.mu.Unlock()
	r.run(ctx, op, first)
	r.mu.Lock()
	defer r.mu.Unlock()
	return op.Result()
}

// within ends with the registers too, and after d at the latest unless ctx says when.
func (r *Registers) within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	cancel := context.CancelFunc(func() {})
	if _, ok := ctx.Deadline(); !ok {
		ctx, cancel = context.WithTimeout(ctx, d)
	}
	ctx, end := context.WithCancel(ctx)
	unhook := context.AfterFunc(r.ctx, end)
	return ctx, func() { unhook(); end(); cancel() }
}

// operation is a register.Operation or a register.Change.
type operation interface {
	Step(register.Reply) ([]register.Request, register.Status)
	Resend() []register.Request
	Again() []register.Request
}

// run sends an operation's requests and gives it the replies until it is done, or ctx
// ends.
func (r *Registers) run(ctx context.Context, op operation, first []register.Request) {
	ctx, cancel := context.WithCancel(ctx) // what is not sent yet then need not be
	defer cancel()
	replies := make(chan register.Reply, repliesMax)
	r.send(ctx, first, replies)
	resend := resendFirst
	backoff := backoffFirst
	timer := time.NewTimer(resend)
	defer timer.Stop()
	outbid := false
	for {
		var out []register.Request
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			if out = r.again(op, outbid); outbid {
				outbid, resend = false, resendFirst
			} else {
				r.nudge() // perhaps the roster is not what it was
				resend = min(2*resend, resendMax)
			}
			timer.Reset(resend)
		case reply := <-replies:
			var s register.Status
			if out, s = r.step(op, reply); s == register.Done {
				return
			}
			if s == register.Outbid && !outbid {
				outbid = true
				timer.Reset(backoff/2 + mrand.N(backoff))
				backoff = min(2*backoff, backoffMax)
			}
		}
		r.send(ctx, out, replies)
	}
}

func (r *Registers) again(op operation, outbid bool) []register.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	if outbid {
		return op.Again()
	}
	return op.Resend()
}

// step gives an operation a reply, from which it may learn of a newer roster.
func (r *Registers) step(op operation, reply register.Reply) ([]register.Request, register.Status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.p.Roster().Version
	out, s := op.Step(reply)
	if r.p.Roster().Version != before {
		r.nudge()
	}
	return out, s
}

// nudge wakes the roster's loop.
func (r *Registers) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
