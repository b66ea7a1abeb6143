package mesh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"github.com/pondmesh/pond/mesh/offers"
)

func TestNewestBootWins(t *testing.T) {
	m := func(id NodeID, boot BootID) Member { return Member{ID: id, Boot: boot} }
	v := newView(nil, []Member{m("b", "2"), m("a", "1"), m("b", "3"), m("c", "9"), m("b", "1")})
	if want := []Member{m("a", "1"), m("b", "3"), m("c", "9")}; !slices.Equal(v.Members, want) {
		t.Errorf("members %v, want %v", v.Members, want)
	}
	if got, ok := v.Find("b"); !ok || got.Boot != "3" {
		t.Errorf("Find(b) = %v, %v", got, ok)
	}
	if got, ok := v.Find("bb"); ok {
		t.Errorf("Find(bb) = %v", got)
	}
}

func TestViewsAreMadeOfChanges(t *testing.T) {
	a, b := Member{ID: "a", Boot: "1"}, Member{ID: "b", Boot: "1"}
	first := newView(nil, []Member{a, b})
	if again := newView(first, []Member{b, a}); again != first {
		t.Error("another order made another view")
	}
	b.Slots = 3
	second := newView(first, []Member{a, b})
	if second == first || second.Epoch != first.Epoch+1 || second.Digest == first.Digest {
		t.Errorf("a changed member made no other view: %+v after %+v", second, first)
	}
	if elsewhere := newView(nil, []Member{b, a}); elsewhere.Digest != second.Digest {
		t.Error("equal members, different digests")
	}
}

func TestDigestSeesEveryField(t *testing.T) {
	base := Member{ID: "a", Boot: "b", Host: "c", Gossip: 1, Actors: 2, API: 3, Zone: "d", Version: "e", Slots: 4, Memory: 5}
	seen := map[uint64]int{digest([]Member{base}): -1}
	for i, change := range []func(*Member){
		func(m *Member) { m.ID = "x" }, func(m *Member) { m.Boot = "x" }, func(m *Member) { m.Host = "x" },
		func(m *Member) { m.Gossip = 9 }, func(m *Member) { m.Actors = 9 }, func(m *Member) { m.API = 9 },
		func(m *Member) { m.Zone = "x" }, func(m *Member) { m.Version = "x" }, func(m *Member) { m.Slots = 9 },
		func(m *Member) { m.Memory = 9 }, func(m *Member) { m.State = Leaving },
		func(m *Member) { m.ID, m.Boot = "ab", "" },
	} {
		m := base
		change(&m)
		d := digest([]Member{m})
		if other, ok := seen[d]; ok {
			t.Errorf("change %d has the digest of change %d", i, other)
		}
		seen[d] = i
	}
}

func TestTagsCarryAMember(t *testing.T) {
	want := Member{
		ID: NodeID(strings.Repeat("n", textBytesMax)), Boot: newBoot(time.Now(), ""), Host: "10.1.2.3",
		Gossip: 65535, Actors: 65534, API: 65533, Zone: strings.Repeat("z", textBytesMax),
		Version: strings.Repeat("v", textBytesMax), Slots: 1 << 40, Memory: 1 << 62, Offers: offers.Set(strings.Repeat("o", offers.BytesMax)), State: Leaving,
	}
	s := serf.Member{Name: want.name(), Addr: net.ParseIP(want.Host), Port: 65535, Tags: want.tags(), Status: serf.StatusAlive}
	if got, ok := memberOf(s); !ok || got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	size := 1 // as msgpack: a map, and a prefix of at most two bytes a string
	for k, v := range s.Tags {
		size += 4 + len(k) + len(v)
	}
	if size+1 > memberlist.MetaMaxSize {
		t.Errorf("the largest member takes %d bytes of tags, gossip carries %d", size+1, memberlist.MetaMaxSize)
	}

	for name, spoil := range map[string]func(*serf.Member){
		"failed":    func(s *serf.Member) { s.Status = serf.StatusFailed },
		"left":      func(s *serf.Member) { s.Status = serf.StatusLeft },
		"no boot":   func(s *serf.Member) { delete(s.Tags, tagBoot) },
		"no node":   func(s *serf.Member) { delete(s.Tags, tagNode) },
		"no slots":  func(s *serf.Member) { s.Tags[tagSlots] = "many" },
		"no memory": func(s *serf.Member) { s.Tags[tagMemory] = "" },
		"no tags":   func(s *serf.Member) { s.Tags = nil },
	} {
		bad := s
		bad.Tags = want.tags()
		spoil(&bad)
		if m, ok := memberOf(bad); ok {
			t.Errorf("%s: still a member: %+v", name, m)
		}
	}
	s.Tags[tagState], s.Status = "0", serf.StatusLeaving
	if got, _ := memberOf(s); got.State != Leaving {
		t.Error("Serf says it is leaving, the member does not")
	}
}

func TestBootsGrow(t *testing.T) {
	now := time.UnixMilli(1_790_000_000_000)
	first := newBoot(now, "")
	for name, next := range map[string]BootID{
		"later":           newBoot(now.Add(time.Millisecond), ""),
		"at once":         newBoot(now, first),
		"clock went back": newBoot(now.Add(-time.Hour), first),
		"in 300 years":    newBoot(now.AddDate(300, 0, 0), first),
	} {
		if next <= first || len(next) != len(first) {
			t.Errorf("%s: %s after %s", name, next, first)
		}
	}
}

