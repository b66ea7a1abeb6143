package shuffle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	flatbuffers "github.com/google/flatbuffers/go"
	"github.com/pondmesh/pond/duck/vec"
	"github.com/pondmesh/pond/duck/vec/vectest"
)

func TestSegmentID(t *testing.T) {
	id := SegmentID{0: 1, 15: 0xfe}
	if s := id.String(); s != "010000000000000000000000000000fe" {
		t.Fatal(s)
	}
	if back, err := ParseSegmentID(id.String()); err != nil || back != id {
		t.Fatal(back, err)
	}
	for _, bad := range []string{"", "01", strings.Repeat("g", 32), strings.Repeat("0", 34)} {
		if _, err := ParseSegmentID(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestCodecNames(t *testing.T) {
	for c := range codecEnd {
		if back, err := ParseCodec(c.String()); err != nil || back != c {
			t.Errorf("%s: %v, %v", c, back, err)
		}
	}
	if _, err := ParseCodec("gzip"); err == nil {
		t.Error("gzip was taken")
	}
}

// TestBlockFrozen: the bytes of a block may not change under version 2.
func TestBlockFrozen(t *testing.T) {
	h := BlockHeader{Codec: LZ4, Rows: 3, Raw: 1000, Encoded: 5, Layout: 0x01020304, Checksum: 0x0a0b0c0d}
	b := make([]byte, BlockHeaderLen)
	h.put(b)
	want := "PBLK\x02\x02\x00\x00\x03\x00\x00\x00\xe8\x03\x00\x00\x05\x00\x00\x00\x04\x03\x02\x01\x0d\x0c\x0b\x0a"
	if string(b[:28]) != want {
		t.Fatalf("% x", b)
	}
	if back, err := ParseBlockHeader(b); err != nil || back != h {
		t.Fatal(back, err)
	}
	b[4] = 1 // as blocks were
	binary.LittleEndian.PutUint32(b[28:], checksum(b[:28]))
	if back, err := ParseBlockHeader(b); err != nil || back != h {
		t.Fatal(back, err)
	}
	if n, err := BlockSize(b); n != BlockHeaderLen+5 || err != nil {
		t.Fatal(n, err)
	}
}

func TestBlockHeaderRefuses(t *testing.T) {
	good := BlockHeader{Codec: S2, Rows: 1, Raw: 8, Encoded: 8}
	for name, bend := range map[string]func(h *BlockHeader, b []byte){
		"magic":       func(_ *BlockHeader, b []byte) { b[0] = 'X' },
		"checksum":    func(_ *BlockHeader, b []byte) { b[31] ^= 1 },
		"too large":   func(h *BlockHeader, b []byte) { h.Raw = MaxBlockRaw + 1; h.put(b) },
		"grown":       func(h *BlockHeader, b []byte) { h.Encoded = 9; h.put(b) },
		"rows":        func(h *BlockHeader, b []byte) { h.Rows = MaxBlockRows + 1; h.put(b) },
		"codec":       func(h *BlockHeader, b []byte) { h.Codec = codecEnd; h.put(b) },
		"version":     func(_ *BlockHeader, b []byte) { b[4] = 3; binary.LittleEndian.PutUint32(b[28:], checksum(b[:28])) },
		"later flags": func(_ *BlockHeader, b []byte) { b[6] = 1; binary.LittleEndian.PutUint32(b[28:], checksum(b[:28])) },
	} {
		h, b := good, make([]byte, BlockHeaderLen)
		h.put(b)
		if _, err := BlockSize(b); err != nil {
			t.Fatal(err)
		}
		bend(&h, b)
		if _, err := BlockSize(b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := BlockSize(make([]byte, BlockHeaderLen-1)); !errors.Is(err, ErrCorrupt) {
		t.Error(err)
	}
}

// smallSegment has two partitions of several runs, with all forms of array.
func smallSegment(t tester, codec Codec) ([]byte, *vec.Schema) {
	r := rand.New(rand.NewPCG(1, 1))
	s := &vec.Schema{Fields: []vec.Field{
		{Name: "b", Type: typ(vec.Bool)}, {Name: "i", Type: typ(vec.Int32)}, {Name: "s", Type: typ(vec.String)},
		{Name: "l", Type: listOf(typ(vec.Int16))},
		{Name: "m", Type: &vec.Type{Kind: vec.Map, Fields: []vec.Field{{Type: typ(vec.String)}, {Type: typ(vec.Int8)}}}},
		{Name: "u", Type: &vec.Type{Kind: vec.Union, Fields: []vec.Field{{Name: "x", Type: typ(vec.Int8)}, {Name: "y", Type: typ(vec.Blob)}}}},
	}}
	var file bytes.Buffer
	w, err := NewWriter(&file, WriterConfig{Schema: s, Partitioner: RoundRobin(2, 0), BlockBytes: 64, Codec: codec})
	if err != nil {
		t.Fatal(err)
	}
	w.runMax = 500
	for range 3 {
		c, keep := vectest.Chunk(s, vectest.Rows(r, s, 8))
		if err := w.Append(c); err != nil {
			t.Fatal(err)
		}
		_ = *keep
	}
	if _, err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes(), s
}

// readAll opens a segment and decodes all of it.
func readAll(file []byte, mem memory.Allocator) (rows int64, err error) {
	seg, err := OpenSegment(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return 0, err
	}
	d, err := NewDecoder(seg.Schema(), mem, Limits{})
	if err != nil {
		return 0, err
	}
	for p := range seg.Partitions() {
		for _, e := range seg.Extents(p) {
			left := file[e.Offset : e.Offset+e.Length]
			for len(left) > 0 {
				n, err := BlockSize(left)
				if err != nil {
					return 0, err
				}
				if n > int64(len(left)) {
					return 0, ErrCorrupt
				}
				rec, err := d.Decode(left[:n])
				if err != nil {
					return 0, err
				}
				rows += rec.NumRows()
				rec.Release()
				left = left[n:]
			}
		}
	}
	return rows, nil
}

// TestCorruption: any one bit flipped, any cut, any doubled byte is found, and
// nothing leaks on the way.
func TestCorruption(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	for codec := range codecEnd {
		file, _ := smallSegment(t, codec)
		if n, err := readAll(file, mem); err != nil || n != 24 {
			t.Fatal(n, err)
		}
		bent := bytes.Clone(file)
		for i := range file {
			bit := byte(1) << (i % 8)
			bent[i] ^= bit
			if _, err := readAll(bent, mem); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%s: bit of byte %d of %d flipped: %v", codec, i, len(file), err)
			}
			bent[i] ^= bit
			if _, err := readAll(file[:i], mem); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%s: cut to %d bytes of %d: %v", codec, i, len(file), err)
			}
		}
		if _, err := readAll(append(file, 0), mem); !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
	}
}

func seal(raw []byte, rows int, l *layout) []byte {
	b := make([]byte, BlockHeaderLen, BlockHeaderLen+len(raw))
	h := BlockHeader{Codec: None, Rows: rows, Raw: len(raw), Encoded: len(raw), Layout: l.sum, Checksum: checksum(raw)}
	h.put(b)
	return append(b, raw...)
}

// TestDecodeHostile: payloads with right checksums and wrong insides.
func TestDecodeHostile(t *testing.T) {
	bytesType := []arrow.DataType{arrow.BinaryTypes.Binary}
	eight := func(b ...byte) []byte { return append(b, make([]byte, -len(b)&7)...) }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	long := func(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }
	nulls := arrow.ListOf(arrow.Null)
	for name, test := range map[string]struct {
		types []arrow.DataType
		rows  int
		raw   []byte
		want  error
	}{
		"good":                   {bytesType, 2, join(eight(1<<1), eight(1, 2), eight('a', 'b', 'c')), nil},
		"no flags":               {bytesType, 2, nil, ErrCorrupt},
		"unknown flags":          {bytesType, 2, join(eight(0x80|1<<1), eight(1, 2), eight('a', 'b', 'c')), ErrCorrupt},
		"packed bytes":           {bytesType, 2, join(eight(1<<1|1<<3), eight(1, 2), eight('a', 'b', 'c')), ErrCorrupt},
		"packed":                 {[]arrow.DataType{arrow.PrimitiveTypes.Int64}, 2, join(eight(1<<3), eight(7), eight(9), eight(1, 2)), nil},
		"packed to no less":      {[]arrow.DataType{arrow.PrimitiveTypes.Int32}, 2, join(eight(3<<3), eight(7), eight(9), eight(1, 2)), ErrCorrupt},
		"packed and cut":         {[]arrow.DataType{arrow.PrimitiveTypes.Int64}, 9, join(eight(1<<3), eight(7), eight(9), eight(1, 2)), ErrCorrupt},
		"packed decimals":        {[]arrow.DataType{&arrow.Decimal128Type{Precision: 20}}, 2, join(eight(1<<3), eight(7), eight(9), eight(1, 2)), ErrCorrupt},
		"no lengths":             {bytesType, 2, eight(0), ErrCorrupt},
		"lengths of no rows":     {bytesType, 0, eight(1 << 1), ErrCorrupt},
		"lengths cut":            {bytesType, 9, join(eight(1<<1), eight(0)), ErrCorrupt},
		"bytes cut":              {bytesType, 2, join(eight(1<<1), eight(1, 9), eight('a')), ErrCorrupt},
		"bytes left":             {bytesType, 1, join(eight(1<<1), eight(1), eight('a'), eight(0)), ErrCorrupt},
		"2 GiB of bytes":         {bytesType, 2, join(eight(3<<1), long(math.MaxUint32), long(1)), ErrCorrupt},
		"validity cut":           {[]arrow.DataType{arrow.PrimitiveTypes.Int8}, 100, eight(1), ErrCorrupt},
		"values cut":             {[]arrow.DataType{arrow.PrimitiveTypes.Int64}, 1, eight(0), ErrCorrupt},
		"validity of a null":     {[]arrow.DataType{arrow.Null}, 1, join(eight(1), eight(0)), ErrCorrupt},
		"more rows than allowed": {[]arrow.DataType{arrow.Null}, 1001, eight(0), ErrLimit},
		"elements of nothing":    {[]arrow.DataType{nulls}, 1, join(eight(3<<1), eight(long(1<<31)...)), ErrCorrupt},
		"many of nothing":        {[]arrow.DataType{nulls}, 1, join(eight(3<<1), eight(long(1<<31-1)...)), nil},
		"arrays of arrays":       {[]arrow.DataType{arrow.FixedSizeListOf(1<<30, arrow.FixedSizeListOf(1<<30, arrow.Null))}, 2, eight(0), ErrCorrupt},
		"union tag": {[]arrow.DataType{arrow.SparseUnionOf([]arrow.Field{{Name: "a", Type: arrow.Null}}, []int8{5})}, 1,
			join(eight(0), eight(4)), ErrCorrupt},
		"NULL key": {[]arrow.DataType{arrow.MapOf(arrow.PrimitiveTypes.Int8, arrow.Null)}, 1,
			join(eight(1<<1, 0, 1, 0), eight(1), eight(0), eight(7)), ErrCorrupt},
		"NULL entry": {[]arrow.DataType{arrow.MapOf(arrow.PrimitiveTypes.Int8, arrow.Null)}, 1,
			join(eight(1<<1, 1, 0, 0), eight(1), eight(0), eight(7)), ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
			defer mem.AssertSize(t, 0)
			var fields []arrow.Field
			for _, dt := range test.types {
				fields = append(fields, arrow.Field{Name: "x", Type: dt, Nullable: true})
			}
			schema := arrow.NewSchema(fields, nil)
			l, err := newLayout(schema)
			if err != nil {
				t.Fatal(err)
			}
			rec, err := Decode(seal(test.raw, test.rows, l), schema, mem, Limits{Rows: 1000})
			if test.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				rec.Release()
				return
			}
			if !errors.Is(err, test.want) {
				t.Fatal(err)
			}
		})
	}
}

// TestDecodeLimits: what a block asks for is refused before it is taken, also
// what only decoding reveals: offsets, four times the lengths.
func TestDecodeLimits(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "x", Type: arrow.BinaryTypes.Binary, Nullable: true}}, nil)
	l, _ := newLayout(schema)
	const rows = 1 << 20
	raw := make([]byte, 8+rows)
	raw[0] = 1 << 1
	e := encoder{layout: l, raw: raw, codec: S2}
	block, err := e.seal(nil, rows)
	if err != nil {
		t.Fatal(err)
	}
	for limit, fits := range map[int64]bool{1000: false, rows: false, 2 * rows: false, 6 * rows: true} {
		mem := &peak{Allocator: memory.NewGoAllocator()}
		rec, err := Decode(block, schema, mem, Limits{Bytes: limit})
		if fits != (err == nil) || !fits && !errors.Is(err, ErrLimit) {
			t.Errorf("%d bytes allowed: %v", limit, err)
		}
		if rec != nil {
			rec.Release()
		}
		if mem.most.Load() > limit || mem.now.Load() != 0 {
			t.Errorf("%d bytes allowed, %d taken, %d kept", limit, mem.most.Load(), mem.now.Load())
		}
	}
	other := arrow.NewSchema([]arrow.Field{{Name: "x", Type: arrow.BinaryTypes.String, Nullable: true}}, nil)
	if _, err := Decode(block, other, memory.DefaultAllocator, Limits{}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("read with another schema: %v", err)
	}
}

