package faults

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Bounds.
const (
	KeyMin    = 16 // bytes of a key
	OrdersMax = 64 // armed at once
	LateMax   = time.Minute
	timesMax  = 1 << 20
)

// ErrOrder is an order that cannot be armed.
var ErrOrder = errors.New("no such fault")

// Order says what is to happen at a point.
type Order struct {
	Point Point  `json:"point"`
	Do    Action `json:"do"`
	Skip  int    `json:"skip,omitempty"`  // so often the point is passed first
	Times int    `json:"times,omitempty"` // it fires so often at most; 0: once
	// Chance is how likely it fires each time, in percent; 0: certainly. Seed settles
	// the draws.
	Chance int    `json:"chance,omitempty"`
	Seed   uint64 `json:"seed,omitempty"`
	Late   int64  `json:"late_ms,omitempty"` // of delay: milliseconds
}

// Check refuses an order that nothing would come of.
func (o *Order) Check() error {
	place, ok := find(o.Point)
	switch {
	case !ok:
		return fmt.Errorf("%w: there is no point %q", ErrOrder, o.Point)
	case !slices.Contains(place.Takes, o.Do):
		return fmt.Errorf("%w: %q is not possible at %s: use one of %s", ErrOrder, o.Do, o.Point, List(place.Takes))
	case o.Skip < 0 || o.Skip > timesMax || o.Times < 0 || o.Times > timesMax:
		return fmt.Errorf("%w: skip %d and times %d are to be 0 to %d", ErrOrder, o.Skip, o.Times, timesMax)
	case o.Chance < 0 || o.Chance > 100:
		return fmt.Errorf("%w: a chance of %d is not one of 0 to 100 percent", ErrOrder, o.Chance)
	case (o.Do == Delay) != (o.Late > 0) || o.Late > LateMax.Milliseconds():
		return fmt.Errorf("%w: delay takes how late, up to %v, and no other does", ErrOrder, LateMax)
	}
	return nil
}

// List names actions.
func List(actions []Action) string {
	var out []string
	for _, a := range actions {
		out = append(out, string(a))
	}
	return strings.Join(out, ", ")
}

// State is an order that was armed, and what came of it.
type State struct {
	Order
	Passed int64 `json:"passed"` // how often the point was come by since
	Fired  int64 `json:"fired"`
}

// Injector has the orders of one node. Its methods may be called from many goroutines;
// of a nil one, At and Fail do nothing.
type Injector struct {
	key   []byte
	log   *slog.Logger
	armed atomic.Bool // there are orders: all that is looked at otherwise

	mu     sync.Mutex
	orders []*order // at most OrdersMax
}

type order struct {
	State
	rng *rand.Rand
}

// New returns an Injector whose orders are taken from holders of the key.
func New(key string, log *slog.Logger) (*Injector, error) {
	if len(key) < KeyMin {
		return nil, fmt.Errorf("a chaos key of %d bytes: at least %d are needed", len(key), KeyMin)
	}
	return &Injector{key: []byte(key), log: log}, nil
}

// Allows reports whether key is the Injector's.
func (i *Injector) Allows(key string) bool {
	return subtle.ConstantTimeCompare(i.key, []byte(key)) == 1
}

// Arm adds an order. It is ErrOrder when nothing would come of it, or there are too many.
func (i *Injector) Arm(o Order) error {
	if err := o.Check(); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.orders) == OrdersMax {
		return fmt.Errorf("%w: %d are armed already", ErrOrder, OrdersMax)
	}
	o.Times = max(o.Times, 1)
	i.orders = append(i.orders, &order{State: State{Order: o}, rng: rand.New(rand.NewPCG(o.Seed, 0))})
	i.armed.Store(true)
	i.log.Warn("a fault is armed", "point", o.Point, "do", o.Do)
	return nil
}

// Disarm drops all orders, and tells what came of them.
func (i *Injector) Disarm() []State {
	i.mu.Lock()
	defer i.mu.Unlock()
	out := i.states()
	i.orders = nil
	i.armed.Store(false)
	return out
}

// States are the orders, and what came of them so far.
func (i *Injector) States() []State {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.states()
}

func (i *Injector) states() []State {
	out := make([]State, 0, len(i.orders))
	for _, o := range i.orders {
		out = append(out, o.State)
	}
	return out
}

// At is asked at a point. It returns what the caller is to do; "" is nothing. A crash
// and a delay have happened when it returns.
func (i *Injector) At(p Point) Action {
	if i == nil || !i.armed.Load() {
		return ""
	}
	return i.fire(p)
}

// Fail is At for points where a disk is written: the error that it would give.
func (i *Injector) Fail(p Point) error { return i.At(p).At(p) }

// At is the action as the error of a disk at a point, or nil if it is none.
func (a Action) At(p Point) error {
	switch a {
	case EIO:
		return fmt.Errorf("fault at %s: %w", p, syscall.EIO)
	case ENOSPC:
		return fmt.Errorf("fault at %s: %w", p, syscall.ENOSPC)
	}
	return nil
}

func (i *Injector) fire(p Point) Action {
	late, do := i.due(p)
	if late > 0 {
		i.log.Warn("a fault fires", "point", p, "do", Delay, "late", late)
		time.Sleep(late)
	}
	if do != "" {
		i.log.Warn("a fault fires", "point", p, "do", do)
	}
	if do == Crash {
		Die()
	}
	return do
}

// due is what happens at a point now: delays that add up, and one other action.
func (i *Injector) due(p Point) (late time.Duration, do Action) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, o := range i.orders {
		if o.Point != p || o.Fired == int64(o.Times) {
			continue
		}
		if o.Passed++; o.Passed <= int64(o.Skip) || o.Chance > 0 && o.rng.IntN(100) >= o.Chance {
			continue
		}
		switch {
		case o.Do == Delay:
			late += time.Duration(o.Late) * time.Millisecond
		case do == "":
			do = o.Do
		default:
			continue // at the next pass
		}
		o.Fired++
	}
	return min(late, LateMax), do
}

// Die ends the process at once, as kill -9 does: nothing more of it runs.
func Die() {
	if p, err := os.FindProcess(os.Getpid()); err == nil {
		_ = p.Kill()
	}
	select {}
}
