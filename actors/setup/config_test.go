package setup

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/fs"
	"github.com/pondmesh/pond/mesh"
)

// TestReady: what no node starts with is told as the setting that is wrong.
func TestReady(t *testing.T) {
	free := func() Config { return Config{Dir: t.TempDir(), Memory: memoryMin} }
	for name, test := range map[string]struct {
		change  func(*Config)
		kind    plan.Kind // 0: it is ready
		subject string
	}{
		"nothing but a folder":    {func(*Config) {}, 0, ""},
		"no slots":                {func(c *Config) { c.Slots = -1 }, 0, ""},
		"no folder":               {func(c *Config) { c.Dir = "" }, plan.KindUser, "data"},
		"too many slots":          {func(c *Config) { c.Slots = 1 << 20 }, plan.KindUser, "slots"},
		"too little memory":       {func(c *Config) { c.Memory = 1 << 20 }, plan.KindUser, "memory"},
		"more memory than is":     {func(c *Config) { c.Memory = 1 << 60 }, plan.KindUser, "memory"},
		"open to all":             {func(c *Config) { c.Bind = "0.0.0.0" }, plan.KindDenied, "0.0.0.0"},
		"called by no address":    {func(c *Config) { c.Advertise = "0.0.0.0" }, plan.KindUser, "advertise"},
		"a peer without a number": {func(c *Config) { c.Peers = []string{"host:port"} }, plan.KindUser, "host:port"},
	} {
		c := free()
		test.change(&c)
		_, err := c.Ready(t.Context())
		if plan.KindOf(err) != test.kind || err != nil && !strings.Contains(err.Error(), test.subject) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, err := Config{Dir: t.TempDir(), Slots: -1, CacheMax: -1}.Ready(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c.Bind != "127.0.0.1" || c.Advertise != c.Bind || c.Slots != 0 || c.CacheMax != 0 || c.Memory < memoryMin || c.Log == nil || c.Funcs == nil {
		t.Errorf("defaults: %+v", c)
	}
}

// TestBasePort: a port is picked where none is given; one that is taken is told
// before anything starts.
func TestBasePort(t *testing.T) {
	c := Config{Bind: "127.0.0.1"}
	base, err := c.BasePort()
	if err != nil || base <= 0 {
		t.Fatal(base, err)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(c.Bind, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	c.Port = taken - api.PortOffset
	if got, err := c.BasePort(); err != nil || got != c.Port {
		t.Errorf("a given port: %d, %v", got, err)
	}
	err = checkPorts(c.Bind, c.Port)
	if !IsPortInUse(err) || plan.KindOf(err) != plan.KindExists {
		t.Errorf("a port that is taken: %v", err)
	}
	c.Dir = t.TempDir()
	if _, err := c.Ready(t.Context()); !IsPortInUse(err) {
		t.Errorf("a node whose port is taken is ready: %v", err)
	}
}

// TestErrors: what stands in the way is told by its kind, with what to do, and
// still matches its cause.
func TestErrors(t *testing.T) {
	for _, test := range []struct {
		err   error
		cause error
		kind  plan.Kind
	}{
		{PortError(mesh.ErrWrongKey, 1, 1), mesh.ErrWrongKey, plan.KindDenied},
		{PortError(mesh.ErrWrongLabel, 1, 1), mesh.ErrWrongLabel, plan.KindDenied},
		{PortError(mesh.ErrNoSeed, 1, 1), mesh.ErrNoSeed, plan.KindUnavailable},
		{PortError(mesh.ErrPortInUse, 1, 1), mesh.ErrPortInUse, plan.KindExists},
		{storeError("d", fs.ErrReadOnly), fs.ErrReadOnly, plan.KindDenied},
		{storeError("d", syscall.EIO), syscall.EIO, plan.KindStorage},
		{storeError("d", fs.ErrLocked), fs.ErrLocked, plan.KindExists},
		{storeError("d", fs.ErrNoSpace), fs.ErrNoSpace, plan.KindResource},
		{storeError("d", fs.ErrCorrupt), fs.ErrCorrupt, plan.KindStorage},
	} {
		if plan.KindOf(test.err) != test.kind || !errors.Is(test.err, test.cause) || plan.AsError(test.err).Hint == "" {
			t.Errorf("%v: %v", test.cause, test.err)
		}
	}
}