// TestSchemaBomb: a small flatbuffer whose fields share their children unfolds
// into 2^60 fields; Arrow's own reader would not come back.
func TestSchemaBomb(t *testing.T) {
	b := flatbuffers.NewBuilder(1024)
	vector := func(of ...flatbuffers.UOffsetT) flatbuffers.UOffsetT {
		b.StartVector(4, len(of), 4)
		for _, o := range of {
			b.PrependUOffsetT(o)
		}
		return b.EndVector(len(of))
	}
	field := func(children flatbuffers.UOffsetT) flatbuffers.UOffsetT {
		b.StartObject(0)
		of := b.EndObject()
		b.StartObject(7)
		b.PrependByteSlot(2, 13, 0) // struct
		b.PrependUOffsetTSlot(3, of, 0)
		b.PrependUOffsetTSlot(5, children, 0)
		return b.EndObject()
	}
	at := field(vector())
	for range 60 {
		at = field(vector(at, at))
	}
	fields := vector(at)
	b.StartObject(4)
	b.PrependUOffsetTSlot(1, fields, 0)
	schema := b.EndObject()
	b.StartObject(5)
	b.PrependInt16Slot(0, 4, 0)
	b.PrependByteSlot(1, 1, 0) // header: schema
	b.PrependUOffsetTSlot(2, schema, 0)
	b.Finish(b.EndObject())
	stream := binary.LittleEndian.AppendUint32([]byte{0xff, 0xff, 0xff, 0xff}, uint32(len(b.FinishedBytes())))
	stream = append(stream, b.FinishedBytes()...)
	if _, err := DecodeSchema(stream); !errors.Is(err, ErrCorrupt) {
		t.Fatal(err)
	}
}

