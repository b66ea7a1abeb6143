package actors

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/engines"
	"github.com/pondmesh/pond/actors/funcs"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/wire"
)

// Config is one node's settings. The zero value of a field means its default.
type Config struct {
	Bind      string // host to listen on; default 127.0.0.1
	Advertise string // host that others dial; default Bind
	Port      int    // base port; 0: free ones are picked
	Peers     []string
	Dir       string // data folder; required
	Memory    int64  // bytes for DuckDB and shuffle buffers; default 60 % of the machine's
	Slots     int    // tasks at once; default one a core; negative: none
	Label     string // name of the pond: nodes of other labels are refused
	GossipKey []byte // 16, 24 or 32 bytes
	TLS       *tls.Config
	Zone      string
	Version   string
	CacheMax  int64 // bytes of finished jobs' segments kept for reuse
	Log       *slog.Logger
	Funcs     *funcs.Registry
}

// Defaults.
const (
	defaultBind     = "127.0.0.1"
	defaultLabel    = "pond"
	defaultCacheMax = 8 << 30
	memoryShare     = 0.6
	memoryMin       = 64 << 20
)

func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" {
		return c, errors.New("actors: no data folder given")
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
	switch {
	case c.Slots == 0:
		c.Slots = min(engines.Cores(), wire.RunningMax)
	case c.Slots > wire.RunningMax:
		return c, fmt.Errorf("actors: %d slots are too many: a node runs at most %d tasks at once", c.Slots, wire.RunningMax)
	case c.Slots < 0:
		c.Slots = 0
	}
	if c.Memory <= 0 {
		c.Memory = max(int64(float64(machineMemory())*memoryShare), memoryMin)
	}
	if c.Memory < memoryMin {
		return c, fmt.Errorf("actors: a memory budget of %d bytes is too small: give at least %d MiB", c.Memory, memoryMin>>20)
	}
	if c.CacheMax == 0 {
		c.CacheMax = defaultCacheMax
	}
	if c.Version == "" {
		c.Version = "dev"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Funcs == nil {
		c.Funcs = new(funcs.Registry)
	}
	if !isLoopback(c.Bind) && (c.TLS == nil || len(c.GossipKey) == 0) {
		return c, &plan.Error{Kind: plan.KindDenied, Op: "bind", Subject: c.Bind,
			Text: "a node listens outside loopback only with a gossip key and TLS certificates",
			Hint: "give --gossip-key, --tls-cert, --tls-key and --tls-ca, or bind to 127.0.0.1"}
	}
	return c, nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// machineMemory is the memory of the machine or of the cgroup, in bytes.
func machineMemory() int64 {
	const fallback = 4 << 30
	total := int64(fallback)
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		if f := strings.Fields(string(b)); len(f) > 1 {
			if kb, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				total = kb << 10
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
	return total
}

// nodeID is the identity kept in the data folder; it is made on first use.
func nodeID(dir string) (string, error) {
	path := filepath.Join(dir, "node.id")
	b, err := os.ReadFile(path)
	if err == nil && len(strings.TrimSpace(string(b))) > 0 {
		return strings.TrimSpace(string(b)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("actors: read %s: %w", path, err)
	}
	id := randomHex(4)
	if err := os.WriteFile(path, []byte(id+"\n"), 0o644); err != nil {
		return "", fmt.Errorf("actors: write the node's identity to %s: %w", path, err)
	}
	return id, nil
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// freePortTries is how often pickPorts looks for a free run of ports.
const freePortTries = 50

// enginePool is what the node's DuckDBs may use.
func (c Config) enginePool() engines.Config {
	return engines.Config{Memory: c.Memory, Slots: c.Slots, Dir: filepath.Join(c.Dir, "spill"), Funcs: c.Funcs, Log: c.Log}
}

// pickPorts finds a base port whose followers are free too, when none is given.
func pickPorts(host string, base int) (int, error) {
	if base > 0 {
		return base, nil
	}
	for range freePortTries {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return 0, fmt.Errorf("actors: find a free port on %s: %w", host, err)
		}
		p := l.Addr().(*net.TCPAddr).Port
		l.Close()
		if portsFree(host, p) {
			return p, nil
		}
	}
	return 0, fmt.Errorf("actors: no %d free ports in a row on %s", api.PortsPerNode, host)
}

func portsFree(host string, base int) bool {
	if base+api.PortsPerNode > 65535 {
		return false
	}
	for p := base; p < base+api.PortsPerNode; p++ {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(p)))
		if err != nil {
			return false
		}
		l.Close()
	}
	u, err := net.ListenPacket("udp", net.JoinHostPort(host, strconv.Itoa(base)))
	if err != nil {
		return false
	}
	u.Close()
	return true
}
