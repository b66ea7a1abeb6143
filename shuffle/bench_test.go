package shuffle

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/arrow/memory/mallocator"
	"github.com/pondmesh/pond/duck/vec"
	"github.com/pondmesh/pond/duck/vec/vectest"
)

// gensort is rows of a 10-byte key and a 90-byte value, of which half does not
// compress.
func gensort(rows int) (*vec.Schema, [][]any) {
	str := func(name string) vec.Field {
		return vec.Field{Name: name, Type: &vec.Type{Kind: vec.String, SQL: "VARCHAR"}}
	}
	s := &vec.Schema{Fields: []vec.Field{str("p"), str("k"), str("v")}}
	r := rand.New(rand.NewPCG(1, 2))
	text := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(' ' + r.IntN(95))
		}
		return string(b)
	}
	out := make([][]any, rows)
	for i := range out {
		k := text(10)
		out[i] = []any{k, k, text(32) + fmt.Sprintf("%026d", i) + "AAAABBBBCCCCDDDDEEEEFFFFGGGGHHHH"}
	}
	return s, out
}

const rowBytes = 100

func chunks(n int) (*vec.Schema, []*vec.Chunk, []*vectest.Keep) {
	var list []*vec.Chunk
	var keeps []*vectest.Keep
	s, rows := gensort(n * vec.MaxRows)
	for i := range n {
		c, k := vectest.Chunk(s, rows[i*vec.MaxRows:(i+1)*vec.MaxRows])
		list, keeps = append(list, c), append(keeps, k)
	}
	return s, list, keeps
}

func BenchmarkHash(b *testing.B) {
	s, list, keeps := chunks(16)
	_, _ = s, keeps
	out := make([]uint32, vec.MaxRows)
	p := Hash(64, []int{0})
	b.SetBytes(rowBytes * vec.MaxRows)
	for i := 0; b.Loop(); i++ {
		if err := p.Assign(list[i%len(list)], out); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWriter is chunk to segment: hash, scatter, encode, on one core.
func BenchmarkWriter(b *testing.B) {
	for _, codec := range []Codec{S2, LZ4, Zstd, None} {
		for _, partitions := range []int{64, 1024} {
			b.Run(fmt.Sprintf("%s/%d", codec, partitions), func(b *testing.B) {
				s, list, keeps := chunks(64)
				_ = keeps
				pool := vec.NewPool(mallocator.NewMallocator(), 256<<20)
				defer pool.Trim()
				b.SetBytes(rowBytes * vec.MaxRows)
				b.ReportAllocs()
				w, err := NewWriter(io.Discard, WriterConfig{Schema: s, Keys: 1, Partitioner: Hash(partitions, []int{0}), Codec: codec, Mem: pool})
				if err != nil {
					b.Fatal(err)
				}
				for i := 0; b.Loop(); i++ {
					if err := w.Append(list[i%len(list)]); err != nil {
						b.Fatal(err)
					}
				}
				sum, err := w.Finish()
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(sum.RawBytes)/float64(sum.Bytes), "ratio")
				b.ReportMetric(float64(sum.RawBytes)/float64(sum.Blocks), "raw/block")
			})
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	s, list, keeps := chunks(64)
	_ = keeps
	for _, codec := range []Codec{S2, LZ4, Zstd, None} {
		b.Run(codec.String(), func(b *testing.B) {
			var file bytes.Buffer
			w, err := NewWriter(&file, WriterConfig{Schema: s, Keys: 1, Partitioner: Hash(4, []int{0}), Codec: codec})
			if err != nil {
				b.Fatal(err)
			}
			for _, c := range list {
				if err := w.Append(c); err != nil {
					b.Fatal(err)
				}
			}
			if _, err := w.Finish(); err != nil {
				b.Fatal(err)
			}
			seg, err := OpenSegment(bytes.NewReader(file.Bytes()), int64(file.Len()))
			if err != nil {
				b.Fatal(err)
			}
			pool := vec.NewPool(memory.NewGoAllocator(), 64<<20)
			d, err := NewDecoder(seg.Schema(), pool, Limits{})
			if err != nil {
				b.Fatal(err)
			}
			e := seg.Extents(1)[0]
			rest := file.Bytes()[e.Offset : e.Offset+e.Length]
			b.SetBytes(e.Raw)
			b.ReportAllocs()
			for b.Loop() {
				for at := 0; at < len(rest); {
					n, err := BlockSize(rest[at:])
					if err != nil {
						b.Fatal(err)
					}
					rec, err := d.Decode(rest[at : at+int(n)])
					if err != nil {
						b.Fatal(err)
					}
					rec.Release()
					at += int(n)
				}
			}
		})
	}
}
