package shuffle

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	flatbuffers "github.com/google/flatbuffers/go"
)

// EncodeSchema is the schema as an Arrow IPC stream without batches.
func EncodeSchema(s *arrow.Schema) ([]byte, error) {
	var b bytes.Buffer
	if err := ipc.NewWriter(&b, ipc.WithSchema(s)).Close(); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	if b.Len() > schemaBytesMax {
		return nil, fmt.Errorf("schema: %d bytes: %w", b.Len(), ErrLimit)
	}
	return b.Bytes(), nil
}

// DecodeSchema reads what EncodeSchema wrote. Bytes that do not come from it, a
// peer's included, cost no more memory than their length; the error is ErrCorrupt.
func DecodeSchema(b []byte) (s *arrow.Schema, err error) {
	defer func() {
		if p := recover(); p != nil { // flatbuffers panics on offsets that lead astray
			s, err = nil, fmt.Errorf("schema: %v: %w", p, ErrCorrupt)
		}
	}()
	if err := surveySchema(b); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	// A limit of 0 is none; a schema has no body. ipc.NewReader keeps to no limit.
	r, err := ipc.NewReaderFromMessageReader(ipc.NewMessageReader(bytes.NewReader(b), ipc.WithMetadataSizeLimit(int64(len(b))), ipc.WithBodySizeLimit(8)))
	if err != nil {
		return nil, fmt.Errorf("schema: %w: %w", err, ErrCorrupt)
	}
	defer r.Release()
	return PlainSchema(r.Schema()), nil
}

// PlainSchema is s without Arrow's extension types, whose names are in the fields'
// metadata then, as they are in all schemas of blocks.
func PlainSchema(s *arrow.Schema) *arrow.Schema {
	meta := s.Metadata()
	return arrow.NewSchema(plainFields(s.Fields()), &meta)
}

// plainFields are fields without Arrow's extension types, whose names are in the
// metadata then. A program that links the types' package, as writers of Parquet do,
// would otherwise get another schema from the same bytes than one that does not.
func plainFields(in []arrow.Field) []arrow.Field {
	out := make([]arrow.Field, len(in))
	for i, f := range in {
		out[i] = plainField(f)
	}
	return out
}

func plainField(f arrow.Field) arrow.Field {
	if e, ok := f.Type.(arrow.ExtensionType); ok {
		m := f.Metadata.ToMap()
		m[extensionKey], m[extensionDataKey] = e.ExtensionName(), e.Serialize()
		f.Type, f.Metadata = e.StorageType(), arrow.MetadataFrom(m)
	}
	switch t := f.Type.(type) {
	case *arrow.ListType:
		f.Type = arrow.ListOfField(plainField(t.ElemField()))
	case *arrow.LargeListType:
		f.Type = arrow.LargeListOfField(plainField(t.ElemField()))
	case *arrow.FixedSizeListType:
		f.Type = arrow.FixedSizeListOfField(t.Len(), plainField(t.ElemField()))
	case *arrow.StructType:
		f.Type = arrow.StructOf(plainFields(t.Fields())...)
	case *arrow.MapType:
		sorted := t.KeysSorted
		m := arrow.MapOfFields(plainField(t.KeyField()), plainField(t.ItemField()))
		m.KeysSorted = sorted
		f.Type = m
	case *arrow.SparseUnionType:
		f.Type = arrow.SparseUnionOf(plainFields(t.Fields()), t.TypeCodes())
	case *arrow.DenseUnionType:
		f.Type = arrow.DenseUnionOf(plainFields(t.Fields()), t.TypeCodes())
	}
	return f
}

// Keys of a field's metadata that name an extension type.
const (
	extensionKey     = "ARROW:extension:name"
	extensionDataKey = "ARROW:extension:metadata"
)

