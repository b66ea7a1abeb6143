package registers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/pondmesh/pond/fs/register"
)

type opInput struct {
	key    register.Key
	cas    bool
	expect uint64
	data   string
}

type opOutput struct {
	unknown, conflict bool
	version           uint64
	data              string
}

// model is a register. A change of unknown outcome may have happened or not; of one that
// was found by its id, a later value may be told.
var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) (out [][]porcupine.Operation) {
		byKey := map[register.Key][]porcupine.Operation{}
		for _, op := range history {
			byKey[op.Input.(opInput).key] = append(byKey[op.Input.(opInput).key], op)
		}
		return slices.Collect(maps.Values(byKey))
	},
	Init: func() any { return opOutput{} },
	Step: func(state, input, output any) (bool, any) {
		now, in, out := state.(opOutput), input.(opInput), output.(opOutput)
		made := opOutput{version: in.expect + 1, data: in.data}
		switch {
		case out.unknown && now.version == in.expect:
			return true, made
		case out.unknown:
			return true, now
		case in.cas && !out.conflict:
			return now.version == in.expect && out.version >= made.version, made
		}
		same := now == opOutput{version: out.version, data: out.data}
		return same && !(out.conflict && now.version == in.expect), now
	},
}

// history is what clients did, and when.
type history struct {
	began time.Time
	mu    sync.Mutex
	ops   []porcupine.Operation
	count atomic.Int64
}

// client reads and changes registers by one node until stop.
func (h *history) client(stop <-chan struct{}, id int, of func() *node, rng *rand.Rand) {
	seen := map[register.Key]uint64{}
	for {
		select {
		case <-stop:
			return
		default:
		}
		in := opInput{key: register.Key(fmt.Sprint("r", rng.IntN(3))), cas: rng.IntN(3) > 0, data: fmt.Sprint(id, "-", h.count.Load())}
		in.expect = seen[in.key]
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(50+rng.IntN(1500))*time.Millisecond)
		var out opOutput
		var data []byte
		var err error
		call := time.Since(h.began)
		if in.cas {
			out.version, data, err = of().CAS(ctx, in.key, NewChange(), in.expect, []byte(in.data))
		} else {
			data, out.version, err = of().Get(ctx, in.key)
		}
		end := time.Since(h.began)
		cancel()
		out.data = string(data)
		out.conflict = errors.Is(err, register.ErrConflict)
		out.unknown = errors.Is(err, register.ErrUnknown)
		if err != nil && !out.conflict && !out.unknown {
			continue // nothing has happened
		}
		op := porcupine.Operation{ClientId: id, Input: in, Output: out, Call: int64(call), Return: int64(end)}
		if out.unknown {
			op.ClientId, op.Return = 1000+int(h.count.Load()), 1<<62
		} else {
			seen[in.key] = out.version
		}
		h.count.Add(1)
		h.mu.Lock()
		h.ops = append(h.ops, op)
		h.mu.Unlock()
	}
}

// Registers are linearizable while messages are lost, doubled and late, nodes die and
// come back, are cut off from one another, and keepers are replaced.
func TestHistory(t *testing.T) {
	n := newNet(t)
	n.grace = 300 * time.Millisecond
	names := []string{"a", "b", "c", "d", "e", "f"}
	n.start("a")
	for _, name := range names[1:] {
		n.start(name, "a")
	}
	n.await("five keepers", func() bool { return len(n.nodes["a"].keepers()) == 5 })
	n.change(func() { n.loss = 0.05 })
	rng := rand.New(rand.NewPCG(n.seed, 2))
	h := &history{began: time.Now()}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for i, name := range append(names, names...) {
		seed := rng.Uint64()
		clients.Go(func() {
			h.client(stop, i, func() *node { n.mu.Lock(); defer n.mu.Unlock(); return n.nodes[name] }, rand.New(rand.NewPCG(seed, 1)))
		})
	}
	rosters := map[uint64]bool{}
	for round := range 8 {
		victim, other := names[rng.IntN(len(names))], names[rng.IntN(len(names))]
		switch round % 4 {
		case 0, 2: // dead for longer than the grace, or not
			n.kill(victim)
			pause(400 * time.Duration(1+rng.IntN(2)) * time.Millisecond)
			n.start(victim)
		case 1:
			n.change(func() { n.cut[[2]string{victim, other}] = true })
			pause(500 * time.Millisecond)
			n.change(func() { clear(n.cut) })
		case 3: // a minority, alone
			n.change(func() {
				for _, a := range names[:2] {
					for _, b := range names[2:] {
						n.cut[[2]string{a, b}] = true
					}
				}
			})
			pause(500 * time.Millisecond)
			n.change(func() { clear(n.cut) })
		}
		for _, name := range names {
			rosters[n.nodes[name].Roster().Version] = true
		}
	}
	close(stop)
	clients.Wait()
	n.change(func() { n.loss = 0 })
	for _, key := range []register.Key{"r0", "r1", "r2"} {
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		call := time.Since(h.began)
		data, version, err := n.nodes["f"].Get(ctx, key)
		cancel()
		if err != nil {
			t.Fatalf("%s cannot be read after all faults: %v", key, err)
		}
		h.ops = append(h.ops, porcupine.Operation{ClientId: 999, Input: opInput{key: key}, Output: opOutput{version: version, data: string(data)}, Call: int64(call), Return: int64(time.Since(h.began))})
	}
	t.Logf("%d operations, %d rosters", len(h.ops), len(rosters))
	if len(rosters) < 2 || len(h.ops) < 100 {
		t.Error("too little has happened")
	}
	if porcupine.CheckOperationsTimeout(model, h.ops, deadline) == porcupine.Illegal {
		t.Error("not linearizable")
	}
}

// pause lets a fault last.
func pause(d time.Duration) { <-time.After(d) }
