package setup

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/funcs"
	"github.com/pondmesh/pond/actors/kinds"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/token"
	"github.com/pondmesh/pond/actors/wire"
	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/faults"
	"github.com/pondmesh/pond/mesh"
	"github.com/pondmesh/pond/mesh/offers"
)

// Config is one node's settings. The zero value of a field means its default.
type Config struct {
	Bind      string // host to listen on; default 127.0.0.1
	Advertise string // host that others dial; default Bind
	Port      int    // base port; 0: free ones are picked
	Peers     []string
	// JoinFor is how long peers are called of which none answers; default a minute;
	// negative: until the caller's context ends.
	JoinFor   time.Duration
	Dir       string   // data folder; required
	Disks     []string // folders on other disks, for copies of datasets
	Memory    int64    // bytes for DuckDB and shuffle buffers; default 60 % of the machine's
	Slots     int      // tasks at once, up to wire.RunningMax; default one a core; negative: none
	Label     string   // name of the pond: nodes of other labels are refused
	GossipKey []byte   // 16, 24 or 32 bytes; without TLS by default of Secret
	TLS       *tls.Config
	// Secret says without TLS who may call: what a token of it allows. TokenFile is where
	// it is kept, by default the user's own; made if it is not there.
	Secret    token.Secret
	TokenFile string
	Zone      string
	Version   string
	// Read and Write are the folders below which jobs may read and write; none: whatever
	// the node's user may. Keys are files with secrets, which no job may read.
	Read, Write, Keys []string
	KeeperGrace       time.Duration // how long a keeper of registers may be dead before it is replaced; default 1 min
	Retention         time.Duration // how long superseded versions of datasets can be read; default a day
	CacheMax          int64         // bytes of finished jobs' segments kept for reuse; default 8 GiB; negative: none
	// KeepFor is how long what ended jobs leave is kept, rows and records; default a week;
	// negative: as long as there is room. RecordsMax bounds the bytes of records; default 1 GiB.
	KeepFor    time.Duration
	RecordsMax int64
	// SpillMax bounds the bytes that a task spills, ResultMax those of a job's result, and
	// OutputMax those of the files that a job writes; 0: the disk.
	SpillMax, ResultMax, OutputMax int64
	Files                          uint64 // that the process may have open; default what the system allows
	// JobsMax is how many jobs the node drives at once, UserJobsMax how many of one user's
	// (0: no bound), and QueueMax how many wait for that; default 32 and 1,000; negative: none wait.
	JobsMax, UserJobsMax, QueueMax int
	Log                            *slog.Logger
	Funcs                          *funcs.Registry
	Kinds                          *kinds.Registry // of actors
	ActorIdle                      time.Duration   // after which an actor without messages and timers ends; 0: grains' default
	// ChaosKey is of who may arm faults at the node; "": nobody. Faults are of it: Ready
	// makes them, or none.
	ChaosKey string
	Faults   *faults.Injector
	// Program is started for engine processes; nil: engines run in this process.
	Program []string

	seeds  []string   // gossip addresses of Peers, once they are checked
	offers offers.Set // what Funcs and Kinds have, once it is checked
}

// Defaults.
const (
	defaultBind     = "127.0.0.1"
	defaultLabel    = "pond"
	defaultCacheMax = 8 << 30
	defaultJoinFor  = time.Minute
	defaultGrace    = time.Minute
	defaultKeepFor  = 7 * 24 * time.Hour
	defaultRecords  = 1 << 30
	defaultJobsMax  = 32
	defaultQueueMax = 1000
	memoryShare     = 0.6
	memoryMin       = 120 << 20
)

// The memory of the slot that serves small jobs while all others are taken: a share of
// the node's within bounds. A node with less than the least has no such slot.
const (
	quickShare = 8
	quickMin   = 64 << 20
	quickMax   = 512 << 20
)

// QuickMemory is the memory of the slot for small jobs; 0: there is none.
func (c *Config) QuickMemory() int64 {
	q := min(c.Memory/quickShare, quickMax)
	if q < quickMin || c.Slots <= 0 {
		return 0
	}
	return q
}

// SlotsMemory is the memory of all other slots together.
func (c *Config) SlotsMemory() int64 { return c.Memory - c.QuickMemory() }