// Slots of Arrow's flatbuffers tables (format/Schema.fbs, Message.fbs).
const (
	messageHeader = 8

	schemaFields   = 6
	schemaMetadata = 8

	fieldName       = 4
	fieldTypeKind   = 8
	fieldType       = 10
	fieldDictionary = 12
	fieldChildren   = 14
	fieldMetadata   = 16

	keyValueKey   = 4
	keyValueValue = 6

	typeTimestamp = 10
	typeUnion     = 14
	typeDetail    = 6 // a timestamp's zone, a union's type ids
)

// surveySchema walks the flatbuffer as Arrow's reader will, within bounds that
// the reader lacks: offsets may lead back (endless recursion) or many times to
// the same place (a small buffer that unfolds into any size). What is visited
// in all may not exceed the buffer's own length. It panics on offsets outside.
func surveySchema(b []byte) error {
	if len(b) < 8 || binary.LittleEndian.Uint32(b) != 0xffffffff {
		return fmt.Errorf("no IPC stream: %w", ErrCorrupt)
	}
	n := int64(binary.LittleEndian.Uint32(b[4:]))
	if n < 8 || n > int64(len(b)-8) {
		return fmt.Errorf("message of %d bytes: %w", n, ErrCorrupt)
	}
	b = b[8 : 8+n]
	v := surveyor{left: len(b)}
	message := &flatbuffers.Table{Bytes: b, Pos: flatbuffers.GetUOffsetT(b)}
	schema := v.table(message, messageHeader)
	if schema == nil {
		return fmt.Errorf("no header: %w", ErrCorrupt)
	}
	v.metadata(schema, schemaMetadata)
	v.fields(schema, schemaFields, 0)
	if v.left < 0 {
		return fmt.Errorf("unfolds beyond its %d bytes: %w", len(b), ErrCorrupt)
	}
	return nil
}

// surveyor counts down the bytes it may still visit; below zero it visits no
// more.
type surveyor struct{ left int }

func (v *surveyor) table(t *flatbuffers.Table, slot flatbuffers.VOffsetT) *flatbuffers.Table {
	o := flatbuffers.UOffsetT(t.Offset(slot))
	if o == 0 {
		return nil
	}
	return &flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(o + t.Pos)}
}

// spend counts a string or a vector of numbers of the given size.
func (v *surveyor) spend(t *flatbuffers.Table, slot flatbuffers.VOffsetT, size int) {
	if o := flatbuffers.UOffsetT(t.Offset(slot)); o != 0 {
		v.left -= size * t.VectorLen(o)
	}
}

// each calls visit with every table of a vector.
func (v *surveyor) each(t *flatbuffers.Table, slot flatbuffers.VOffsetT, visit func(*flatbuffers.Table)) {
	o := flatbuffers.UOffsetT(t.Offset(slot))
	if o == 0 {
		return
	}
	n, at := t.VectorLen(o), t.Vector(o)
	for i := 0; i < n && v.left >= 0; i++ {
		v.left -= 4
		visit(&flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(at + flatbuffers.UOffsetT(4*i))})
	}
}

func (v *surveyor) metadata(t *flatbuffers.Table, slot flatbuffers.VOffsetT) {
	v.each(t, slot, func(kv *flatbuffers.Table) {
		v.spend(kv, keyValueKey, 1)
		v.spend(kv, keyValueValue, 1)
	})
}

func (v *surveyor) fields(t *flatbuffers.Table, slot flatbuffers.VOffsetT, depth int) {
	if depth > depthMax+1 {
		v.left = -1
	}
	v.each(t, slot, func(f *flatbuffers.Table) {
		v.spend(f, fieldName, 1)
		v.metadata(f, fieldMetadata)
		if f.Offset(fieldDictionary) != 0 {
			v.left = -1 // no writer of ours has one
		}
		if kind := f.GetByteSlot(fieldTypeKind, 0); kind == typeTimestamp || kind == typeUnion {
			if detail := v.table(f, fieldType); detail != nil {
				v.spend(detail, typeDetail, map[bool]int{true: 4, false: 1}[kind == typeUnion])
			}
		}
		v.fields(f, fieldChildren, depth+1)
	})
}
