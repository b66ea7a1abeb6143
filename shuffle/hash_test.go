package shuffle

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/pondmesh/pond/duck/vec"
	"github.com/pondmesh/pond/duck/vec/vectest"
	"pgregory.net/rapid"
)

func typ(kind vec.Kind) *vec.Type { return &vec.Type{Kind: kind} }

func decimal(storage, scale uint8) *vec.Type {
	return &vec.Type{Kind: vec.Decimal, Storage: storage, Scale: scale}
}

func listOf(t *vec.Type) *vec.Type {
	return &vec.Type{Kind: vec.List, Fields: []vec.Field{{Type: t}}}
}

func hashOf(t *testing.T, typ *vec.Type, x any) uint64 {
	t.Helper()
	// Second of two rows, the first NULL, so that indexes are exercised.
	s := &vec.Schema{Fields: []vec.Field{{Name: "x", Type: typ}}}
	c, keep := vectest.Chunk(s, [][]any{{nil}, {x}})
	var out [2]uint64
	if err := HashRows(c, []int{0}, out[:]); err != nil {
		t.Fatal(err)
	}
	_ = *keep
	if out[0] != nullHash {
		t.Fatalf("NULL of kind %d hashes to %x", typ.Kind, out[0])
	}
	return out[1]
}

func neg(x int64) uint64        { return uint64(-x) }
func f32(x float32) uint64      { return uint64(math.Float32bits(x)) }
func f64(x float64) uint64      { return math.Float64bits(x) }
func wide128(x int64) [2]uint64 { return [2]uint64{uint64(x), uint64(x >> 63)} }

type typed struct {
	t *vec.Type
	x any
}

// enumType has a text that is also tested as VARCHAR.
var enumType = &vec.Type{Kind: vec.Enum, Storage: 1, Names: []string{"x", "pond"}}

