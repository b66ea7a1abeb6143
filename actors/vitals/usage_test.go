package vitals

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors/api"
	"github.com/pondmesh/pond/actors/journal"
	"github.com/pondmesh/pond/actors/setup"
	"github.com/pondmesh/pond/fs/disks"
	"github.com/pondmesh/pond/mesh"
)

// What is in the store and no segment is records, never less than none: a segment may be
// counted before the store counts it. Limits stand at what they bound.
func TestUsage(t *testing.T) {
	p := well(t)
	p.up = false // it tells what it holds while it calls its peers
	p.live, p.kept, p.copies = journal.Usage{Bytes: 10, Count: 1}, journal.Usage{Bytes: 200, Count: 2}, journal.Usage{Bytes: 3000, Count: 3}
	p.disks = []disks.State{{Dir: "/in", ID: "x", Bytes: 5, Count: 6, Free: 7, Total: 8}, {Dir: "/out", Err: errors.New("broken"), Aside: 1}}
	v := p.vitals()
	for name, size := range map[string]int{setup.DraftsDir + "/job/a": 20, setup.PutsDir + "/b": 300, setup.SpillDir + "/c": 4, setup.SpillDir + "/d": 5} {
		path := filepath.Join(v.Config.Dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, make([]byte, size), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	const hour = int64(time.Hour / time.Millisecond)
	for _, c := range []struct {
		bytes, count int64 // in the store
		keep         time.Duration
		records      api.KindUsage
	}{
		{3210, 6, time.Hour, api.KindUsage{Max: 100, KeepMillis: hour}},
		{3250, 10, time.Hour, api.KindUsage{Bytes: 40, Count: 4, Max: 100, KeepMillis: hour}},
		{3200, 5, time.Hour, api.KindUsage{Max: 100, KeepMillis: hour}},
		{3250, 10, -time.Hour, api.KindUsage{Bytes: 40, Count: 4, Max: 100}}, // kept for as long as there is room
	} {
		p.bytes, p.count, v.Config.KeepFor = c.bytes, c.count, c.keep
		c.records.Kind = api.UsageRecords
		want := []api.KindUsage{
			{Kind: api.UsageLive, Bytes: 10, Count: 1}, {Kind: api.UsageKept, Bytes: 200, Count: 2, Max: 1000, KeepMillis: c.records.KeepMillis}, {Kind: api.UsageCopies, Bytes: 3000, Count: 3},
			c.records, {Kind: api.UsageStaged, Bytes: 1320, Count: 3}, {Kind: api.UsageSpill, Bytes: 9, Count: 2},
		}
		if u := v.Usage(); u.Node != "a" || !slices.Equal(u.Kinds, want) {
			t.Errorf("%d bytes of %d uploads: %+v, want %+v", c.bytes, c.count, u, want)
		}
	}
	want := []api.DiskUsage{{Dir: "/in", ID: "x", Bytes: 5, Count: 6, Free: 7, Total: 8}, {Dir: "/out", Aside: 1, Error: "out of use: broken"}}
	if got := v.Usage().Disks; !slices.Equal(got, want) {
		t.Errorf("disks: %+v", got)
	}
}

// Every node of the view is told of, in its place: by what it says itself, or by why it
// says nothing.
func TestAllUsage(t *testing.T) {
	other := func(id mesh.NodeID, says ...api.Usage) mesh.Member {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/usage" || r.Header.Get(api.HopHeader) == "" {
				t.Errorf("asked for %s, which goes on to others", r.URL)
			}
			_ = json.NewEncoder(w).Encode(says)
		}))
		t.Cleanup(srv.Close)
		addr := srv.Listener.Addr().(*net.TCPAddr)
		return mesh.Member{ID: id, Host: addr.IP.String(), API: addr.Port}
	}
	p := well(t)
	p.members = []mesh.Member{
		other("b", api.Usage{Node: "b", Kinds: []api.KindUsage{{Kind: api.UsageLive, Bytes: 9}}}),
		other("c"),
		{ID: "d", Host: "127.0.0.1", API: 1}, // nobody listens
	}
	v := p.vitals()
	defer v.Peers.API.Close()
	all := v.AllUsage(t.Context())
	if len(all) != 4 {
		t.Fatalf("%+v", all)
	}
	if all[0].Node != "a" || len(all[0].Kinds) != 6 || all[1].Node != "b" || len(all[1].Kinds) != 1 || all[1].Kinds[0].Bytes != 9 {
		t.Errorf("who answers: %+v", all[:2])
	}
	for i, want := range []api.Usage{{Node: "c", Error: "it said nothing"}, {Node: "d", Error: "it does not answer"}} {
		if got := all[2+i]; got.Node != want.Node || got.Error != want.Error || got.Kinds != nil {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}
