package dataset

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pondmesh/pond/fs/collect"
	"github.com/pondmesh/pond/fs/register"
	"github.com/pondmesh/pond/fs/repair"
	"github.com/pondmesh/pond/fs/replica"
)

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func id(n int) repair.ID { return repair.ID{14: byte(n >> 8), 15: byte(n)} }

// TestState walks a dataset through the life of three jobs.
func TestState(t *testing.T) {
	s, lease, err := State{}.Begin("j1", "x")
	if err != nil || lease != "j1.x" {
		t.Fatal(lease, err)
	}
	if _, again, err := s.Begin("j1", "y"); err != nil || again != lease {
		t.Errorf("begun by another driver: %q, %v", again, err)
	}
	if _, err := s.Find(0); !errors.Is(err, ErrNotFound) {
		t.Errorf("found before it is there: %v", err)
	}
	if s, err = s.Publish("j1", lease, id(1), []replica.Node{"n"}, begin); err != nil {
		t.Fatal(err)
	}
	var done *PublishedError
	if _, err := s.Publish("j1", lease, id(2), nil, begin); !errors.As(err, &done) || done.Version != 1 || !errors.Is(err, ErrPublished) {
		t.Errorf("published twice: %v", err)
	}
	if _, _, err := s.Begin("j1", "y"); !errors.Is(err, ErrPublished) {
		t.Errorf("begun after it published: %v", err)
	}
	if _, err := s.Publish("j2", "j2.x", id(2), nil, begin); !errors.Is(err, collect.ErrCondemned) {
		t.Errorf("published without a lease: %v", err)
	}
	s, lease, _ = s.Begin("j2", "x")
	s, err = s.Publish("j2", lease, id(2), nil, begin.Add(time.Hour))
	if v, e := s.Find(0); err != nil || e != nil || v.Number != 2 || v.Manifest != id(2) {
		t.Errorf("%+v, %v, %v", v, err, e)
	}
	if v, e := s.Find(1); e != nil || v.Manifest != id(1) {
		t.Errorf("the old version: %+v, %v", v, e)
	}
	if _, e := new(State).Find(3); !errors.Is(e, ErrNotFound) || !strings.Contains(e.Error(), "no dataset of this name") {
		t.Errorf("a version of what was never made: %v", e)
	}
	if _, e := s.Find(3); !errors.Is(e, ErrNotFound) || !strings.Contains(e.Error(), "newest is 2") {
		t.Errorf("a version to come: %v", e)
	}
	s.Versions = s.Versions[1:]
	if _, e := s.Find(1); !errors.Is(e, ErrNotFound) || !strings.Contains(e.Error(), "kept no longer") {
		t.Errorf("a version that is gone: %v", e)
	}
	for _, job := range []string{"", "a.b", strings.Repeat("j", jobMax+1)} {
		if _, _, err := s.Begin(job, "x"); err == nil {
			t.Errorf("begun by job %q", job)
		}
	}
}

// The largest state fits a register, whatever its jobs are called.
func TestStateFits(t *testing.T) {
	var s State
	node := replica.Node(strings.Repeat("n", 64))
	for i := range 2 * jobsMax {
		job := fmt.Sprintf("%032d", i)
		next, lease, err := s.Begin(job, strings.Repeat("d", 26))
		if err == nil {
			next, err = next.Publish(job, lease, id(i), []replica.Node{node, node, node}, begin)
		}
		if err != nil {
			t.Fatal(err)
		}
		s = next
	}
	for i := 0; ; i++ {
		next, _, err := s.Begin(fmt.Sprintf("%032d", 2*jobsMax+i), strings.Repeat("d", 26))
		if errors.Is(err, collect.ErrTooMany) {
			break
		}
		if s = next; err != nil {
			t.Fatal(err)
		}
	}
	data, err := s.Encode()
	if err != nil || len(s.Jobs) != jobsMax {
		t.Fatalf("%d jobs, %d bytes, %v", len(s.Jobs), len(data), err)
	}
	if back, err := DecodeState(data); err != nil || !reflect.DeepEqual(back, s) {
		t.Errorf("%v, read back:\n%+v\n%+v", err, back, s)
	}
	if len(data) > register.DataMax*9/10 {
		t.Errorf("%d bytes leave little room", len(data))
	}
}

