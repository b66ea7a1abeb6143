package shuffle

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/pondmesh/pond/duck/vec"
)

// TestPack packs integers of every width, spread, step and share of NULLs: those
// that are not NULL come back, and take what their spread asks.
func TestPack(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for n := range 20000 {
		width := []int{2, 4, 8}[r.IntN(3)]
		rows := packMin + r.IntN(300)
		step := []uint64{1, 1, 2, 3, 60_000_000, 1 << 40, uint64(r.Int64())}[r.IntN(7)]
		span := uint64(1) << r.IntN(34)
		low := r.Uint64()
		if r.IntN(4) == 0 {
			low = []uint64{0, 1 << 63, math.MaxUint64, 1 << 15, 1 << 31}[r.IntN(5)]
		}
		data := make([]byte, rows*width)
		p := &vec.Part{Rows: rows, Data: data}
		if r.IntN(2) == 0 {
			p.Valid = make([]byte, (rows+7)/8)
		}
		for i := range rows {
			v := low + r.Uint64N(span)*step
			if p.Valid != nil && r.IntN(3) == 0 {
				p.Nulls, v = p.Nulls+1, 0
			} else if p.Valid != nil {
				p.Valid[i>>3] |= 1 << (i & 7)
			}
			switch width {
			case 2:
				binary.LittleEndian.PutUint16(data[2*i:], uint16(v))
			case 4:
				binary.LittleEndian.PutUint32(data[4*i:], uint32(v))
			case 8:
				binary.LittleEndian.PutUint64(data[8*i:], v)
			}
		}
		dst, code := pack(make([]byte, 8, 8+packHead+len(data)), width, p)
		if code == 0 {
			if len(dst) != 8 {
				t.Fatalf("seed %d, %d: %d bytes of nothing", seed, n, len(dst)-8)
			}
			if width == 8 && span <= 1<<32 && step < 1<<20 && low < 1<<62 {
				t.Fatalf("seed %d, %d: %d rows over %d from %d by %d are not packed", seed, n, rows, span, low, step)
			}
			continue
		}
		if len(dst)-8 != packHead+rows*int(packedWidths[code]) || 2*packedWidths[code] > int64(width) {
			t.Fatalf("seed %d, %d: code %d, %d bytes", seed, n, code, len(dst)-8)
		}
		back := make([]byte, len(data))
		unpack(back, width, dst[8:], code, rows)
		for i := range rows {
			if !null(p, i) && string(back[i*width:(i+1)*width]) != string(data[i*width:(i+1)*width]) {
				t.Fatalf("seed %d, %d: row %d of width %d is %x, was %x", seed, n, i, width, back[i*width:(i+1)*width], data[i*width:(i+1)*width])
			}
		}
	}
}

func BenchmarkPack(b *testing.B) {
	const rows = 8192
	for name, of := range map[string]func(i int) uint64{
		"ids":   func(i int) uint64 { return uint64(i * 7919 % 6_400_000) },
		"times": func(i int) uint64 { return 978_307_200_000_000 + uint64(i*7919%500_000)*60_000_000 },
		"noise": func(i int) uint64 { return uint64(i) * 0x9e3779b97f4a7c15 },
	} {
		data := make([]byte, 8*rows)
		for i := range rows {
			binary.LittleEndian.PutUint64(data[8*i:], of(i))
		}
		p := &vec.Part{Rows: rows, Data: data}
		dst, code := pack(make([]byte, 0, len(data)), 8, p)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				pack(dst[:0], 8, p)
			}
			b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/rows, "ns/value")
		})
		if code == 0 {
			continue
		}
		b.Run(name+" back", func(b *testing.B) {
			for b.Loop() {
				unpack(data, 8, dst, code, rows)
			}
			b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/rows, "ns/value")
		})
	}
}
