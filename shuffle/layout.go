package shuffle

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

// The layout of a decoded payload. Every array of the batch, a column first and
// then its children (pre-order), is a part:
//
//	┌───────┬───┬─────────────────────────┬─────────────────────────┬─
//	│ flags │pad│ part 0                  │ part 1                  │ …
//	│1 byte │   │ validity│lengths│data   │ validity│lengths│data   │
//	│a part │   │   each padded to 8      │                         │
//	└───────┴───┴─────────────────────────┴─────────────────────────┴─
//
//	flags  bit 0: validity is there (a bit a row, set: not NULL)
//	       bits 1-2: a length takes 0 (there are none), 1, 2 or 4 bytes
//	       bits 3-4: a value takes 0 (they are not packed), 1, 2 or 4 bytes: see pack.go
//
// Nothing else is stored. The number of rows of a part follows from the block's
// rows and, inside lists, from the sum of the lengths; the size of its data
// follows from its rows, or from the sum of its lengths. Lengths stand in place
// of Arrow's offsets because they are smaller, compress far better, and cannot
// be out of order: the reader adds them up.

// form is how a part's data is laid out.
type form uint8

const (
	formNull   form = iota // nothing
	formBits               // a bit a row
	formFixed              // width bytes a row
	formBytes              // lengths, bytes
	formList               // lengths; one child, as long as their sum
	formArray              // one child, width times as long
	formStruct             // children as long
	formUnion              // a type id a row; children as long; no validity
)

// shape is the layout of one array and of those inside it.
type shape struct {
	form  form
	width int       // formFixed: bytes; formArray: elements
	wide  bool      // offsets of 64 bits
	whole bool      // NULL is not allowed: a map's entries and keys
	codes [128]bool // formUnion: the type ids in use
	first uint8     // formUnion: of the first member
	dt    arrow.DataType
	kids  []*shape
}

// Bounds of a schema, ours or read.
const (
	depthMax = 66
	partsMax = 1 << 16
)

// layout is the shape of a schema's columns.
type layout struct {
	schema  *arrow.Schema
	columns []*shape
	all     []*shape // of the parts, in their order
	parts   int
	sum     uint32 // the required Layout of a block header
}

func newLayout(schema *arrow.Schema) (*layout, error) {
	l := &layout{schema: schema}
	var text strings.Builder
	for _, f := range schema.Fields() {
		s, err := l.shape(f.Type, 0, &text)
		if err != nil {
			return nil, fmt.Errorf("shuffle: column %q: %w", f.Name, err)
		}
		l.columns = append(l.columns, s)
	}
	l.sum = checksum([]byte(text.String()))
	return l, nil
}

// shape is dt's, and writes a canonical text of it: equal texts, equal layout
// and meaning of the values.
func (l *layout) shape(dt arrow.DataType, depth int, text *strings.Builder) (*shape, error) {
	if l.parts++; depth > depthMax || l.parts > partsMax {
		return nil, fmt.Errorf("nested deeper than %d or more than %d arrays: %w", depthMax, partsMax, ErrLimit)
	}
	s := &shape{dt: dt}
	l.all = append(l.all, s)
	if ext, ok := dt.(arrow.ExtensionType); ok {
		dt = ext.StorageType()
	}
	var inside []arrow.DataType
	switch t := dt.(type) {
	case *arrow.NullType:
	case *arrow.BooleanType:
		s.form = formBits
	case *arrow.StringType, *arrow.BinaryType:
		s.form = formBytes
	case *arrow.LargeStringType, *arrow.LargeBinaryType:
		s.form, s.wide = formBytes, true
	case *arrow.ListType:
		s.form, inside = formList, []arrow.DataType{t.Elem()}
	case *arrow.LargeListType:
		s.form, s.wide, inside = formList, true, []arrow.DataType{t.Elem()}
	case *arrow.MapType:
		s.form, inside = formList, []arrow.DataType{t.Elem()}
	case *arrow.FixedSizeListType:
		s.form, s.width, inside = formArray, int(t.Len()), []arrow.DataType{t.Elem()}
	case *arrow.StructType:
		s.form, inside = formStruct, fieldTypes(t.Fields())
	case *arrow.SparseUnionType:
		s.form, inside = formUnion, fieldTypes(t.Fields())
		for i, c := range t.TypeCodes() {
			s.codes[c&127] = true
			if i == 0 {
				s.first = uint8(c)
			}
		}
	default:
		fixed, ok := dt.(arrow.FixedWidthDataType)
		if !ok || dt.ID() == arrow.DICTIONARY || fixed.BitWidth()%8 != 0 || fixed.BitWidth() <= 0 || fixed.BitWidth() > fixedBitsMax {
			return nil, fmt.Errorf("type %s is not carried: cast it first", dt)
		}
		s.form, s.width = formFixed, fixed.BitWidth()/8
	}
	if s.form == formArray && s.width < 1 {
		return nil, fmt.Errorf("type %s is not carried: empty arrays", dt)
	}
	return s, l.inside(s, dt, inside, depth, text)
}

// fixedBitsMax is the widest fixed-width value.
const fixedBitsMax = 8 << 16

func (l *layout) inside(s *shape, dt arrow.DataType, inside []arrow.DataType, depth int, text *strings.Builder) error {
	if len(inside) == 0 && s.form != formStruct && s.form != formUnion {
		fmt.Fprintf(text, "%s;", dt)
		return nil
	}
	fmt.Fprintf(text, "%s/%d/%d(", dt.Name(), s.width, len(inside))
	for _, in := range inside {
		kid, err := l.shape(in, depth+1, text)
		if err != nil {
			return err
		}
		s.kids = append(s.kids, kid)
	}
	text.WriteByte(')')
	if dt.ID() == arrow.MAP {
		entry := s.kids[0]
		entry.whole = true
		entry.kids[0].whole = true
	}
	return nil
}

func fieldTypes(fields []arrow.Field) []arrow.DataType {
	out := make([]arrow.DataType, len(fields))
	for i, f := range fields {
		out[i] = f.Type
	}
	return out
}

// padded is n rounded up to a multiple of 8.
func padded(n int64) int64 { return (n + 7) &^ 7 }

// lengthWidths are the bytes a length takes, by its code in a part's flags.
var lengthWidths = [4]int64{0, 1, 2, 4}

// lengthCode is the code for lengths that are at most most.
func lengthCode(most uint32) byte {
	switch {
	case most < 1<<8:
		return 1
	case most < 1<<16:
		return 2
	}
	return 3
}
