package mesh

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestJoinConverges(t *testing.T) {
	t.Parallel()
	a := join(t, config(t, "a"))
	b := join(t, config(t, "b", a))
	if len(b.View().Members) < 2 {
		t.Errorf("b joined and sees only %+v", b.View().Members)
	}
	c := join(t, config(t, "c", b))
	made := join(t, config(t, "", a))
	if made.Self().ID == "" {
		t.Error("no node id was made up")
	}
	converge(t, a, b, c, made)

	before := a.View()
	if err := b.setSlots(7); err != nil {
		t.Fatal(err)
	}
	if err := c.SetState(Leaving); err != nil {
		t.Fatal(err)
	}
	converge(t, a, b, c, made)
	select {
	case <-before.Superseded():
	default:
		t.Error("an old view is not superseded")
	}
	if v := a.View(); v.Epoch <= before.Epoch || v.Digest == before.Digest {
		t.Errorf("epoch %d after %d, digest %x after %x", v.Epoch, before.Epoch, v.Digest, before.Digest)
	}
	if got, _ := a.View().Find("b"); got.Slots != 7 {
		t.Errorf("b has %d slots", got.Slots)
	}
	if got, _ := a.View().Find("c"); got.State != Leaving {
		t.Errorf("c is %v", got.State)
	}
}

func TestEncryptedAndLabelled(t *testing.T) {
	t.Parallel()
	secret := func(c Config) Config {
		c.Key, c.Label = bytes.Repeat([]byte{7}, 32), "ours"
		return c
	}
	a := join(t, secret(config(t, "a")))
	everywhere := secret(config(t, "b", a))
	everywhere.Bind, everywhere.Advertise = "0.0.0.0", "localhost"
	b := join(t, everywhere)
	if host := b.Self().Host; host != "127.0.0.1" {
		t.Errorf("b advertises %s", host)
	}
	c := join(t, secret(config(t, "c", b)))
	converge(t, a, b, c)
}

func TestIPv6(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here:", err)
	}
	l.Close()
	first := config(t, "a")
	first.Bind = "::1"
	a := join(t, first)
	second := config(t, "b", a)
	second.Bind = "::1"
	converge(t, a, join(t, second))
}

func TestLeaveIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	a := join(t, config(t, "a"))
	b := join(t, config(t, "b", a))
	c := join(t, config(t, "c", a))
	converge(t, a, b, c)

	start := time.Now()
	left := make(chan error, 1)
	go func() { left <- b.Leave(context.Background()) }()
	for _, m := range []*Mesh{a, c} {
		await(t, m, slow, "b gone", without("b"))
	}
	t.Logf("gone from the others' views after %v", time.Since(start))
	if err := <-left; err != nil {
		t.Error(err)
	}
	t.Logf("Leave took %v", time.Since(start))
	if lost := a.lostAddrs(); len(lost) != 0 {
		t.Errorf("b left, and counts as lost: %v", lost)
	}

	if err := b.setSlots(1); !errors.Is(err, ErrClosed) {
		t.Errorf("setSlots after Leave: %v", err)
	}
	if err := b.Leave(context.Background()); err != nil {
		t.Errorf("second Leave: %v", err)
	}
}

// setSlots tells the others of a change that many may follow.
func (m *Mesh) setSlots(slots int) error {
	return m.announce("slots", func(self *Member) { self.Slots = slots })
}

func (m *Mesh) lostAddrs() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.lost...)
}

