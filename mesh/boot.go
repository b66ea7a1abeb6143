package mesh

import (
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
)

// boot is one start of a node: one Serf instance under one name. It cannot be
// started again; a node that wants to come back makes another.
type boot struct {
	serf *serf.Serf
	host string // as advertised
	pump sync.WaitGroup
}

const (
	eventsMax = 1024 // Serf blocks, holding its lock, when they are not taken
	// How long Serf waits for a word to get out, and then to get around.
	broadcastTimeout = time.Second
	leavePropagation = 500 * time.Millisecond
	streamTimeout    = 3 * time.Second // to dial, and to exchange all state
)

// startBoot listens and gossips, alone at first. Each change of membership
// fills wake if it is empty.
func startBoot(c Config, self Member, wake chan<- struct{}) (*boot, error) {
	logger := log.New(&serfLog{log: c.Log}, "", 0)
	t, err := listen(c.Bind, c.Port, logger)
	if err != nil {
		return nil, err
	}
	// Serf would find this out too, but leak its first goroutines.
	host, _, err := t.FinalAdvertiseAddr(c.Advertise, c.Port)
	if err != nil {
		t.Shutdown()
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	var gossip gossipTransport = t
	if c.wrap != nil {
		gossip = c.wrap(t)
	}
	events := make(chan serf.Event, eventsMax)
	conf := serfConfig(c, self, logger)
	conf.EventCh = events
	conf.MemberlistConfig.Transport = gossip
	conf.MemberlistConfig.AdvertiseAddr = host.String()
	s, err := serf.Create(conf)
	if err != nil {
		t.Shutdown()
		return nil, fmt.Errorf("start gossip: %w", err)
	}
	b := &boot{serf: s, host: host.String()}
	b.pump.Go(func() { pump(events, wake, s.ShutdownCh()) })
	return b, nil
}

// pump never blocks on wake, so that Serf never blocks on events.
func pump(events <-chan serf.Event, wake chan<- struct{}, down <-chan struct{}) {
	for {
		select {
		case <-events:
			select {
			case wake <- struct{}{}:
			default:
			}
		case <-down:
			return
		}
	}
}

func serfConfig(c Config, self Member, logger *log.Logger) *serf.Config {
	ml := memberlist.DefaultLANConfig()
	ml.BindAddr, ml.BindPort, ml.AdvertisePort = c.Bind, c.Port, c.Port
	ml.Label, ml.SecretKey = c.Label, c.Key
	ml.TCPTimeout = streamTimeout
	ml.ProbeInterval, ml.ProbeTimeout = c.Tuning.ProbeInterval, c.Tuning.ProbeTimeout
	ml.SuspicionMult, ml.SuspicionMaxTimeoutMult = c.Tuning.SuspicionMult, c.Tuning.SuspicionMaxTimeoutMult
	ml.GossipInterval = c.Tuning.GossipInterval
	ml.Logger = logger

	// No snapshot (a full channel would drop events), no coalescing (it can
	// swallow a failure and return), no fight over names (they are unique).
	conf := serf.DefaultConfig()
	conf.NodeName, conf.Tags = self.name(), self.tags()
	conf.MemberlistConfig, conf.Logger = ml, logger
	conf.BroadcastTimeout, conf.LeavePropagateDelay = broadcastTimeout, leavePropagation
	conf.ReconnectInterval, conf.ReconnectTimeout = c.Tuning.ReconnectInterval, c.Tuning.ReconnectTimeout
	conf.EnableNameConflictResolution = false
	conf.DisableCoordinates = true
	return conf
}

// members are those that are alive, in no order, old boots among them.
func (b *boot) members() []Member {
	var out []Member
	for _, s := range b.serf.Members() {
		if m, ok := memberOf(s); ok {
			out = append(out, m)
		}
	}
	return out
}

// left reports whether the member took its leave, rather than died.
func (b *boot) left(m Member) bool {
	for _, s := range b.serf.Members() {
		if s.Name == m.name() {
			return s.Status == serf.StatusLeft
		}
	}
	return false
}

// close stops gossiping without a word.
func (b *boot) close() error {
	err := b.serf.Shutdown()
	b.pump.Wait()
	return err
}