// reseal makes a segment of parts that may be anything, with right checksums.
func reseal(blocks, schema, index []byte, partitions uint16, rows, raw int64, extents uint16) []byte {
	f := footer{
		partitions: int(partitions), end: int64(len(segmentMagic) + len(blocks)),
		schema: int64(len(schema)), index: int64(len(index)), rows: rows, raw: raw, extents: int64(extents),
		schemaSum: checksum(schema), indexSum: checksum(index),
	}
	var foot [footerLen]byte
	f.put(foot[:])
	return bytes.Join([][]byte{[]byte(segmentMagic), blocks, schema, index, foot[:]}, nil)
}

func FuzzOpenSegment(f *testing.F) {
	file, s := smallSegment(f, None)
	seg := open(f, file)
	schema, err := EncodeSchema(s.Arrow())
	if err != nil {
		f.Fatal(err)
	}
	ft := seg.footer
	f.Add(file[8:ft.end], schema, file[ft.end+ft.schema:len(file)-footerLen], uint16(2), ft.rows, ft.raw, uint16(ft.extents))
	f.Add([]byte{}, schema, []byte{}, uint16(1), int64(0), int64(0), uint16(0))
	f.Fuzz(func(t *testing.T, blocks, schema, index []byte, partitions uint16, rows, raw int64, extents uint16) {
		file := reseal(blocks, schema, index, partitions, rows, raw, extents)
		seg, err := OpenSegment(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		at, total := int64(0), int64(0)
		for p := range seg.Partitions() {
			for _, e := range seg.Extents(p) {
				if e.Offset < 8 || e.Length < BlockHeaderLen || e.Offset+e.Length > int64(8+len(blocks)) || e.Rows < 0 {
					t.Fatalf("%+v", e)
				}
				at += e.Length
			}
			total += seg.Rows(p)
		}
		if at != int64(len(blocks)) || total != rows {
			t.Fatalf("extents of %d bytes and %d rows; %d and %d", at, total, len(blocks), rows)
		}
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		defer mem.AssertSize(t, 0)
		_, _ = readAll(file, mem)
	})
}

// fuzzTypes has every form of array.
var fuzzTypes = arrow.NewSchema([]arrow.Field{
	{Name: "bits", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
	{Name: "fixed", Type: arrow.PrimitiveTypes.Int16, Nullable: true},
	{Name: "bytes", Type: arrow.BinaryTypes.Binary, Nullable: true},
	{Name: "large", Type: arrow.BinaryTypes.LargeBinary, Nullable: true},
	{Name: "list", Type: arrow.ListOf(arrow.BinaryTypes.Binary), Nullable: true},
	{Name: "large list", Type: arrow.LargeListOf(arrow.Null), Nullable: true},
	{Name: "array", Type: arrow.FixedSizeListOf(3, arrow.PrimitiveTypes.Int8), Nullable: true},
	{Name: "map", Type: arrow.MapOf(arrow.PrimitiveTypes.Int8, arrow.BinaryTypes.Binary), Nullable: true},
	{Name: "struct", Type: arrow.StructOf(arrow.Field{Name: "x", Type: arrow.Null, Nullable: true}), Nullable: true},
	{Name: "union", Type: arrow.SparseUnionOf([]arrow.Field{{Name: "x", Type: arrow.PrimitiveTypes.Int8, Nullable: true}}, []int8{3}), Nullable: true},
}, nil)

// FuzzDecode: any payload is an error, or a batch that stands up to Arrow's own
// full check, with no more memory than allowed.
func FuzzDecode(f *testing.F) {
	l, err := newLayout(fuzzTypes)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(make([]byte, padded(int64(l.parts))), uint16(0), uint8(None))
	one := make([]byte, padded(int64(l.parts))+200)
	f.Add(one, uint16(1), uint8(None))
	f.Add([]byte("\x10\x00\x00"), uint16(1), uint8(S2))
	f.Fuzz(func(t *testing.T, body []byte, rows uint16, codec uint8) {
		const limit = 1 << 20
		mem := &peak{Allocator: memory.NewGoAllocator()}
		for _, raw := range []int{len(body), 2 * len(body), 1 << 12} {
			if raw < len(body) {
				continue
			}
			b := make([]byte, BlockHeaderLen, BlockHeaderLen+len(body))
			h := BlockHeader{Codec: Codec(codec % uint8(codecEnd)), Rows: int(rows), Raw: raw, Encoded: len(body), Layout: l.sum, Checksum: checksum(body)}
			h.put(b)
			rec, err := Decode(append(b, body...), fuzzTypes, mem, Limits{Bytes: limit})
			if err != nil {
				if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrLimit) {
					t.Fatal(err)
				}
				continue
			}
			for i := range rec.NumCols() {
				if v, ok := rec.Column(int(i)).(interface{ ValidateFull() error }); ok {
					if err := v.ValidateFull(); err != nil {
						t.Fatal(err)
					}
				}
				_ = rec.Column(int(i)).String()
			}
			rec.Release()
		}
		if mem.most.Load() > limit || mem.now.Load() != 0 {
			t.Fatalf("%d bytes taken, %d kept", mem.most.Load(), mem.now.Load())
		}
	})
}

func TestEncodeRefuses(t *testing.T) {
	for _, dt := range []arrow.DataType{
		&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String},
		arrow.BinaryTypes.StringView, arrow.ListViewOf(arrow.Null), arrow.RunEndEncodedOf(arrow.PrimitiveTypes.Int32, arrow.BinaryTypes.String),
		arrow.DenseUnionOf([]arrow.Field{{Name: "a", Type: arrow.Null}}, []int8{0}), arrow.FixedSizeListOf(1, arrow.BinaryTypes.StringView),
	} {
		if _, err := newLayout(arrow.NewSchema([]arrow.Field{{Name: "odd", Type: dt}}, nil)); err == nil || !strings.Contains(err.Error(), `"odd"`) {
			t.Errorf("%s: %v", dt, err)
		}
	}
}

