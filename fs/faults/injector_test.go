package faults

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const key = "0123456789abcdef"

func injector(t testing.TB, orders ...Order) *Injector {
	t.Helper()
	i, err := New(key, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range orders {
		if err := i.Arm(o); err != nil {
			t.Fatal(err)
		}
	}
	return i
}

// fired tells at which visits of a point something happens.
func fired(i *Injector, p Point, visits int) (out []int) {
	for n := range visits {
		if i.At(p) != "" {
			out = append(out, n)
		}
	}
	return out
}

func TestOrders(t *testing.T) {
	for name, c := range map[string]struct {
		order Order
		want  []int
	}{
		"once":           {Order{Point: Report, Do: Drop}, []int{0}},
		"after others":   {Order{Point: Report, Do: Drop, Skip: 3}, []int{3}},
		"several":        {Order{Point: Report, Do: Double, Skip: 1, Times: 2}, []int{1, 2}},
		"another point":  {Order{Point: Grant, Do: Drop}, nil},
		"surely by luck": {Order{Point: Report, Do: Drop, Chance: 100, Times: 2}, []int{0, 1}},
	} {
		i := injector(t, c.order)
		if got := fired(i, Report, 10); !slices.Equal(got, c.want) {
			t.Errorf("%s: fires at %v, not %v", name, got, c.want)
		}
		if s := i.States()[0]; s.Fired != int64(len(c.want)) {
			t.Errorf("%s: says that it fired %d times, not %d", name, s.Fired, len(c.want))
		}
	}
}

// Several orders of one point fire one after the other; a disarmed one never.
func TestSeveralOrders(t *testing.T) {
	i := injector(t, Order{Point: Blocks, Do: Drop}, Order{Point: Blocks, Do: Corrupt})
	if a, b, c := i.At(Blocks), i.At(Blocks), i.At(Blocks); a != Drop || b != Corrupt || c != "" {
		t.Errorf("%q, %q, %q", a, b, c)
	}
	if s := i.Disarm(); len(s) != 2 || s[0].Fired != 1 || s[1].Fired != 1 {
		t.Errorf("%+v", s)
	}
	i = injector(t, Order{Point: Blocks, Do: Drop})
	i.Disarm()
	if got := i.At(Blocks); got != "" || len(i.States()) != 0 {
		t.Errorf("disarmed, it does %q", got)
	}
}

// A seed settles which visits a chance strikes.
func TestChance(t *testing.T) {
	of := func(seed uint64) []int {
		return fired(injector(t, Order{Point: Report, Do: Drop, Chance: 30, Seed: seed, Times: 1000}), Report, 1000)
	}
	a, again, b := of(7), of(7), of(8)
	if !slices.Equal(a, again) || slices.Equal(a, b) || len(a) < 200 || len(a) > 400 {
		t.Errorf("%d, %d and %d of 1000 visits with a chance of 30 %%", len(a), len(again), len(b))
	}
}

func TestMistakes(t *testing.T) {
	for _, o := range []Order{
		{Do: Crash}, {Point: "nowhere", Do: Crash}, {Point: Report}, {Point: Report, Do: EIO}, {Point: Report, Do: Drop, Skip: -1},
		{Point: Report, Do: Drop, Times: -1}, {Point: Report, Do: Drop, Chance: 101}, {Point: Report, Do: Delay}, {Point: Report, Do: Drop, Late: 1},
		{Point: Report, Do: Delay, Late: LateMax.Milliseconds() + 1},
	} {
		if err := injector(t).Arm(o); !errors.Is(err, ErrOrder) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	i := injector(t)
	for range OrdersMax {
		if err := i.Arm(Order{Point: Report, Do: Drop}); err != nil {
			t.Fatal(err)
		}
	}
	if err := i.Arm(Order{Point: Report, Do: Drop}); !errors.Is(err, ErrOrder) {
		t.Errorf("one too many: %v", err)
	}
	if _, err := New(key[1:], nil); err == nil {
		t.Error("a short key is taken")
	}
	if !i.Allows(key) || i.Allows(key+"0") || i.Allows("") {
		t.Error("which key it is")
	}
}

// Each point stands in the list once, and takes something.
func TestPlaces(t *testing.T) {
	seen := map[Point]bool{}
	for _, p := range Places() {
		if seen[p.Point] || p.About == "" || len(p.Takes) == 0 {
			t.Errorf("%+v", p)
		}
		seen[p.Point] = true
	}
	if p := PublishStep("set aside"); p != PublishSetAside || !seen[p] {
		t.Errorf("the point of a step is %s", p)
	}
}

func TestErrors(t *testing.T) {
	i := injector(t, Order{Point: RecordSync, Do: EIO}, Order{Point: RecordSync, Do: ENOSPC})
	if a, b, c := i.Fail(RecordSync), i.Fail(RecordSync), i.Fail(RecordSync); !errors.Is(a, syscall.EIO) || !errors.Is(b, syscall.ENOSPC) || c != nil {
		t.Errorf("%v, %v, %v", a, b, c)
	}
	if err := (*Injector)(nil).Fail(RecordSync); err != nil {
		t.Errorf("without an injector: %v", err)
	}
}

func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := injector(t, Order{Point: Blocks, Do: Delay, Late: 1500})
		begun := time.Now()
		if do := i.At(Blocks); do != "" || time.Since(begun) != 1500*time.Millisecond {
			t.Errorf("%q after %v", do, time.Since(begun))
		}
	})
}

// Delays take no other fault's visit: they add up, and what else is due happens after them.
func TestDelayBesideOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := injector(t, Order{Point: Attempt, Do: Delay, Late: 100, Times: 2}, Order{Point: Attempt, Do: Hang, Skip: 1}, Order{Point: Attempt, Do: Delay, Late: 50})
		for n, want := range []struct {
			do   Action
			took time.Duration
		}{{"", 150 * time.Millisecond}, {Hang, 100 * time.Millisecond}, {"", 0}} {
			begun := time.Now()
			if do := i.At(Attempt); do != want.do || time.Since(begun) != want.took {
				t.Errorf("visit %d: %q after %v", n+1, do, time.Since(begun))
			}
		}
	})
}

// crashes is a variable of the environment of the process that TestCrash starts.
const crashes = "POND_FAULTS_TEST_CRASH"

// A crash is the end of the process, there: SIGKILL, which nothing after it survives.
// The log has said so.
func TestCrash(t *testing.T) {
	if os.Getenv(crashes) != "" {
		i, _ := New(key, slog.New(slog.NewTextHandler(os.Stderr, nil)))
		_ = i.Arm(Order{Point: Publish, Do: Crash})
		var ends sync.WaitGroup
		ends.Go(func() { i.At(Publish) })
		ends.Wait()
		os.Stdout.WriteString("it lives\n")
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrash$")
	cmd.Env = append(os.Environ(), crashes+"=1")
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL || strings.Contains(out.String(), "lives") {
		t.Errorf("%v: %s", err, out.String())
	}
	if !strings.Contains(log.String(), `msg="a fault fires" point=publish do=crash`) {
		t.Errorf("the log: %s", log.String())
	}
}

func BenchmarkAt(b *testing.B) {
	for _, c := range []struct {
		name string
		i    *Injector
	}{{"none", nil}, {"unarmed", injector(b)}, {"another armed", injector(b, Order{Point: Grant, Do: Drop})}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if c.i.At(Report) != "" {
					b.Fatal("it fires")
				}
			}
		})
	}
}
