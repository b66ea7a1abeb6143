package mesh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Mesh is this node's membership. Its methods may be called from anywhere.
type Mesh struct {
	cfg  Config
	log  *slog.Logger
	view atomic.Pointer[View]
	wake chan struct{} // membership changed
	call chan struct{} // call on lost peers now

	done   context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup // run, rejoin, and calls to seeds

	tell sync.Mutex // held for what Serf takes its time for; taken before mu
	mu   sync.Mutex
	self Member // as announced
	boot *boot  // nil while a new one cannot be started
	// leaving stops reboots, closed stops everything.
	leaving, closed bool
	lost            []string // gossip addresses of members that were lost, oldest first
}

const (
	debounce     = 20 * time.Millisecond // a change seldom comes alone
	refresh      = time.Second           // in case a wake-up was missed
	watchdogTick = 250 * time.Millisecond
)

// Join starts gossiping and joins the mesh that c.Seeds are part of. It returns
// once a seed has answered or another node has called, or when all seeds have failed
// for as long as c.JoinFor says; the error then wraps an ErrNoSeed, ErrWrongKey or
// ErrWrongLabel for each. Nodes that are started together, each with the others as
// seeds, find one another. ErrPortInUse, ErrInsecure and ErrConfig are about this node. The first View is
// there when Join returns. ctx bounds Join alone.
func Join(ctx context.Context, c Config) (*Mesh, error) {
	c, err := c.checked(ctx)
	if err != nil {
		return nil, fmt.Errorf("mesh: %w", err)
	}
	m := &Mesh{cfg: c, log: c.Log, wake: make(chan struct{}, 1), call: make(chan struct{}, 1)}
	m.done, m.cancel = context.WithCancel(context.Background())
	m.self = Member{
		ID: c.Node, Gossip: c.Port, Actors: c.ActorsPort, API: c.APIPort,
		Zone: c.Zone, Version: c.Version, Slots: c.Slots, Memory: c.Memory, Offers: c.Offers,
	}
	if err := m.start(); err != nil {
		m.cancel()
		return nil, fmt.Errorf("mesh: %w", err)
	}
	if err := m.joinSeeds(ctx); err != nil {
		m.Close()
		return nil, fmt.Errorf("mesh: join: %w", err)
	}
	m.rebuild()
	dog := watchdog{last: c.clock()}
	m.work.Go(func() { m.run(dog) })
	m.work.Go(m.rejoin)
	return m, nil
}

// start begins a boot. The caller holds mu, or is Join.
func (m *Mesh) start() error {
	m.self.Boot = newBoot(time.Now(), m.self.Boot)
	b, err := startBoot(m.cfg, m.self, m.wake)
	if err != nil {
		return err
	}
	m.self.Host = b.host
	m.boot = b
	return nil
}

// View is the newest view. It is never nil, and holds this node unless it left
// or another process goes by the same node id and started later.
func (m *Mesh) View() *View { return m.view.Load() }

// Self is this node as it announced itself. Its Boot changes after a pause.
func (m *Mesh) Self() Member {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.self
}

// SetState tells the others that this node takes no new work, or does again. It takes
// up to a second.
func (m *Mesh) SetState(s State) error {
	return m.announce("state", func(self *Member) { self.State = s })
}

func (m *Mesh) announce(what string, change func(*Member)) error {
	m.tell.Lock()
	defer m.tell.Unlock()
	m.mu.Lock()
	change(&m.self)
	self, b, closed := m.self, m.boot, m.closed
	m.mu.Unlock()
	switch {
	case closed:
		return fmt.Errorf("mesh: set %s: %w", what, ErrClosed)
	case b == nil:
		return nil // the next boot will say it
	}
	// A timeout is no failure: the word is out later than Serf cared to wait.
	if err := b.serf.SetTags(self.tags()); err != nil && !strings.Contains(err.Error(), "timeout") {
		return fmt.Errorf("mesh: set %s: %w", what, err)
	}
	return nil
}

// Leave tells the others that this node goes, then closes: it is missing from
// their views at once. It takes about a second, at most three; if ctx ends
// first the leaving goes on and only the wait for it is over.
func (m *Mesh) Leave(ctx context.Context) error {
	left := make(chan error, 1)
	go func() { left <- m.leave() }()
	select {
	case err := <-left:
		return err
	case <-ctx.Done():
		return fmt.Errorf("mesh: leave: %w", ctx.Err())
	}
}

func (m *Mesh) leave() error {
	m.tell.Lock()
	m.mu.Lock()
	m.leaving = true
	b, closed := m.boot, m.closed
	m.mu.Unlock()
	var err error
	if b != nil && !closed {
		err = b.serf.Leave()
	}
	m.tell.Unlock()
	if err := errors.Join(err, m.Close()); err != nil {
		return fmt.Errorf("mesh: leave: %w", err)
	}
	return nil
}

// Close stops gossiping without a word: others notice as they notice a crash.
// Closing twice does nothing.
func (m *Mesh) Close() error {
	m.tell.Lock()
	m.mu.Lock()
	b, closed := m.boot, m.closed
	m.closed = true
	m.mu.Unlock()
	m.cancel()
	var err error
	if b != nil && !closed {
		err = b.close()
	}
	m.tell.Unlock()
	m.work.Wait()
	return err
}

// run makes views until Close.
func (m *Mesh) run(dog watchdog) {
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	pulse := time.NewTicker(watchdogTick)
	defer pulse.Stop()
	settled := time.NewTimer(debounce)
	defer settled.Stop()

	for {
		if gap, paused := dog.step(m.cfg.clock(), m.cfg.Tuning.buriedAfter(len(m.View().Members))); paused {
			m.reboot(gap)
			dog.last = m.cfg.clock() // rebooting took its time
		}
		select {
		case <-m.done.Done():
			return
		case <-m.wake:
			settled.Reset(debounce)
		case <-settled.C:
			m.rebuild()
		case <-tick.C:
			m.renew()
		case <-pulse.C:
		}
	}
}

// reboot ends a boot that the others may have buried, and begins another.
func (m *Mesh) reboot(gap time.Duration) {
	m.log.Warn("mesh: this process was paused for longer than others wait; starting over", "gap", gap)
	if m.cfg.OnPause != nil {
		m.cfg.OnPause(gap)
	}
	m.tell.Lock()
	m.mu.Lock()
	b, stop := m.boot, m.leaving || m.closed
	if !stop {
		m.boot = nil
	}
	m.mu.Unlock()
	if b != nil && !stop {
		b.close()
	}
	m.tell.Unlock()
	m.renew()
}

// renew begins a new boot if there is none, and rebuilds the view. A new boot
// is alone at first: the view says so before those it lacks are called.
func (m *Mesh) renew() {
	started := m.restart()
	m.rebuild()
	if started {
		select {
		case m.call <- struct{}{}:
		default:
		}
	}
}

func (m *Mesh) restart() (started bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.boot != nil || m.leaving || m.closed {
		return false
	}
	if err := m.start(); err != nil {
		m.log.Error("mesh: start over; will try again", "err", err)
		return false
	}
	return true
}