// TestHashVectors freezes the hash: each line is one hash, and the values that
// must have it. The numbers may never change: segments of one job are made by
// different versions.
func TestHashVectors(t *testing.T) {
	for line, test := range []struct {
		want uint64
		is   []typed
	}{
		{0x492b8d6066c09227, []typed{{typ(vec.Int8), nil}, {typ(vec.String), nil}, {listOf(typ(vec.Int8)), nil}, {typ(vec.Null), nil}}},
		{0x6df8f8d77b172277, []typed{
			{typ(vec.Bool), true}, {typ(vec.Int8), uint64(1)}, {typ(vec.Int16), uint64(1)}, {typ(vec.Int32), uint64(1)}, {typ(vec.Int64), uint64(1)},
			{typ(vec.Uint8), uint64(1)}, {typ(vec.Uint16), uint64(1)}, {typ(vec.Uint32), uint64(1)}, {typ(vec.Uint64), uint64(1)},
			{typ(vec.Int128), wide128(1)}, {typ(vec.Uint128), wide128(1)}, {typ(vec.Float32), f32(1)}, {typ(vec.Float64), f64(1)},
			{decimal(2, 0), uint64(1)}, {decimal(2, 3), uint64(1000)}, {decimal(4, 5), uint64(100000)}, {decimal(8, 9), uint64(1e9)}, {decimal(16, 12), wide128(1e12)},
			{typ(vec.BigNum), "\x80\x00\x01\x01"}, {typ(vec.BigNum), "\x80\x00\x02\x00\x01"},
		}},
		{0x9a7a4dccd61b065f, []typed{
			{typ(vec.Int8), neg(128)}, {typ(vec.Int16), neg(128)}, {typ(vec.Int32), neg(128)}, {typ(vec.Int64), neg(128)}, {typ(vec.Int128), wide128(-128)},
			{typ(vec.Float32), f32(-128)}, {typ(vec.Float64), f64(-128)}, {decimal(2, 1), neg(1280)}, {decimal(16, 2), wide128(-12800)}, {typ(vec.BigNum), "\x7f\xff\xfe\x7f"},
		}},
		{0x86fa59fa943fe6f8, []typed{{typ(vec.Int32), uint64(0)}, {typ(vec.Float64), f64(math.Copysign(0, -1))}, {typ(vec.Float32), f32(0)}, {decimal(8, 9), uint64(0)}, {typ(vec.Bool), false}}},
		{0xe17b3748d6d1badd, []typed{{typ(vec.Int64), uint64(1 << 63)}, {typ(vec.Int128), wide128(math.MinInt64)}, {typ(vec.Float64), f64(-0x1p63)}}},
		{0x7e809ac7d44f0063, []typed{{typ(vec.Uint64), uint64(1 << 63)}, {typ(vec.Int128), [2]uint64{1 << 63, 0}}, {typ(vec.Float64), f64(0x1p63)}, {typ(vec.Float32), f32(0x1p63)}}},
		{0x14c6be79d30fde5a, []typed{{typ(vec.Uint128), [2]uint64{0, 1 << 36}}, {typ(vec.Int128), [2]uint64{0, 1 << 36}}, {typ(vec.Float64), f64(0x1p100)}, {decimal(16, 0), [2]uint64{0, 1 << 36}}}},
		{0xfe23f441af9051f7, []typed{{typ(vec.Int128), [2]uint64{0, 1 << 63}}}},
		{0xb0c8b9a4d57d9c99, []typed{{typ(vec.Float64), f64(0.5)}, {typ(vec.Float32), f32(0.5)}}},
		{0x8a293356a6ae6a1e, []typed{{decimal(2, 1), uint64(5)}, {decimal(16, 20), [2]uint64{13106511852580896768, 2}}}},
		{0xbe432feef2c60e4f, []typed{{typ(vec.Float64), f64(math.NaN())}, {typ(vec.Float64), uint64(0xfff8000000000001)}, {typ(vec.Float32), f32(float32(math.NaN()))}}},
		{0xf6d01d364c9f92e3, []typed{{typ(vec.Float64), f64(math.Inf(1))}, {typ(vec.Float32), f32(float32(math.Inf(1)))}}},
		{0xf6ca65b9d2aa3d4a, []typed{{typ(vec.String), "pond"}, {typ(vec.Blob), "pond"}, {enumType, uint64(1)}}},
		{0x2d06800538d394c2, []typed{{typ(vec.String), ""}, {typ(vec.Bit), ""}}},
		{0x7a61d3ccd50825b9, []typed{{typ(vec.String), strings.Repeat("pond", 100)}}},
		{0x31ccca4948de70c5, []typed{
			{typ(vec.Date), uint64(1)}, {typ(vec.TimestampS), uint64(86400)}, {typ(vec.TimestampMS), uint64(86400e3)},
			{typ(vec.Timestamp), uint64(86400e6)}, {typ(vec.TimestampTZ), uint64(86400e6)}, {typ(vec.TimestampNS), uint64(86400e9)},
		}},
		{0x55988acc2f2a0de1, []typed{{typ(vec.Date), neg(1)}, {typ(vec.Timestamp), neg(86400e6)}, {typ(vec.TimestampNS), neg(86400e9)}}},
		{0xb62323cff79b9194, []typed{{typ(vec.Date), uint64(math.MaxInt32)}, {typ(vec.TimestampS), uint64(math.MaxInt64)}, {typ(vec.Timestamp), uint64(math.MaxInt64)}, {typ(vec.TimestampNS), uint64(math.MaxInt64)}}},
		{0x4be90424cc129f6c, []typed{{typ(vec.TimestampNS), neg(1)}}},
		{0x30fa12312d17ce6, []typed{{typ(vec.Time), uint64(5)}, {typ(vec.TimeNS), uint64(5000)}, {typ(vec.Timestamp), uint64(5)}}},
		{0xfd4b93a8c7c3d93e, []typed{{typ(vec.TimeTZ), uint64(5)}}},
		{0x3a2a105fdce8afca, []typed{{typ(vec.UUID), [2]uint64{1, 2}}}},
		{0xd2a85331e48aefc, []typed{{typ(vec.Interval), [2]uint64{1, 0}}, {typ(vec.Interval), [2]uint64{30 << 32, 0}}, {typ(vec.Interval), [2]uint64{29 << 32, 86400e6}}}},
		{0xceb08e7555c37930, []typed{
			{listOf(typ(vec.Int8)), []any{uint64(1), nil}}, {listOf(typ(vec.Int64)), []any{uint64(1), nil}},
			{&vec.Type{Kind: vec.Array, Size: 2, Fields: listOf(typ(vec.Float64)).Fields}, []any{f64(1), nil}},
		}},
		{0xf198e2b039ba53a2, []typed{{listOf(typ(vec.Int8)), []any{}}, {listOf(typ(vec.String)), []any{}}}},
		{0x11cb640a8b09c549, []typed{{listOf(typ(vec.String)), []any{"a string of some length", ""}}, {listOf(typ(vec.Blob)), []any{"a string of some length", ""}}}},
		{0x3eeda55c0be60b03, []typed{{&vec.Type{Kind: vec.Struct, Fields: []vec.Field{{Type: typ(vec.Int8)}, {Type: enumType}}}, []any{uint64(1), uint64(1)}}}},
		{0x4d3d1c64bc94f1ce, []typed{{&vec.Type{Kind: vec.Map, Fields: []vec.Field{{Type: typ(vec.Int8)}, {Type: typ(vec.Date)}}}, []any{[]any{uint64(1), uint64(1)}}}}},
		{0xf527d27fbe63166, []typed{{&vec.Type{Kind: vec.Union, Fields: []vec.Field{{Type: typ(vec.Int8)}, {Type: typ(vec.String)}}}, vectest.Member{Tag: 1, Value: "pond"}}}},
	} {
		for _, is := range test.is {
			if got := hashOf(t, is.t, is.x); got != test.want {
				t.Errorf("line %d, kind %d, %q: %#x, want %#x", line, is.t.Kind, is.x, got, test.want)
			}
		}
	}
}

