package setup

import (
	"strings"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/plan"
	"github.com/pondmesh/pond/actors/wire"
)

// TestQuickMemory: small jobs have a slot of their own where there is room for it, and
// the others have the rest.
func TestQuickMemory(t *testing.T) {
	for _, c := range []struct {
		memory int64
		slots  int
		want   int64
	}{
		{quickMin*quickShare - 1, 2, 0}, {quickMin * quickShare, 2, quickMin}, {1 << 30, 1, 128 << 20},
		{quickMax * quickShare, 2, quickMax}, {1 << 40, 64, quickMax}, {1 << 30, 0, 0},
	} {
		config := Config{Memory: c.memory, Slots: c.slots}
		if got := config.QuickMemory(); got != c.want || config.SlotsMemory() != c.memory-c.want {
			t.Errorf("%d bytes, %d slots: %d, and %d for the others", c.memory, c.slots, got, config.SlotsMemory())
		}
	}
}

// TestSettings: each setting that no node starts with is named as its flag is, with what
// to do; what is left out, or means none, is a value that a node starts with.
func TestSettings(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		says   string // what stands in the way
	}{
		"jobs-max":      {func(c *Config) { c.JobsMax = -1 }, "would drive none"},
		"user-jobs-max": {func(c *Config) { c.UserJobsMax = -1 }, "less than none"},
		"slots":         {func(c *Config) { c.Slots = wire.RunningMax + 1 }, "are more than"},
		"chaos-key":     {func(c *Config) { c.ChaosKey = "short" }, ""},
		"advertise":     {func(c *Config) { c.Peers = []string{"192.0.2.1"} }, "could not call this node back"},
		"gossip-key":    {func(c *Config) { c.GossipKey = []byte("five!") }, "16, 24 or 32"},
		"port":          {func(c *Config) { c.Port = 65534 }, "65534"},
		"negative port": {func(c *Config) { c.Port = -1 }, "-1"},
	} {
		config := Config{Dir: t.TempDir(), Memory: memoryMin}
		c.change(&config)
		_, err := config.Ready(t.Context())
		if e := plan.AsError(err); err == nil || e.Hint == "" || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, hint %q", name, err, plan.AsError(err).Hint)
		}
	}
	none, err := Config{Dir: t.TempDir(), QueueMax: -1, KeepFor: -1, KeeperGrace: -1, RecordsMax: -1, JoinFor: -1}.Ready(t.Context())
	if err != nil || none.QueueMax != 0 || none.KeepFor != -1 || none.KeeperGrace != time.Minute || none.RecordsMax != defaultRecords || none.JoinFor != -1 || none.JobsMax != defaultJobsMax {
		t.Errorf("%v: %+v", err, none)
	}
}

func TestSome(t *testing.T) {
	for want, names := range map[string][]string{"": nil, "a": {"a"}, "a, b, c": {"a", "b", "c"}, "a, b, c and 1 more": {"a", "b", "c", "d"}} {
		if got := some(names); got != want {
			t.Errorf("%v: %q", names, got)
		}
	}
	for host, want := range map[string]bool{"localhost": true, "127.8.9.1": true, "::1": true, "0.0.0.0": false, "10.0.0.1": false, "example": false, "": false} {
		if isLoopback(host) != want {
			t.Errorf("%q is on loopback: %v", host, !want)
		}
	}
}