// TestIncompressible: a block that does not shrink is stored as it is.
func TestIncompressible(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	noise := make([]byte, 100_000)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	for codec := range codecEnd {
		var c compressor
		out, took, err := c.compress([]byte("before"), noise, codec)
		if err != nil || took != None || !bytes.Equal(out, append([]byte("before"), noise...)) {
			t.Errorf("%s: %s, %v", codec, took, err)
		}
		text := bytes.Repeat([]byte("pond "), 20_000)
		for range restMax { // s2 rests before it is tried again
			if out, took, err = c.compress(nil, text, codec); took != None {
				break
			}
		}
		back := make([]byte, len(text))
		if err != nil || took != codec || decompress(back, out, took) != nil || !reflect.DeepEqual(back, text) {
			t.Errorf("%s: %s, %v", codec, took, err)
		}
		if took != None && decompress(back[1:], out, took) == nil {
			t.Errorf("%s: decoded to another length", codec)
		}
	}
}

// TestEncodeInvalid: arrays of a user's function that are not what they say.
func TestEncodeInvalid(t *testing.T) {
	data := array.NewData(arrow.PrimitiveTypes.Int64, 100, []*memory.Buffer{nil, memory.NewBufferBytes(make([]byte, 8))}, nil, 0, 0)
	defer data.Release()
	rec := broken{array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "x", Type: arrow.PrimitiveTypes.Int64}}, nil), nil, 0), data}
	if out, _, err := EncodeBatch([]byte("kept"), rec, S2, 0); err == nil || string(out) != "kept" {
		t.Fatal(string(out), err)
	}
}