// TestHashKeys freezes how keys are folded, and that their order counts.
func TestHashKeys(t *testing.T) {
	s := &vec.Schema{Fields: []vec.Field{{Type: typ(vec.Int8)}, {Type: typ(vec.String)}, {Type: enumType}, {Type: typ(vec.Float64)}}}
	c, keep := vectest.Chunk(s, [][]any{{uint64(1), "pond", uint64(1), f64(1)}, {nil, nil, nil, nil}})
	var out [2]uint64
	if err := HashRows(c, []int{0, 1, 2, 3}, out[:]); err != nil {
		t.Fatal(err)
	}
	_ = *keep
	one, pond := hashInt(1), hashBytes([]byte("pond"))
	if want := fold(fold(fold(one, pond), pond), one); out[0] != want {
		t.Fatalf("%#x, want %#x", out[0], want)
	}
	if want := fold(fold(fold(nullHash, nullHash), nullHash), nullHash); out[1] != want {
		t.Fatalf("%#x, want %#x", out[1], want)
	}
	if fold(one, pond) == fold(pond, one) || fold(one, pond) != 0xce46d48a69cf8b3e {
		t.Fatalf("fold: %#x and %#x", fold(one, pond), fold(pond, one))
	}
}

// TestHashColumnIsHashValue: the loops over columns and the value by value path
// give one hash.
func TestHashColumnIsHashValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		s := vectest.Schema(r, 1, 2)
		c, keep := vectest.Chunk(s, vectest.Rows(r, s, 100))
		var out [100]uint64
		if err := HashRows(c, []int{0}, out[:]); err != nil {
			t.Fatal(err)
		}
		for i := range out {
			h, err := hashValue(&c.Columns[0], i)
			if err != nil || h != out[i] {
				t.Fatalf("row %d of %v: %x and %x, %v", i, s.Fields[0].Type, h, out[i], err)
			}
		}
		_ = *keep
	})
}

// TestHashBalance: no partition is far from its share, for keys that count up,
// that stride, and for text. The bound is six standard deviations.
func TestHashBalance(t *testing.T) {
	keys := map[string]func(i int) uint64{
		"counting": func(i int) uint64 { return hashInt(int64(i)) },
		"strides":  func(i int) uint64 { return hashInt(int64(i) << 20) },
		"high":     func(i int) uint64 { return hashInt(int64(i) << 44) },
		"floats":   func(i int) uint64 { return hashFloat(float64(i) + 0.5) },
		"text":     func(i int) uint64 { return hashBytes(fmt.Appendf(nil, "key %d", i)) },
		"pairs":    func(i int) uint64 { return fold(hashInt(int64(i%100)), hashInt(int64(i/100))) },
	}
	for name, hash := range keys {
		for _, n := range []int{2, 7, 64, 1000} {
			const rows = 200_000
			counts := make([]float64, n)
			for i := range rows {
				counts[spread(hash(i), n)]++
			}
			share := rows / float64(n)
			if far := 6 * math.Sqrt(share); slices.Max(counts) > share+far || slices.Min(counts) < share-far {
				t.Errorf("%s into %d: %.0f to %.0f, share %.0f", name, n, slices.Min(counts), slices.Max(counts), share)
			}
		}
	}
}