// Ready gives the settings that are left out their defaults, and checks for
// obstacles to a start, before anything is written or sent to others: an invalid
// setting, a data folder that is not ours, a port in use, peers that would refuse
// this node.
func (c Config) Ready(ctx context.Context) (Config, error) {
	c, err := c.withDefaults()
	if err != nil {
		return c, err
	}
	if c.seeds, err = seedsOf(c.Peers); err != nil {
		return c, err
	}
	if err := c.checkMesh(); err != nil {
		return c, err
	}
	base := c.Port
	if base == 0 {
		base = api.DefaultPort // the port is not checked here
	}
	if err := c.Mesh(base).Check(ctx); err != nil && !errors.Is(err, mesh.ErrInsecure) { // check says more of that
		return c, PortError(err, base, base)
	}
	if err := c.check(); err != nil {
		return c, err
	}
	if err := c.checkReach(ctx); err != nil {
		return c, err
	}
	if err := checkDataDir(c.Dir); err != nil {
		return c, err
	}
	if err := c.checkDisks(); err != nil {
		return c, err
	}
	if c.Port > 0 {
		if err := checkPorts(c.Bind, c.Port); err != nil {
			return c, err
		}
	}
	return c, askPeers(ctx, &c)
}

// Mesh returns the settings of membership for a node on that base port. The node's
// identity and what it hears are the caller's to add.
func (c *Config) Mesh(base int) mesh.Config {
	return mesh.Config{
		Bind: c.Bind, Advertise: c.Advertise, Port: base, ActorsPort: base + api.ActorsPortOffset, APIPort: base + api.PortOffset,
		Seeds: c.seeds, JoinFor: c.JoinFor, Label: c.Label, Key: c.GossipKey, Zone: c.Zone, Version: c.Version, Slots: c.Slots, Memory: c.SlotsMemory(), Offers: c.offers, Log: c.Log,
	}
}

func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" {
		return c, badSetting("data", "give the node a folder of its own", "no data folder is given")
	}
	if c.Bind == "" {
		c.Bind = defaultBind
	}
	if c.Advertise == "" {
		c.Advertise = c.Bind
	}
	if c.Label == "" {
		c.Label = defaultLabel
	}
	if c.Slots == 0 {
		c.Slots = min(runtime.GOMAXPROCS(0), wire.RunningMax) // a container may have fewer cores than its machine
	}
	c.Slots = max(c.Slots, 0)
	if c.Memory == 0 {
		total, _ := machineMemory()
		c.Memory = max(int64(float64(total)*memoryShare), memoryMin)
	}
	if c.JoinFor == 0 {
		c.JoinFor = defaultJoinFor
	}
	if c.Retention <= 0 {
		c.Retention = collect.Kept().Retention
	}
	if c.KeeperGrace <= 0 {
		c.KeeperGrace = defaultGrace
	}
	if c.CacheMax == 0 {
		c.CacheMax = defaultCacheMax
	}
	c.CacheMax = max(c.CacheMax, 0)
	if c.KeepFor == 0 {
		c.KeepFor = defaultKeepFor
	}
	if c.RecordsMax <= 0 {
		c.RecordsMax = defaultRecords
	}
	if c.JobsMax == 0 {
		c.JobsMax = defaultJobsMax
	}
	if c.QueueMax == 0 {
		c.QueueMax = defaultQueueMax
	}
	c.QueueMax = max(c.QueueMax, 0)
	if c.Version == "" {
		c.Version = "dev"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Funcs == nil {
		c.Funcs = new(funcs.Registry)
	}
	if c.Kinds == nil {
		c.Kinds = new(kinds.Registry)
	}
	return c, nil
}

// checkMesh says which setting of membership is none at all.
func (c *Config) checkMesh() error {
	const last = 65535 - api.PortsPerNode + 1
	switch n := len(c.GossipKey); {
	case c.Port < 0 || c.Port > last:
		return badSetting("port", "use 0, which picks free ones, or 1 to "+strconv.Itoa(last), "a node takes %d ports from its base port on, and cannot from %d", api.PortsPerNode, c.Port)
	case n != 0 && n != 16 && n != 24 && n != 32:
		return badSetting("gossip-key", "make one with: pondnode tls init", "a key of %d bytes is none: it has 16, 24 or 32", n)
	}
	return nil
}

