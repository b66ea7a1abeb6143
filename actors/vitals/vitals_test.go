package vitals

import (
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/fair"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/peers"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/process"
	"github.com/pondmesh/pond/actors/replicas"
	"github.com/pondmesh/pond/actors/setup"
	"github.com/pondmesh/pond/fs/disks"
	"github.com/pondmesh/pond/mesh"
)

// parts are those of a node, as they are said to be. Before the node is up, looking at
// what comes with that fails the test.
type parts struct {
	t                   *testing.T
	up                  bool
	store, room, keeper error
	full, registers     error
	keepers             []string
	self                mesh.Member
	members             []mesh.Member // but for self; in the order of their ids, after it
	bytes, count        int64         // in the store
	live, kept, copies  journal.Usage
	states              map[api.State]int
	disks               []disks.State
}

type (
	storePart     struct{ *parts }
	keeperPart    struct{ *parts }
	disksPart     struct{ *parts }
	jobsPart      struct{ *parts }
	registersPart struct{ *parts }
)

func (p storePart) Err() error                    { return p.store }
func (p storePart) Room() error                   { return p.room }
func (p storePart) Usage() (bytes, count int64)   { return p.bytes, p.count }
func (p keeperPart) Err() error                   { return p.keeper }
func (p disksPart) States() []disks.State         { return p.disks }
func (p disksPart) Usage() (bytes, count int64)   { return 0, 77 }
func (p jobsPart) Full(fair.Entrant) error        { return p.full }
func (p jobsPart) Waiting() int                   { return 3 }
func (p jobsPart) States() map[api.State]int      { return p.states }
func (p registersPart) Health() error             { p.later("the registers"); return p.registers }
func (p registersPart) Keepers() (nodes []string) { p.later("the registers"); return p.keepers }

// later is a look at what is there once the node is up.
func (p *parts) later(what string) {
	p.t.Helper()
	if !p.up {
		p.t.Errorf("the node is not up, and %s are looked at", what)
	}
}

// well is a node of two others, with which nothing is wrong.
func well(t *testing.T) *parts {
	return &parts{t: t, up: true, keepers: []string{"a", "b", "c"}, self: mesh.Member{ID: "a", Host: "127.0.0.1", API: 1, State: mesh.Alive},
		members: []mesh.Member{{ID: "b", State: mesh.Alive}, {ID: "c", State: mesh.Alive}}}
}

func (p *parts) vitals() *Vitals {
	log := slog.New(slog.DiscardHandler)
	return &Vitals{
		Config: &setup.Config{Dir: p.t.TempDir(), Slots: 4, Memory: 1 << 30, JobsMax: 32, CacheMax: 1000, RecordsMax: 100, KeepFor: time.Hour},
		Up:     func() bool { return p.up },
		Peers: &peers.Peers{Self: p.self.ID, Log: log, API: api.NewPeer(nil, nil, nil), View: func() *mesh.View {
			p.later("its members")
			return &mesh.View{Members: append([]mesh.Member{p.self}, p.members...)}
		}},
		Store: storePart{p}, Keeper: keeperPart{p}, Disks: disksPart{p}, Jobs: jobsPart{p}, Registers: registersPart{p},
		Segments: func() (live, kept, copies journal.Usage) { return p.live, p.kept, p.copies },
		Staged:   func() (bytes, count int64) { return 1000, 1 },
		Running:  func() int64 { return 2 },
		Engines:  func() process.Stats { return process.Stats{Alive: 5, Crashed: 1} },
		Connections: func() (open map[string]int, refused map[string]int64) {
			return map[string]int{"node": 6}, map[string]int64{"new": 7}
		},
		Self:   func() mesh.Member { p.later("its own state"); return p.self },
		Copies: func() replicas.Figures { p.later("its copies"); return replicas.Figures{Held: 8, Short: 9} },
		Actors: func() int { p.later("its actors"); return 10 },
		Log:    log,
	}
}

func kinds(problems []api.Problem) (out []string) {
	for _, p := range problems {
		out = append(out, p.Kind)
	}
	return out
}

