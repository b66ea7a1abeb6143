//go:build duckdb_arrow

package chaos_test

import (
	"errors"
	"flag"
	"testing"
	"time"

	"github.com/pondmesh/pond/chaos"
	"github.com/pondmesh/pond/chaos/netns"
	"github.com/pondmesh/pond/chaos/scenario"
)

var allNetworks = flag.Bool("networks", false, "TestNetworkFaults makes the network fail in every way, not in two")

// Jobs go on when the network fails between nodes in namespaces of their own, and the
// pond is whole when it works again.
func TestNetworkFaults(t *testing.T) {
	long(t)
	n, err := netns.New()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	must(t, err)
	must(t, n.Close())
	s := small(t, "")
	s.Setup.Driver = scenario.Netns
	ctx := testContext(t)
	site, err := chaos.NewSite(ctx, chaos.SiteOptions{Binary: binary, Dir: t.TempDir(), Setup: s.Setup})
	must(t, err)
	defer func() { must(t, site.Close()) }()
	for i, f := range []scenario.Fault{
		{Do: scenario.Cut, Who: scenario.Coordinator, For: span(6 * time.Second)},
		{Do: scenario.Lose, Who: scenario.Anyone, Loss: 30, For: span(time.Second)},
		{Do: scenario.Cut, Who: scenario.Coordinator, Way: scenario.In, For: span(8 * time.Second)},
		{Do: scenario.Cut, Who: scenario.Coordinator, Way: scenario.Out, For: span(8 * time.Second)},
		{Do: scenario.Cut, Who: scenario.Anyone, Gossip: true, For: span(8 * time.Second)},
		{Do: scenario.Delay, Who: scenario.Anyone, Late: scenario.Duration(50 * time.Millisecond), For: span(3 * time.Second)},
	} {
		if i > 1 && !*allNetworks {
			break
		}
		p := s.Plan(uint64(i))
		f.At = scenario.Moment{On: scenario.Share}
		p.Faults = []scenario.Fault{f}
		must(t, p.Validate())
		r := site.Run(ctx, p)
		t.Logf("%+v: %s %s %+v", f, r.Verdict, r.Error, r.Fired)
		if r.Verdict != chaos.OK || len(r.Fired) != 1 {
			for _, n := range site.Cluster().Nodes() {
				t.Logf("--- log of node %s\n%s", n.ID(), tail(n.Log(), 40))
			}
			t.Fatalf("%+v: %s", f, r.Verdict)
		}
	}
}

func span(d time.Duration) scenario.Span {
	return scenario.Span{Min: scenario.Duration(d), Max: scenario.Duration(d)}
}