// TestRange: the fast search agrees with counting the bounds at or below.
func TestRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', 0xff}), 0, 12)
		bounds := rapid.SliceOfN(letters, 0, 40).Draw(t, "bounds")
		slices.SortFunc(bounds, bytes.Compare)
		keys := rapid.SliceOfN(letters, 1, 40).Draw(t, "keys")
		p, err := Range(bounds)
		if err != nil {
			t.Fatal(err)
		}
		rows := make([][]any, len(keys))
		for i, k := range keys {
			rows[i] = []any{string(k)}
		}
		c, keep := vectest.Chunk(&vec.Schema{Fields: []vec.Field{{Type: typ(vec.Blob)}}}, rows)
		out := make([]uint32, len(keys))
		if err := p.Assign(c, out); err != nil {
			t.Fatal(err)
		}
		_ = *keep
		for i, k := range keys {
			want := uint32(0)
			for _, b := range bounds {
				if bytes.Compare(b, k) <= 0 {
					want++
				}
			}
			if out[i] != want || int(want) >= p.Partitions() {
				t.Fatalf("key %x among %x: %d, want %d", k, bounds, out[i], want)
			}
		}
	})
	if _, err := Range([][]byte{{2}, {1}}); err == nil {
		t.Error("bounds that descend were taken")
	}
}

func TestByColumn(t *testing.T) {
	for _, test := range []struct {
		t    *vec.Type
		x    any
		want string // part of the error; empty: partition 3
	}{
		{typ(vec.Int8), uint64(3), ""}, {typ(vec.Int16), uint64(3), ""}, {typ(vec.Int32), uint64(3), ""}, {typ(vec.Int64), uint64(3), ""},
		{typ(vec.Uint8), uint64(3), ""}, {typ(vec.Uint16), uint64(3), ""}, {typ(vec.Uint32), uint64(3), ""}, {typ(vec.Uint64), uint64(3), ""},
		{typ(vec.Int128), wide128(3), ""}, {typ(vec.Uint128), wide128(3), ""},
		{typ(vec.Int8), neg(1), "partition -1, want 0 to 3"},
		{typ(vec.Int32), uint64(4), "partition 4, want 0 to 3"},
		{typ(vec.Uint64), uint64(1 << 63), "partition 9223372036854775808, want 0 to 3"},
		{typ(vec.Int128), wide128(-5), "partition -5, want 0 to 3"},
		{typ(vec.Uint128), [2]uint64{0, 1}, "partition 18446744073709551616, want 0 to 3"},
		{typ(vec.Int32), nil, "NULL"}, {typ(vec.Int128), nil, "NULL"},
		{&vec.Type{Kind: vec.Float64, SQL: "DOUBLE"}, f64(1), "DOUBLE is not an integer"},
	} {
		c, keep := vectest.Chunk(&vec.Schema{Fields: []vec.Field{{Type: test.t}}}, [][]any{{test.x}})
		var out [1]uint32
		err := ByColumn(4).Assign(c, out[:])
		_ = *keep
		switch {
		case test.want == "" && (err != nil || out[0] != 3):
			t.Errorf("%v: %d, %v", test.x, out[0], err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%v: %v, want %q", test.x, err, test.want)
		}
	}
}

func TestRoundRobinAndRandom(t *testing.T) {
	c := &vec.Chunk{Rows: 1000}
	out, again := make([]uint32, 1000), make([]uint32, 1000)
	p := RoundRobin(7, 5)
	for chunk := range 3 {
		if err := p.Assign(c, out); err != nil {
			t.Fatal(err)
		}
		for i, got := range out {
			if want := uint32((5 + chunk*1000 + i) % 7); got != want {
				t.Fatalf("chunk %d row %d: %d, want %d", chunk, i, got, want)
			}
		}
	}
	a, b, other := Random(7, 1), Random(7, 1), Random(7, 2)
	counts := [7]int{}
	for range 10 {
		if a.Assign(c, out) != nil || b.Assign(c, again) != nil || !slices.Equal(out, again) {
			t.Fatal("one seed, two answers")
		}
		for _, p := range out {
			counts[p]++
		}
		if other.Assign(c, again) != nil || slices.Equal(out, again) {
			t.Fatal("two seeds, one answer")
		}
	}
	if slices.Max(counts[:]) > 1650 || slices.Min(counts[:]) < 1210 { // 1429 ± 6 sigma
		t.Fatalf("%v", counts)
	}
}
