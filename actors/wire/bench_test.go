package wire

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
)

// BenchmarkCall measures calls between two processes: one after another
// (latency) and many at once (throughput).
func BenchmarkCall(b *testing.B) {
	far := startNode(b, nodeSpec{Node: "far", Boot: "b1"})
	big := &Failed{Header: header(), Task: task(), Error: &TaskError{Text: strings.Repeat("x", ErrorTextBytesMax)}}
	for _, c := range []struct {
		name   string
		msg    proto.Message
		addr   string
		inward int
	}{
		{"small/at-once=1", build("stop", 0), far.addr, 1},
		{"small/at-once=64", build("stop", 0), far.addr, 64},
		{"small/at-once=512", build("stop", 0), far.addr, 512},
		{"16KiB/at-once=1", big, far.addr, 1},
		{"16KiB/at-once=64", big, far.addr, 64},
		{"own-node/at-once=1", build("stop", 0), here().Addr(), 1},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			for range c.inward {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						if _, err := here().Call(context.Background(), c.addr, c.msg); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

// BenchmarkSend measures one-way messages until the last is handled.
func BenchmarkSend(b *testing.B) {
	far := startNode(b, nodeSpec{Node: "far", Boot: "b1"})
	before := far.order(order{Op: "alive"}).Handled
	dropped := 0
	b.ResetTimer()
	for range b.N {
		for here().Send(context.Background(), far.addr, build("stop", 0)) != nil {
			dropped++
		}
	}
	if _, err := here().Call(context.Background(), far.addr, build("stop", 0)); err != nil {
		b.Log(err)
	}
	b.StopTimer()
	got := far.order(order{Op: "alive"}).Handled - before - 1
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
	b.Logf("%d sent, %d handled, %d refused here, %v", b.N, got, dropped, b.Elapsed().Round(time.Millisecond))
}