// check says which setting a node cannot start with.
func (c *Config) check() (err error) {
	total, known := machineMemory()
	switch {
	case c.Slots > wire.RunningMax:
		return badSetting("slots", "one a core is right for most machines", "%d tasks at once are more than %d", c.Slots, wire.RunningMax)
	case c.JobsMax < 1:
		return badSetting("jobs-max", "32 is the default", "a node that drives %d jobs at once would drive none", c.JobsMax)
	case c.UserJobsMax < 0:
		return badSetting("user-jobs-max", "0 is no bound", "%d jobs are less than none", c.UserJobsMax)
	case c.Memory < memoryMin:
		return badSetting("memory", "write it like 4GiB", "%d bytes are too little: at least %d MiB are needed", c.Memory, memoryMin>>20)
	case known && c.Memory > total:
		return badSetting("memory", "leave some to the system: 60 % of it is the default", "%d MiB are more than this machine has: %d MiB", c.Memory>>20, total>>20)
	case !isLoopback(c.Bind) && (c.TLS == nil || len(c.GossipKey) == 0):
		return &plan.Error{Kind: plan.KindDenied, Op: "bind", Subject: c.Bind,
			Text: "a node listens outside loopback only with a gossip key and TLS certificates",
			Hint: "make them with pondnode tls init and pondnode tls issue, and give --gossip-key, --tls-cert, --tls-key and --tls-ca; or bind to 127.0.0.1"}
	case isUnspecified(c.Advertise):
		return badSetting("advertise", "give the address at which other nodes reach this machine", "%s is no address that other nodes can call", c.Advertise)
	}
	if c.offers, err = c.offered(); err != nil {
		return badSetting("functions", "put several into one, with an argument more", "%v", err)
	}
	if c.ChaosKey != "" {
		if c.Faults, err = faults.New(c.ChaosKey, c.Log); err != nil {
			return badSetting("chaos-key", "leave it out but for fault runs", "%v", err)
		}
	}
	c.Keys = append(slices.Clone(c.Keys), token.Files()...)
	if c.TokenFile != "" {
		c.Keys = append(c.Keys, c.TokenFile)
	}
	if c.TLS, err = api.Secure(c.TLS); err != nil || c.TLS != nil {
		return err
	}
	return c.findSecret()
}

// findSecret has a node without TLS take calls of its user alone: over HTTP and from
// other nodes by tokens, in gossip by its key.
func (c *Config) findSecret() (err error) {
	switch {
	case c.Secret != nil:
	case c.TokenFile != "":
		c.Secret, err = token.LoadOrMake(c.TokenFile)
	default:
		c.Secret, err = token.Own()
	}
	if err != nil {
		return badSetting("token-file", "give a file that only this user may read, or that is not there yet", "%v", err)
	}
	if len(c.GossipKey) == 0 {
		c.GossipKey = c.Secret.GossipKey()
	}
	return nil
}

// offered names what the node has and others may lack.
func (c *Config) offered() (offers.Set, error) {
	var names []string
	for _, f := range c.Funcs.Names() {
		names = append(names, offers.Func(f))
	}
	for _, k := range c.Kinds.Names() {
		names = append(names, offers.Actor(k))
	}
	return offers.New(names...)
}

// badSetting is a setting of the user's that no node can start with.
func badSetting(name, hint, format string, args ...any) error {
	return &plan.Error{Kind: plan.KindUser, Op: plan.OpConfigure, Subject: name, Text: fmt.Sprintf(format, args...), Hint: hint}
}

func isUnspecified(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsUnspecified()
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// machineMemory is the memory of the machine or of the cgroup, in bytes. Where it
// is not known, it is a guess.
func machineMemory() (total int64, known bool) {
	const fallback = 4 << 30
	total = fallback
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		if f := strings.Fields(string(b)); len(f) > 1 {
			if kb, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				total, known = kb<<10, true
			}
		}
	}
	for _, p := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if b, err := os.ReadFile(p); err == nil {
			if v, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && v > 0 {
				total = min(total, v)
			}
		}
	}
	return total, known
}