func TestWatchdog(t *testing.T) {
	const limit = 2 * time.Second
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) // no monotonic reading
	dog := watchdog{last: start}
	for i, c := range []struct {
		at     time.Duration // since start
		gap    time.Duration
		paused bool
	}{
		{0, 0, false},
		{250 * time.Millisecond, 250 * time.Millisecond, false},
		{2250 * time.Millisecond, limit, false},
		{4251 * time.Millisecond, limit + time.Millisecond, true},
		{4500 * time.Millisecond, 249 * time.Millisecond, false},
		{time.Second, -3500 * time.Millisecond, false}, // the clock was set back
		{16 * time.Second, 15 * time.Second, true},
	} {
		if gap, paused := dog.step(start.Add(c.at), limit); gap != c.gap || paused != c.paused {
			t.Errorf("step %d: gap %v, paused %v; want %v, %v", i, gap, paused, c.gap, c.paused)
		}
	}
}

func TestBuriedAfter(t *testing.T) {
	tuning := Tuning{}.withDefaults()
	for n, want := range map[int]time.Duration{0: 2 * time.Second, 3: 2 * time.Second, 10: 2 * time.Second, 100: 3500 * time.Millisecond} {
		if got := tuning.buriedAfter(n); got != want {
			t.Errorf("%d nodes: %v, want %v", n, got, want)
		}
	}
}

func TestRemember(t *testing.T) {
	lost := remember(nil, []string{"a", "b"}, nil)
	lost = remember(lost, []string{"b", "c"}, map[string]bool{"a": true})
	if want := []string{"b", "c"}; !slices.Equal(lost, want) {
		t.Errorf("lost %v, want %v", lost, want)
	}
	for i := range 2 * lostMax {
		lost = remember(lost, []string{fmt.Sprint(i)}, nil)
	}
	if len(lost) != lostMax || lost[lostMax-1] != fmt.Sprint(2*lostMax-1) {
		t.Errorf("%d lost, the last %s", len(lost), lost[len(lost)-1])
	}
}

func TestParseLine(t *testing.T) {
	for _, c := range []struct {
		line, text string
		level      slog.Level
	}{
		{"[ERR] memberlist: Decrypt packet failed: x\n", "memberlist: Decrypt packet failed: x", slog.LevelWarn},
		{"[WARN] serf: Shutdown without a Leave\n", "serf: Shutdown without a Leave", slog.LevelDebug},
		{"[WARN] memberlist: handler queue full\n", "memberlist: handler queue full", slog.LevelWarn},
		{"[INFO] serf: EventMemberJoin: a 1.2.3.4\n", "serf: EventMemberJoin: a 1.2.3.4", slog.LevelDebug},
		{"[DEBUG] memberlist: Stream connection\n", "memberlist: Stream connection", slog.LevelDebug},
		{"no prefix] at all\n", "no prefix] at all", slog.LevelDebug},
		{"", "", slog.LevelDebug},
	} {
		if level, text := parseLine(c.line); level != c.level || text != c.text {
			t.Errorf("%q: %v %q, want %v %q", c.line, level, text, c.level, c.text)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	ok := Config{Port: 7946}
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   error
	}{
		{"nothing wrong", func(*Config) {}, nil},
		{"no port", func(c *Config) { c.Port = 0 }, ErrConfig},
		{"port too large", func(c *Config) { c.Port = 65536 }, ErrConfig},
		{"slash in node id", func(c *Config) { c.Node = "a/b" }, ErrConfig},
		{"long node id", func(c *Config) { c.Node = NodeID(strings.Repeat("a", 65)) }, ErrConfig},
		{"long zone", func(c *Config) { c.Zone = strings.Repeat("a", 65) }, ErrConfig},
		{"long label", func(c *Config) { c.Label = strings.Repeat("a", 256) }, ErrConfig},
		{"short key", func(c *Config) { c.Key = make([]byte, 15) }, ErrConfig},
		{"everywhere without a key", func(c *Config) { c.Bind = "0.0.0.0" }, ErrInsecure},
		{"everywhere, IPv6, without a key", func(c *Config) { c.Bind = "::" }, ErrInsecure},
		{"a network without a key", func(c *Config) { c.Bind = "192.0.2.1" }, ErrInsecure},
		{"a network with a key", func(c *Config) { c.Bind, c.Key = "192.0.2.1", make([]byte, 32) }, nil},
		{"another loopback address", func(c *Config) { c.Bind = "127.0.0.2" }, nil},
		{"localhost", func(c *Config) { c.Bind = "localhost" }, nil},
	} {
		conf := ok
		c.change(&conf)
		got, err := conf.checked(context.Background())
		if !errors.Is(err, c.want) || (err != nil && c.want == nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if err == nil && (got.Node == "" || net.ParseIP(got.Bind) == nil || got.Tuning.ProbeInterval == 0) {
			t.Errorf("%s: defaults are missing: %+v", c.name, got)
		}
	}
}

func TestSplitSeed(t *testing.T) {
	for seed, want := range map[string]string{
		"10.0.0.1:8000": "10.0.0.1:8000", "10.0.0.1": "10.0.0.1:7946", "pond.example": "pond.example:7946",
		"[::1]:8000": "[::1]:8000", "[::1]": "[::1]:7946", "::1": "[::1]:7946",
		"host:0": "", "host:99999": "", "host:http": "",
	} {
		host, port, err := splitSeed(seed, 7946)
		switch {
		case want == "" && !errors.Is(err, ErrConfig):
			t.Errorf("%s: %v, want ErrConfig", seed, err)
		case want != "" && (err != nil || hostPort(host, port) != want):
			t.Errorf("%s: %s %d %v, want %s", seed, host, port, err, want)
		}
	}
}
