package mesh

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// joinSeeds calls all seeds at once until one answers, or calls this node, for as
// long as Config.JoinFor says. What no waiting mends ends it at once.
func (m *Mesh) joinSeeds(ctx context.Context) error {
	begun := time.Now()
	var calls calling
	for {
		err := m.callSeeds(ctx)
		if err == nil || m.met() {
			return nil
		}
		pause, again := calls.failed(err, time.Since(begun), m.cfg.JoinFor)
		if !again || ctx.Err() != nil {
			return err
		}
		if calls.tell(time.Since(begun)) {
			m.log.Warn("no peer answers: this node goes on calling them, and is ready once one does", "peers", m.cfg.Seeds, "why", oneLine(err))
		}
		if met := m.awaitCall(ctx, pause); met {
			return nil
		}
	}
}

// awaitCall waits, and reports whether another node has called meanwhile.
func (m *Mesh) awaitCall(ctx context.Context, pause time.Duration) bool {
	t := time.NewTimer(pause)
	defer t.Stop()
	for {
		select {
		case <-m.wake:
			if m.met() {
				return true
			}
		case <-t.C:
			return m.met()
		case <-ctx.Done():
			return false
		}
	}
}

// met reports whether any other node is known to be alive.
func (m *Mesh) met() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.boot != nil && slices.ContainsFunc(m.boot.members(), func(o Member) bool { return o.ID != m.self.ID })
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// callSeeds calls all seeds once and returns when the first answers.
func (m *Mesh) callSeeds(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.Tuning.JoinTimeout)
	defer cancel()
	seeds, myself, errs := m.resolveSeeds(ctx)
	if len(seeds) > 0 {
		err := m.callAny(ctx, seeds)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	err := errors.Join(errs...)
	if myself && err != nil {
		m.log.Info("mesh: first of its seeds to be up", "err", err)
		return nil
	}
	return err
}

// resolveSeeds turns names into addresses, all that a name has, and drops this
// node's own; myself says whether that was among them.
func (m *Mesh) resolveSeeds(ctx context.Context) (addrs []string, myself bool, errs []error) {
	self := m.Self()
	for _, seed := range m.cfg.Seeds {
		host, port, err := splitSeed(seed, m.cfg.Port)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		ips, err := m.cfg.resolve(ctx, host)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w: %w", seed, ErrNoSeed, err))
			continue
		}
		for _, ip := range ips {
			addr := hostPort(ip.String(), port)
			if addr == self.GossipAddr() || addr == hostPort(m.cfg.Bind, m.cfg.Port) {
				myself = true
			} else if !slices.Contains(addrs, addr) {
				addrs = append(addrs, addr)
			}
		}
	}
	return addrs, myself, errs
}

func splitSeed(seed string, port int) (string, int, error) {
	host, text, err := net.SplitHostPort(seed)
	if err != nil {
		return strings.Trim(seed, "[]"), port, nil // no port
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("%w: seed %q: want host:port", ErrConfig, seed)
	}
	return host, int(n), nil
}

// callAny exchanges membership with all of addrs at once. It returns nil when
// one has answered, else why each did not; the other calls end by themselves.
func (m *Mesh) callAny(ctx context.Context, addrs []string) error {
	m.mu.Lock()
	b := m.boot
	m.mu.Unlock()
	if b == nil {
		return ErrClosed
	}
	type result struct {
		addr string
		err  error
	}
	results := make(chan result, len(addrs))
	for _, addr := range addrs {
		m.work.Go(func() {
			_, err := b.serf.Memberlist().Join([]string{addr})
			results <- result{addr, err}
		})
	}
	var errs []error
	for range addrs {
		select {
		case r := <-results:
			if r.err == nil {
				return nil
			}
			errs = append(errs, seedError(r.addr, r.err))
		case <-ctx.Done():
			return errors.Join(append(errs, fmt.Errorf("%w: %w", ErrNoSeed, ctx.Err()))...)
		}
	}
	return errors.Join(errs...)
}

// seedError explains why a seed failed. memberlist keeps only the text of the
// error, and a peer with another label only hangs up.
func seedError(addr string, err error) error {
	_, text, _ := strings.Cut(err.Error(), "failed to join "+addr+": ")
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(text, p) })
	}
	kind, why := ErrNoSeed, strings.TrimSpace(text)
	switch {
	case has("encrypt", "decrypt"):
		kind, why = ErrWrongKey, "it answers, but its key is not ours, or only one of us has one (or this is no gossip port)"
	case has("EOF", "reset by peer", "broken pipe"):
		kind, why = ErrWrongLabel, "it hung up on us, as the gossip port of another mesh does"
	case has("msgType"):
		why = "it answers, but this is no gossip port"
	case has("refused"):
		why = "nothing listens there; the first node of a mesh starts without a peer"
	case has("timeout"):
		why = "it does not answer; the first node of a mesh starts without a peer"
	}
	return fmt.Errorf("%s: %w: %s", addr, kind, why)
}

// callsMax bounds the peers called in one round of rejoin.
const callsMax = 8

// rejoin calls, until Close, on seeds and lost members that are in no view, so
// that the halves of a mesh meet again however long they were apart: Serf gives
// up on the dead after ReconnectTimeout.
func (m *Mesh) rejoin() {
	tick := time.NewTicker(m.cfg.Tuning.RejoinInterval)
	defer tick.Stop()
	for {
		select {
		case <-m.done.Done():
			return
		case <-m.call:
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(m.done, m.cfg.Tuning.JoinTimeout)
		missing := m.missing(ctx)
		if len(missing) > 0 {
			if err := m.callAny(ctx, missing); err != nil {
				m.log.Debug("mesh: lost peers still do not answer", "err", err)
			}
		}
		cancel()
	}
}

// missing picks some of the seeds and lost members that the view lacks.
func (m *Mesh) missing(ctx context.Context) []string {
	addrs, _, _ := m.resolveSeeds(ctx)
	m.mu.Lock()
	addrs = append(addrs, m.lost...)
	m.mu.Unlock()
	members := m.View().Members
	addrs = slices.DeleteFunc(addrs, func(addr string) bool {
		return slices.ContainsFunc(members, func(n Member) bool { return n.GossipAddr() == addr })
	})
	slices.Sort(addrs)
	addrs = slices.Compact(addrs)
	rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
	return addrs[:min(callsMax, len(addrs))]
}