func TestLeaveHonoursItsContext(t *testing.T) {
	t.Parallel()
	a := join(t, config(t, "a"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := a.Leave(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := a.Close(); err != nil { // waits for the leaving
		t.Error(err)
	}
}

func TestCrashIsNoticed(t *testing.T) {
	t.Parallel()
	a := join(t, config(t, "a"))
	b := join(t, config(t, "b", a))
	c := join(t, config(t, "c", a))
	converge(t, a, b, c)

	start := time.Now()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for _, m := range []*Mesh{a, c} {
		await(t, m, slow, "b gone", without("b"))
	}
	t.Logf("noticed by all after %v", time.Since(start))
	if lost := a.lostAddrs(); len(lost) != 1 || lost[0] != b.Self().GossipAddr() {
		t.Errorf("lost %v, want %s", lost, b.Self().GossipAddr())
	}
}

func TestFastRestartIsANewBoot(t *testing.T) {
	t.Parallel()
	first := config(t, "a")
	log := &listener{want: "EventMemberFailed: b-", heard: make(chan struct{})}
	first.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	a := join(t, first)
	conf := config(t, "b", a)
	b := join(t, conf)
	c := join(t, config(t, "c", a))
	converge(t, a, b, c)

	old := b.Self()
	b.Close()
	conf.Port = old.Gossip
	start := time.Now()
	again := join(t, conf)
	if again.Self().Boot <= old.Boot {
		t.Fatalf("boot %s after %s", again.Self().Boot, old.Boot)
	}
	for _, m := range []*Mesh{a, c} {
		await(t, m, slow, "b's new boot", func(v *View) bool {
			got, ok := v.Find("b")
			if !ok {
				t.Fatal("b was taken for dead")
			}
			return got == again.Self()
		})
	}
	t.Logf("seen by all after %v", time.Since(start))

	// The old boot's death is noticed in the end, and changes nothing.
	converge(t, a, again, c)
	before := a.View()
	select {
	case <-log.heard:
	case <-time.After(slow):
		t.Fatal("the old boot's death went unnoticed")
	}
	if next := newView(before, a.boot.members()); next != before {
		t.Errorf("the old boot's death makes another view: %+v", next.Members)
	}
}

func TestHalvesMeetAgain(t *testing.T) {
	t.Parallel()
	var w wire
	plugged := func(id NodeID, seeds ...*Mesh) *Mesh {
		c := config(t, id, seeds...)
		c.wrap = w.plug
		// Serf itself never calls again, as after ReconnectTimeout.
		c.Tuning.ReconnectInterval, c.Tuning.RejoinInterval = time.Hour, 500*time.Millisecond
		return join(t, c)
	}
	a := plugged("a")
	b := plugged("b", a)
	c := plugged("c", a)
	converge(t, a, b, c)
	boot := c.Self().Boot

	w.set(c.Self().GossipAddr(), true)
	start := time.Now()
	await(t, a, slow, "c gone", without("c"))
	await(t, b, slow, "c gone", without("c"))
	await(t, c, slow, "only c", func(v *View) bool { return len(v.Members) == 1 })
	t.Logf("apart after %v", time.Since(start))

	// Only c has a seed, and a is not among b's or c's lost for good.
	w.set(c.Self().GossipAddr(), false)
	start = time.Now()
	converge(t, a, b, c)
	t.Logf("together after %v", time.Since(start))
	if c.Self().Boot != boot {
		t.Error("being cut off is no pause, and c has another boot")
	}
}

func TestPauseIsDeath(t *testing.T) {
	t.Parallel()
	a := join(t, config(t, "a"))
	conf := config(t, "b", a)
	var skip atomic.Int64
	conf.clock = func() time.Time { return time.Now().Add(time.Duration(skip.Load())) }
	gaps := make(chan time.Duration, 1)
	var b *Mesh
	var atPause BootID
	conf.OnPause = func(gap time.Duration) {
		atPause = b.Self().Boot
		gaps <- gap
	}
	b = join(t, conf)
	converge(t, a, b)
	old := b.Self()

	skip.Store(int64(time.Minute))
	await(t, a, slow, "b's new boot", func(v *View) bool {
		got, ok := v.Find("b")
		return ok && got.Boot > old.Boot
	})
	converge(t, a, b)
	if gap := <-gaps; gap < time.Minute || gap > time.Minute+slow {
		t.Errorf("OnPause(%v)", gap)
	}
	if atPause != old.Boot {
		t.Errorf("the new boot %s was announced before OnPause returned", atPause)
	}
	if self := b.Self(); self.GossipAddr() != old.GossipAddr() || self.Slots != old.Slots {
		t.Errorf("%+v after %+v", self, old)
	}
}

// The others have buried the node by the time it wakes, and it them. It has to
// call, at once, and those it has no seed for too.
func TestReturnOfTheBuried(t *testing.T) {
	t.Parallel()
	var w wire
	plugged := func(id NodeID, seeds ...*Mesh) Config {
		c := config(t, id, seeds...)
		c.wrap = w.plug
		c.Tuning.ReconnectInterval, c.Tuning.RejoinInterval = time.Hour, time.Hour
		return c
	}
	var skip atomic.Int64
	conf := plugged("b")
	conf.clock = func() time.Time { return time.Now().Add(time.Duration(skip.Load())) }
	var b *Mesh
	conf.OnPause = func(time.Duration) { w.set(b.Self().GossipAddr(), false) }
	b = join(t, conf)
	a := join(t, plugged("a", b))
	converge(t, a, b)

	w.set(b.Self().GossipAddr(), true)
	await(t, a, slow, "b gone", without("b"))
	await(t, b, slow, "a gone", without("a"))
	old := b.Self().Boot
	skip.Store(int64(time.Minute))
	await(t, a, slow, "b's new boot", func(v *View) bool {
		got, _ := v.Find("b")
		return got.Boot > old
	})
	converge(t, a, b)
}

func TestRestartIsTriedAgain(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conf := Config{Node: "a", Port: l.Addr().(*net.TCPAddr).Port}
	conf, err = conf.checked(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m := &Mesh{cfg: conf, log: conf.Log, wake: make(chan struct{}, 1), call: make(chan struct{}, 1), self: Member{ID: "a"}}
	m.done, m.cancel = context.WithCancel(context.Background())
	m.renew()
	if m.boot != nil || len(m.View().Members) != 0 {
		t.Errorf("started on a port that is taken: %+v", m.View().Members)
	}
	if err := m.setSlots(5); err != nil {
		t.Errorf("between boots: %v", err)
	}
	l.Close()
	m.renew()
	if got, ok := m.View().Find("a"); !ok || got.Slots != 5 {
		t.Errorf("not started though the port is free: %+v", m.View().Members)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}

	m.boot = nil // closed between two boots
	m.renew()
	if m.boot != nil {
		m.boot.close()
		t.Error("started after Close")
	}
}

func TestSameNodeTwice(t *testing.T) {
	t.Parallel()
	a := join(t, config(t, "a"))
	first := join(t, config(t, "twin", a))
	converge(t, a, first)
	second := join(t, config(t, "twin", a))
	for _, m := range []*Mesh{a, first, second} {
		await(t, m, slow, "the newer twin only", func(v *View) bool {
			got, _ := v.Find("twin")
			return len(v.Members) == 2 && got == second.Self()
		})
	}
}

func TestJoinErrors(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{1}, 32)
	locked := config(t, "locked")
	locked.Key, locked.Label = key, "ours"
	peer := join(t, locked)
	open := join(t, config(t, "open"))

	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)

	for _, c := range []struct {
		name   string
		change func(*Config)
		want   error
	}{
		{"another key", func(c *Config) {
			c.Seeds, c.Label, c.Key = []string{peer.Self().GossipAddr()}, "ours", bytes.Repeat([]byte{2}, 32)
		}, ErrWrongKey},
		{"no key", func(c *Config) { c.Seeds, c.Label = []string{peer.Self().GossipAddr()}, "ours" }, ErrWrongKey},
		{"key of our own", func(c *Config) { c.Seeds, c.Key = []string{open.Self().GossipAddr()}, key }, ErrWrongKey},
		{"another label", func(c *Config) {
			c.Seeds, c.Label, c.Key = []string{peer.Self().GossipAddr()}, "theirs", key
		}, ErrWrongLabel},
		{"no label", func(c *Config) { c.Seeds, c.Key = []string{peer.Self().GossipAddr()}, key }, ErrWrongLabel},
		{"label of our own", func(c *Config) { c.Seeds, c.Label = []string{open.Self().GossipAddr()}, "theirs" }, ErrWrongLabel},
		{"nobody there", func(c *Config) { c.Seeds = []string{nobody} }, ErrNoSeed},
		{"unknown host", func(c *Config) { c.Seeds = []string{"nobody.invalid:7946"} }, ErrNoSeed},
		{"says nothing", func(c *Config) { c.Seeds = []string{silent.Addr().String()} }, ErrNoSeed},
		{"a web server", func(c *Config) { c.Seeds = []string{web.Listener.Addr().String()} }, ErrNoSeed},
		{"no address", func(c *Config) { c.Seeds = []string{"127.0.0.1:http"} }, ErrConfig},
		{"port in use", func(c *Config) { c.Port = open.Self().Gossip }, ErrPortInUse},
		{"no key for the world", func(c *Config) { c.Bind = "0.0.0.0" }, ErrInsecure},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			conf := config(t, "newcomer")
			c.change(&conf)
			expectJoinError(t, conf, c.want)
		})
	}
}

