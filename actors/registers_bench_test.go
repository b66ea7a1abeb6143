//go:build duckdb_arrow

package actors_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pondmesh/pond/actors"
	"github.com/pondmesh/pond/actors/registers"
	"github.com/pondmesh/pond/actors/setup"
	"github.com/pondmesh/pond/fs/register"
)

// Changes of registers in ponds of one node and of three, over HTTP and with real
// fsyncs, all on one machine: a client changes its own register again and again.
func BenchmarkCAS(b *testing.B) {
	for _, size := range []int{1, 3} {
		nodes := benchPond(b, size)
		for _, clients := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("nodes=%d/clients=%d", size, clients), func(b *testing.B) { benchCAS(b, nodes, clients) })
		}
	}
}

func benchPond(b *testing.B, size int) (nodes []*actors.Node) {
	for range size {
		c := setup.Config{Dir: b.TempDir(), Memory: 256 << 20, Slots: 1}
		if len(nodes) > 0 {
			c.Peers = []string{nodes[0].Addr()}
		}
		n, err := actors.Start(b.Context(), c)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { n.Close() })
		nodes = append(nodes, n)
	}
	await(b, "all keep the registers", func() bool { return len(keepersOf(nodes[0])) >= size })
	return nodes
}

func benchCAS(b *testing.B, nodes []*actors.Node, clients int) {
	var left atomic.Int64
	left.Store(int64(b.N))
	times := make([][]time.Duration, clients)
	var all sync.WaitGroup
	b.ResetTimer()
	for c := range clients {
		all.Go(func() {
			r := nodes[c%len(nodes)].Registers()
			key := register.Key(registers.NewChange())
			for version := uint64(0); left.Add(-1) >= 0; version++ {
				begun := time.Now()
				if _, _, err := r.CAS(b.Context(), key, registers.NewChange(), version, []byte("value")); err != nil {
					b.Error(err)
					return
				}
				times[c] = append(times[c], time.Since(begun))
			}
		})
	}
	all.Wait()
	b.StopTimer()
	took := slices.Sorted(slices.Values(slices.Concat(times...)))
	b.ReportMetric(float64(len(took))/b.Elapsed().Seconds(), "cas/s")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