func TestDecodeState(t *testing.T) {
	if s, err := DecodeState(nil); err != nil || !reflect.DeepEqual(s, State{}) {
		t.Errorf("nothing: %+v, %v", s, err)
	}
	for _, text := range []string{"[", "{} {}", `{"last":1,"versions":[{"number":2}]}`, `{"last":9,"versions":[{"number":2},{"number":2}]}`, `{"last":1,"versions":[{"number":0}]}`, strings.Repeat(" ", register.DataMax) + "{}"} {
		if s, err := DecodeState([]byte(text)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%.80q: %+v, %v", text, s, err)
		}
	}
}

// TestEachJobPublishesOnce: whatever drivers of some jobs do and when they die, each
// job makes at most one version, and its drivers agree on which.
func TestEachJobPublishesOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var s State
		type driver struct{ job, lease string }
		var drivers []driver
		made := map[string][]uint64{}
		told := map[string]uint64{}
		hear := func(job string, err error) {
			var done *PublishedError
			if !errors.As(err, &done) {
				return
			}
			if v, ok := told[job]; ok && v != done.Version {
				rt.Fatalf("job %s is told of versions %d and %d", job, v, done.Version)
			}
			told[job] = done.Version
		}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"begin", "publish", "publish", "condemn"}).Draw(rt, "step") {
			case "begin":
				job := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "job")
				next, lease, err := s.Begin(job, fmt.Sprint(len(drivers)))
				if hear(job, err); err == nil {
					s, drivers = next, append(drivers, driver{job, lease})
				}
			case "publish":
				if len(drivers) == 0 {
					continue
				}
				d := rapid.SampledFrom(drivers).Draw(rt, "driver")
				next, err := s.Publish(d.job, d.lease, id(1), nil, begin)
				if hear(d.job, err); err == nil {
					s = next
					made[d.job] = append(made[d.job], s.Last)
				}
			case "condemn":
				if n := len(s.Leases); n > 0 {
					s.Ledger = s.Release(s.Leases[rapid.IntRange(0, n-1).Draw(rt, "lease")].ID)
				}
			}
		}
		for job, versions := range made {
			if len(versions) != 1 || told[job] != 0 && told[job] != versions[0] {
				rt.Fatalf("job %s made versions %v, and is told %d", job, versions, told[job])
			}
		}
	})
}

func TestIndex(t *testing.T) {
	var data []byte
	for _, name := range []string{"b", "a", "b", "c"} {
		next, err := AddName(data, name)
		if err != nil {
			t.Fatal(err)
		}
		if next != nil {
			data = next
		} else if name != "b" {
			t.Errorf("%s is said to be there", name)
		}
	}
	if names, err := DecodeIndex(data); err != nil || !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Errorf("%q, %v", names, err)
	}
	if _, err := AddName(data, "A"); !errors.Is(err, ErrName) {
		t.Errorf("a bad name: %v", err)
	}
	if _, err := AddName([]byte("{"), "a"); !errors.Is(err, ErrDamaged) {
		t.Errorf("a damaged index: %v", err)
	}
	full := []byte(`["` + strings.Repeat(`a","`, register.DataMax/4) + `b"]`)
	if _, err := AddName(full, "z"); !errors.Is(err, collect.ErrTooMany) {
		t.Errorf("a full index: %v", err)
	}
	if keys := IndexKeys(); !slices.Contains(keys, IndexKey("sales")) || len(keys) != indexes {
		t.Errorf("%v", keys)
	}
}
