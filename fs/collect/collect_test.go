package collect

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pondmesh/pond/fs/register"
	"github.com/pondmesh/pond/fs/repair"
	"github.com/pondmesh/pond/fs/replica"
)

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func id(n int) repair.ID { return repair.ID{14: byte(n >> 8), 15: byte(n)} }

func must(t interface {
	Helper()
	Fatal(...any)
}) func(Ledger, error) Ledger {
	return func(l Ledger, err error) Ledger {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
}

// TestPublish walks a dataset through its versions.
func TestPublish(t *testing.T) {
	ok := must(t)
	l := ok(Ledger{}.Grant("a"))
	if _, there := l.Current(); there {
		t.Error("a dataset that nobody has published has a version")
	}
	if _, err := l.Grant("a"); err == nil {
		t.Error("a lease is granted twice")
	}
	l = ok(l.Publish("a", id(1), []replica.Node{"n"}, begin))
	if v, _ := l.Current(); v.Number != 1 || v.Manifest != id(1) || l.Holds("a") {
		t.Errorf("published %+v", l)
	}
	if _, err := l.Publish("a", id(2), nil, begin); !errors.Is(err, ErrCondemned) {
		t.Errorf("published again under a lease that has ended: %v", err)
	}
	if _, err := l.Renew("a"); !errors.Is(err, ErrCondemned) {
		t.Errorf("renewed: %v", err)
	}
	l = ok(ok(l.Grant("b")).Publish("b", id(2), nil, begin.Add(time.Hour)))
	if v, _ := l.Current(); v.Number != 2 || !l.Versions[0].Superseded.Equal(begin.Add(time.Hour)) {
		t.Errorf("superseded %+v", l)
	}
	l = l.Drop(begin.Add(2 * time.Hour))
	if _, there := l.Current(); there || len(l.Versions) != 2 || l.Last != 2 {
		t.Errorf("dropped %+v", l)
	}
	l = ok(ok(l.Grant("c")).Publish("c", id(3), nil, begin.Add(3*time.Hour)))
	if v, _ := l.Current(); v.Number != 3 || !l.Versions[1].Superseded.Equal(begin.Add(2*time.Hour)) {
		t.Errorf("made again %+v", l)
	}
}

// TestCondemn: what is renewed or readable stays, what is not goes.
func TestCondemn(t *testing.T) {
	ok, kept := must(t), Kept()
	var w Watch
	at := func(l Ledger, hours int) Ledger {
		l, _ = w.Condemn("d", l, begin.Add(time.Duration(hours)*time.Hour), kept)
		return l
	}
	l := ok(ok(Ledger{}.Grant("idle")).Grant("used"))
	for hours := range 3 {
		l = at(l, hours)
		if hours < 2 {
			l = ok(l.Renew("used"))
		}
	}
	if l.Holds("idle") || !l.Holds("used") {
		t.Errorf("leases %+v", l.Leases)
	}
	l = ok(l.Publish("used", id(1), nil, begin))
	l = ok(ok(l.Grant("b")).Publish("b", id(2), nil, begin))
	if l = at(l, 24); len(l.Versions) != 2 {
		t.Errorf("gone within the retention: %+v", l)
	}
	if l = at(l, 25); len(l.Versions) != 1 || l.Versions[0].Number != 2 {
		t.Errorf("after the retention: %+v", l)
	}
	if l = at(l, 1000); len(l.Versions) != 1 {
		t.Error("the current version is gone")
	}
	if len(w.seen) != 0 {
		t.Errorf("what is over is remembered: %v", w.seen)
	}
}

// TestOrphans: nothing is said without all manifests.
func TestOrphans(t *testing.T) {
	ok := must(t)
	l := ok(ok(Ledger{}.Grant("a")).Publish("a", id(1), nil, begin))
	l = ok(l.Grant("b"))
	held := map[repair.ID]string{id(1): "a", id(2): "a", id(3): "a", id(4): "b", id(5): "lost"}
	if _, err := l.Orphans(held, nil); !errors.Is(err, ErrUnread) {
		t.Errorf("without manifests: %v", err)
	}
	got, err := l.Orphans(held, map[repair.ID][]repair.ID{id(1): {id(2)}})
	if err != nil || fmt.Sprint(got) != fmt.Sprint([]repair.ID{id(3), id(5)}) {
		t.Errorf("orphans %v, %v", got, err)
	}
}

// TestTimes: what is away for long is stale before a tombstone can have expired.
func TestTimes(t *testing.T) {
	k := Kept()
	for name, c := range map[string]struct{ got, want bool }{
		"a young tombstone":      {k.Expired(begin, begin.Add(k.Tombstone)), false},
		"an old one":             {k.Expired(begin, begin.Add(k.Tombstone+1)), true},
		"away for a short time":  {k.Stale(begin, begin.Add(k.Away)), false},
		"away for long":          {k.Stale(begin, begin.Add(k.Away+1)), true},
		"a clock that went back": {k.Stale(begin, begin.Add(-1)), true},
	} {
		if c.got != c.want {
			t.Errorf("%s: %t", name, c.got)
		}
	}
	if k.Away >= k.Tombstone {
		t.Error("a node is believed for longer than tombstones are kept")
	}
}

// The largest ledger leaves most of a register's value to others.
func TestFits(t *testing.T) {
	ok, l := must(t), Ledger{}
	name := strings.Repeat("n", 64)
	for i := range leasesMax + versionsMax {
		l = ok(l.Grant(fmt.Sprintf("%032d", i)))
		if i < versionsMax {
			l = ok(l.Publish(fmt.Sprintf("%032d", i), id(i), []replica.Node{replica.Node(name), replica.Node(name), replica.Node(name)}, begin))
		}
	}
	if _, err := l.Grant("more"); !errors.Is(err, ErrTooMany) {
		t.Errorf("one lease more: %v", err)
	}
	text, err := json.Marshal(l)
	if err != nil || len(text) > register.DataMax/2 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	var back Ledger
	if err := json.Unmarshal(text, &back); err != nil || fmt.Sprint(back) != fmt.Sprint(l) {
		t.Errorf("%v, read back:\n%+v\n%+v", err, back, l)
	}
}

// TestNothingUsedIsBuried: whatever the order in which writers, collectors and sweepers
// take their steps, what a sweeper buries is not in use, then or ever after.
func TestNothingUsedIsBuried(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ok := must(rt)
		var l Ledger
		var w Watch
		now, next := begin, 0
		made, lease := map[repair.ID]string{}, map[string][]repair.ID{}
		manifests := map[repair.ID][]repair.ID{}
		buried := map[repair.ID]bool{}
		var listed map[repair.ID]string // by a sweeper that has not read the ledger yet
		for range rapid.IntRange(1, 80).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(rt, "minutes")) * time.Minute)
			name := fmt.Sprint("l", rapid.IntRange(0, max(next-1, 0)).Draw(rt, "lease"))
			switch rapid.SampledFrom([]string{"grant", "upload", "renew", "publish", "condemn", "list", "bury"}).Draw(rt, "step") {
			case "grant":
				l = ok(l.Grant(fmt.Sprint("l", next)))
				next++
			case "upload": // a writer does not know yet that its lease has ended
				if next > 0 {
					u := id(len(made))
					made[u] = name
					lease[name] = append(lease[name], u)
				}
			case "renew":
				if r, err := l.Renew(name); err == nil {
					l = r
				}
			case "publish": // all that it wrote, and what was there
				files := lease[name]
				if v, ok := l.Current(); ok && rapid.Bool().Draw(rt, "append") {
					files = append(append([]repair.ID{}, manifests[v.Manifest]...), files...)
				}
				m := id(len(made))
				if p, err := l.Publish(name, m, nil, now); err == nil {
					made[m], manifests[m], l = name, files, p
				}
			case "condemn":
				l, _ = w.Condemn("d", l, now, Kept())
			case "list":
				listed = map[repair.ID]string{}
				for u, name := range made {
					listed[u] = name
				}
			case "bury":
				orphans, err := l.Orphans(listed, manifests)
				if err != nil {
					rt.Fatal(err)
				}
				for _, u := range orphans {
					buried[u] = true
				}
				listed = nil
			}
			for _, v := range l.Versions {
				for _, u := range append([]repair.ID{v.Manifest}, manifests[v.Manifest]...) {
					if buried[u] {
						rt.Fatalf("version %d refers to %s, which is buried", v.Number, u)
					}
				}
			}
		}
	})
}