func TestJoinGivesUpInTime(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	for name, change := range map[string]func(*Config) context.Context{
		"its own bound": func(c *Config) context.Context {
			c.Tuning.JoinTimeout = 50 * time.Millisecond
			return t.Context()
		},
		"the caller's": func(*Config) context.Context {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			t.Cleanup(cancel)
			return ctx
		},
	} {
		conf := config(t, "a")
		conf.Seeds = []string{silent.Addr().String()}
		ctx := change(&conf)
		if _, err := Join(ctx, conf); !errors.Is(err, ErrNoSeed) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOneSeedIsEnough(t *testing.T) {
	t.Parallel()
	a := join(t, config(t, "a"))
	conf := config(t, "b", a)
	conf.Seeds = append([]string{nobody, "nobody.invalid"}, conf.Seeds...)
	b := join(t, conf)
	converge(t, a, b)
}

func TestAllNameAll(t *testing.T) {
	t.Parallel()
	first, second := config(t, "a"), config(t, "b")
	first.Seeds = []string{hostPort("127.0.0.1", first.Port), hostPort("localhost", second.Port)}
	second.Seeds = first.Seeds
	first.Tuning.RejoinInterval = 100 * time.Millisecond
	a := join(t, first) // though no other is up
	b := join(t, second)
	converge(t, a, b)
}

func TestUseFromEverywhere(t *testing.T) {
	t.Parallel()
	a := join(t, config(t, "a"))
	b := join(t, config(t, "b", a))
	var users sync.WaitGroup
	for range 4 {
		users.Go(func() {
			for i := range 3 {
				b.View().Find("a")
				b.Self()
				if err := b.setSlots(i); err != nil && !errors.Is(err, ErrClosed) {
					t.Error(err)
				}
			}
		})
		users.Go(func() {
			if err := b.Leave(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	users.Wait()
	await(t, a, slow, "b gone", without("b"))
}