// Each part that fails is told, by its kind and with its reason, and none that does not;
// only what no time mends is told as failed.
func TestProblems(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		breaks func(*parts)
		kinds  []string // what the node tells, failed ones first
		failed int      // how many of them need a restart
		text   string   // of the last
	}{
		"well":               {func(*parts) {}, nil, 0, ""},
		"store":              {func(p *parts) { p.store = broken }, []string{api.StoreFailed}, 1, "broken"},
		"keeper":             {func(p *parts) { p.keeper = broken }, []string{api.KeeperFailed}, 1, "broken"},
		"store and keeper":   {func(p *parts) { p.store, p.keeper = broken, broken }, []string{api.StoreFailed, api.KeeperFailed}, 2, "broken"},
		"disk":               {func(p *parts) { p.room = broken }, []string{api.DiskFull}, 0, "broken"},
		"not up":             {func(p *parts) { p.up, p.full = false, broken }, []string{api.NotJoined}, 0, "none of its peers has answered yet"},
		"not up, disk full":  {func(p *parts) { p.up, p.room = false, broken }, []string{api.DiskFull, api.NotJoined}, 0, "none of its peers has answered yet"},
		"leaving":            {func(p *parts) { p.self.State = mesh.Leaving }, []string{api.IsLeaving}, 0, "the node takes no more work, and ends when what needs it has ended"},
		"queue":              {func(p *parts) { p.full = &plan.Error{Kind: plan.KindBusy, Op: "submit", Text: "9 jobs wait"} }, []string{api.QueueFull}, 0, "9 jobs wait"},
		"registers":          {func(p *parts) { p.registers, p.keepers = broken, nil }, []string{api.NoRegisters}, 0, "broken"},
		"one keeper of 3":    {func(p *parts) { p.members = p.members[1:] }, nil, 0, ""},
		"two keepers of 3":   {func(p *parts) { p.members = nil }, []string{api.NoMajority}, 0, "1 of 3 nodes that keep registers are seen here; missing: b, c"},
		"half of the":        {func(p *parts) { p.members, p.keepers = nil, p.keepers[:2] }, []string{api.NoMajority}, 0, "1 of 2 nodes that keep registers are seen here; missing: b"},
		"leaving, no keeper": {func(p *parts) { p.self.State, p.members = mesh.Leaving, nil }, []string{api.IsLeaving, api.NoMajority}, 0, "1 of 3 nodes that keep registers are seen here; missing: b, c"},
	} {
		t.Run(name, func(t *testing.T) {
			p := well(t)
			c.breaks(p)
			v := p.vitals()
			unready, failed := v.Unready(), v.Failed()
			if !slices.Equal(kinds(unready), c.kinds) || !slices.Equal(kinds(failed), c.kinds[:c.failed]) {
				t.Fatalf("unready: %v, failed: %v", unready, failed)
			}
			if n := len(unready); n > 0 && unready[n-1].Text != c.text {
				t.Errorf("told as %q", unready[n-1].Text)
			}
		})
	}
}

// Keepers that the view does not have are missing; who leaves is there.
func TestKeepers(t *testing.T) {
	p := well(t)
	p.members = []mesh.Member{{ID: "c", State: mesh.Leaving}, {ID: "d", State: mesh.Alive}}
	v := p.vitals()
	all, missing := v.Keepers(v.Peers.View())
	if !slices.Equal(all, []string{"a", "b", "c"}) || !slices.Equal(missing, []string{"b"}) {
		t.Errorf("%v, of which %v are missing", all, missing)
	}
}

// Before the node is up, its metrics have what is there, and it is not ready.
func TestGauges(t *testing.T) {
	p := well(t)
	p.states = map[api.State]int{api.Running: 2}
	p.live, p.bytes = journal.Usage{Bytes: 20}, 50
	p.members[1].State = mesh.Leaving
	p.keepers = []string{"a", "b", "gone"}
	p.disks = []disks.State{{Dir: "/in", Free: 11}, {Dir: "/out", Free: 12, Err: errors.New("broken")}}
	for _, up := range []bool{false, true} {
		p.up = up
		g := p.vitals().Gauges()
		if g.Slots != 4 || g.Running != 2 || g.MemoryLimit != 1<<30 || g.Engines.Alive != 5 || g.Engines.Crashed != 1 || g.Waiting != 3 || g.JobsMax != 32 || g.Connections["node"] != 6 || g.Refused["new"] != 7 {
			t.Errorf("up: %v: %+v", up, g)
		}
		if queued, ok := g.Coordinated[string(api.Queued)]; !ok || queued != 0 || g.Coordinated[string(api.Running)] != 2 {
			t.Errorf("up: %v: jobs %v", up, g.Coordinated)
		}
		free, told := g.DiskFree["/out"]
		if g.Stored[api.UsageLive] != 20 || g.Stored[api.UsageRecords] != 30 || g.StoredUploads != 77 || g.DiskOK["/in"] != 1 || g.DiskFree["/in"] != 11 || g.DiskOK["/out"] != 0 || len(g.DiskOK) != 2 || told {
			t.Errorf("up: %v: stored %v, %d uploads; disks %v, %v, %d free on one that failed", up, g.Stored, g.StoredUploads, g.DiskOK, g.DiskFree, free)
		}
		type later struct {
			ready, registers                          bool
			alive, leaving, keepers, keepersAlive, ac int
			held, short                               int64
		}
		want := later{}
		if up {
			want = later{true, true, 2, 1, 3, 2, 10, 8, 9}
		}
		got := later{g.Ready, g.RegistersOK, g.Members["alive"], g.Members["leaving"], g.Keepers, g.KeepersAlive, g.Actors, g.Copies.Held, g.Copies.Short}
		if got != want || len(g.Members) != 2 {
			t.Errorf("up: %v: %+v, want %+v; members %v", up, got, want, g.Members)
		}
	}
	p.registers = errors.New("broken")
	if g := p.vitals().Gauges(); g.Ready || g.RegistersOK {
		t.Errorf("without registers: %+v", g)
	}
}