type broken struct {
	arrow.RecordBatch
	data arrow.ArrayData
}

type brokenColumn struct {
	arrow.Array
	data arrow.ArrayData
}

func (b broken) NumRows() int64              { return 100 }
func (b broken) Column(int) arrow.Array      { return brokenColumn{data: b.data} }
func (b brokenColumn) Data() arrow.ArrayData { return b.data }

// TestZstdBomb: a small frame that says it is large takes no memory for it.
func TestZstdBomb(t *testing.T) {
	var c compressor
	bomb, took, err := c.compress(nil, make([]byte, 64<<20), Zstd)
	if err != nil || took != Zstd {
		t.Fatal(took, err)
	}
	dst := make([]byte, 1000)
	_ = decompress(dst, nil, Zstd) // the decoder itself
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := decompress(dst, bomb, Zstd); err == nil {
		t.Fatal("64 MiB fit into 1000 bytes")
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 8<<20 {
		t.Fatalf("took %d bytes", took)
	}
}

func TestParseIndex(t *testing.T) {
	good := []byte{2, 0, 40, 1, 8, 1, 50, 2, 16}
	for name, test := range map[string]struct {
		b    []byte
		bend func(*footer)
	}{
		"":                  {good, nil},
		"partition twice":   {[]byte{2, 0, 40, 1, 8, 0, 50, 2, 16}, nil},
		"partition beyond":  {[]byte{2, 0, 40, 1, 8, 3, 50, 2, 16}, nil},
		"an empty run":      {append([]byte{0}, good...), nil},
		"cut":               {good[:8], nil},
		"more follows":      {append(bytes.Clone(good), 1), nil},
		"block too short":   {[]byte{2, 0, 31, 1, 8, 1, 59, 2, 16}, nil},
		"rows missing":      {good, func(f *footer) { f.rows++ }},
		"raw missing":       {good, func(f *footer) { f.raw++ }},
		"bytes missing":     {good, func(f *footer) { f.end++ }},
		"bytes too many":    {good, func(f *footer) { f.end-- }},
		"extents missing":   {good, func(f *footer) { f.extents++ }},
		"extents too many":  {good, func(f *footer) { f.extents-- }},
		"endless partition": {append([]byte{1}, bytes.Repeat([]byte{0xff}, 10)...), nil},
	} {
		f := footer{partitions: 3, end: 98, rows: 3, raw: 24, extents: 2}
		if test.bend != nil {
			test.bend(&f)
		}
		list, err := parseIndex(test.b, &f)
		if name == "" {
			if err != nil || list[1] != (placed{Extent{48, 50, 2, 16}, 1}) {
				t.Errorf("%v, %v", list, err)
			}
		} else if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
}
