package vec_test

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/pondmesh/pond/duck/vec"
	"pgregory.net/rapid"
)

// TestPoolBuffers: whatever is asked for, buffers are as large as asked, nobody else's, and keep
// their bytes when they grow; all goes back to the allocator beneath.
func TestPoolBuffers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		defer mem.AssertSize(rt, 0)
		p := vec.NewPool(mem, int64(rapid.SampledFrom([]int{0, 1 << 10, 1 << 30}).Draw(rt, "limit")))
		defer p.Trim()
		var out [][]byte
		for i := range rapid.IntRange(1, 40).Draw(rt, "steps") {
			switch rapid.IntRange(0, 2).Draw(rt, "step") {
			case 0:
				size := rapid.SampledFrom([]int{0, 1, 63, 64, 65, 1000, 4096, 100_000}).Draw(rt, "size")
				b := p.Allocate(size)
				if len(b) != size {
					rt.Fatalf("%d bytes for %d", len(b), size)
				}
				fill(b, byte(i))
				out = append(out, b)
			case 1:
				if len(out) == 0 {
					continue
				}
				k := rapid.IntRange(0, len(out)-1).Draw(rt, "which")
				was := bytes.Clone(out[k])
				size := rapid.IntRange(0, 10_000).Draw(rt, "new size")
				out[k] = p.Reallocate(size, out[k])
				if n := min(len(was), size); len(out[k]) != size || !bytes.Equal(out[k][:n], was[:n]) {
					rt.Fatalf("%d bytes of %d became %d, not the same", size, len(was), len(out[k]))
				}
				fill(out[k], byte(i))
			case 2:
				if len(out) == 0 {
					continue
				}
				p.Free(out[len(out)-1])
				out = out[:len(out)-1]
			}
			for _, b := range out {
				if len(b) > 0 && (b[0] != b[len(b)-1] || bytes.Count(b, b[:1]) != len(b)) {
					rt.Fatal("a buffer was written by another's owner")
				}
			}
		}
		for _, b := range out {
			p.Free(b)
		}
	})
}

func fill(b []byte, with byte) {
	for i := range b {
		b[i] = with
	}
}

// TestPoolTogether: many may use a pool at once.
func TestPoolTogether(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	p := vec.NewPool(mem, 1<<16)
	defer p.Trim()
	var all sync.WaitGroup
	for k := range 8 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(k), 0))
			for range 500 {
				b := p.Allocate(1 + r.IntN(5000))
				fill(b, byte(k))
				if bytes.Count(b, []byte{byte(k)}) != len(b) {
					t.Error("two have one buffer")
				}
				p.Free(b)
			}
		})
	}
	all.Wait()
}
